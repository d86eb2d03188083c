# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What is reached without the site's proxy, and in which form programs are told."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.http_proxy import (
    environment,
    no_proxy,
    openings,
)

PROXY = "http://proxy.example.org:3128"
SITE: dict[str, Any] = {
    "machines": {"head1": "192.0.2.11", "worker1": "192.0.2.21", "proxy1": "192.0.2.31"},
    "pod_subnet": "10.244.0.0/16",
    "service_subnet": "10.96.0.0/12",
    "api_address": "192.0.2.11",
    "floating_pool": "192.0.2.101-192.0.2.103",
    "hubs": {"binder": {"floating_ip": "192.0.2.101"}, "other": {"floating_ip": "192.0.2.120"}},
    "registry_host": "registry.example.org:5000",
    "mirror_url": "https://mirror.example.org:8443/x",
    "public_url": "https://binder.example.org",
    "extra_hosts": {"192.0.2.50": ["git.campus.test", "git"], "192.0.2.51": "wrong", "192.0.2.52": [7]},
}


def listed(*extra: Any, **changes: Any) -> list[str]:
    return no_proxy(extra, **(SITE | changes))


def test_a_site_reaches_its_own() -> None:
    assert listed() == [
        *("localhost", "127.0.0.1", "::1"),
        *("192.0.2.11", "192.0.2.21", "192.0.2.31", "head1", "worker1", "proxy1"),
        *("10.96.0.1", "10.244.0.0/16", "10.96.0.0/12", ".svc", ".cluster.local"),
        *("192.0.2.101", "192.0.2.102", "192.0.2.103", "192.0.2.120"),
        *("registry.example.org", "mirror.example.org", "binder.example.org"),
        *("git.campus.test", "git"),
    ]


def test_a_hub_with_a_name_of_its_own_is_one_of_its_own() -> None:
    own = {
        "binder_url": "https://teaching.example.org/binderhub/",
        "hub_url": "https://teaching.example.org:8443/hub/",
    }
    assert set(listed(hubs={**SITE["hubs"], "teaching": own})) - set(listed()) == {"teaching.example.org"}


@pytest.mark.parametrize("registry", ["docker.io", "gcr.io", "europe-west1-docker.pkg.dev"])
def test_registries_of_the_internet_are_beyond_the_proxy(registry: str) -> None:
    assert set(listed(registry_host=registry)) == set(listed()) - {"registry.example.org"}


# Ranges of services, and the addresses by which pods find the API server.
@pytest.mark.parametrize(
    ("subnet", "addresses"),
    [
        ("10.43.0.0/16", ["10.43.0.1"]),
        ("10.43.0.0/16,fd00:1::/108", ["10.43.0.1", "fd00:1::1"]),
        ("nonsense", []),
    ],
)
def test_the_api_server_of_pods(subnet: str, addresses: list[str]) -> None:
    known = [*listed(service_subnet=""), *subnet.split(",")]
    assert [entry for entry in listed(service_subnet=subnet) if entry not in known] == addresses


def test_small_networks_are_listed_for_who_compares_names_only() -> None:
    found = listed("198.51.100.8/30", "10.0.0.0/8")
    addresses = [f"198.51.100.{number}" for number in range(8, 12)]
    assert found[-6:] == ["198.51.100.8/30", *addresses, "10.0.0.0/8"]


def test_a_large_pool_is_listed_in_part_and_as_networks() -> None:
    found = listed(floating_pool="10.1.0.0-10.1.3.255")
    assert "10.1.0.255" in found and "10.1.1.0" not in found and "10.1.0.0/22" in found


def test_what_is_taken_out_and_what_cannot_be_read() -> None:
    broken = {"floating_pool": "?", "registry_host": "https://?", "public_url": "http://["}
    found = listed("!mirror.example.org", " .x.org ", "", 7, **broken)
    assert "mirror.example.org" not in found and ".x.org" in found and "192.0.2.101" in found
    assert "" not in found and not any(entry.startswith("!") for entry in found)


@pytest.mark.parametrize(("http", "https"), [(PROXY, PROXY), (PROXY, ""), ("", PROXY), ("", "")])
def test_the_environment(http: str, https: str) -> None:
    told = environment(http, https, ["localhost", ".svc"])
    lower = {"http_proxy": http, "https_proxy": https, "no_proxy": "localhost,.svc" if http or https else ""}
    expected = {name: value for name, value in lower.items() if value}
    assert told == expected | {name.upper(): value for name, value in expected.items()}


# (host, whether Python goes there without the proxy). Python's urllib knows no networks.
@pytest.mark.parametrize(
    ("host", "is_direct"),
    [
        *[("10.96.0.1", True), ("proxy-public.binder.svc.cluster.local", True), ("192.0.2.103", True)],
        *[
            ("registry.example.org:5000", True),
            ("head1", True),
            ("198.51.100.10", True),
            ("198.51.100.12", False),
        ],
        *[("quay.io", False), ("10.244.1.7", False)],
    ],
)
def test_pythons_own_choice(host: str, is_direct: bool) -> None:
    code = "import sys, urllib.request as u; print(bool(u.proxy_bypass_environment(sys.argv[1])))"
    env = environment(PROXY, PROXY, listed("198.51.100.8/30"))
    run = subprocess.run(
        [sys.executable, "-c", code, host], env=env, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == str(is_direct)


def test_what_the_guard_opens() -> None:
    urls = [
        "http://user:pass@192.0.2.8:3128",
        "http://192.0.2.8:3128/",
        PROXY,
        "",
        None,
        "p:1",
        "http://[::1]:3128",
    ]
    assert openings(*urls) == [
        {"network": "192.0.2.8", "ports": [3128]},
        {"host": "proxy.example.org", "ports": [3128]},
    ]
