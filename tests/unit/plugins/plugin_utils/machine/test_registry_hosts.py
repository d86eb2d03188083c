# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What containerd would read, by a TOML reader that is not ours."""

from __future__ import annotations

from typing import Any

import tomllib
from ansible_collections.ironbinder.platform.plugins.plugin_utils.machine.registry_hosts import hosts_files

MIRROR = "https://mirror.example.org/v2"
CA = "/etc/containerd/ca.crt"


def read(ca_file: str = CA, **wanted: Any) -> dict[str, Any]:
    texts = hosts_files(
        wanted.get("mirrors", {}), wanted.get("registries", []), ca_file=ca_file, mark="Managed by us"
    )
    assert all(text.startswith("# Managed by us.") and text.endswith("\n") for text in texts.values())
    return {name: tomllib.loads(text) for name, text in texts.items()}


def test_mirrors_are_asked_first_and_the_registry_itself_last() -> None:
    found = read(mirrors={"docker.io": f"{MIRROR}/docker.io", "quay.io": f"{MIRROR}/quay.io"})
    assert found == {
        f"{registry}/hosts.toml": {
            "server": server,
            "host": {
                f"{MIRROR}/{registry}": {
                    "capabilities": ["pull", "resolve"],
                    "override_path": True,
                    "ca": CA,
                }
            },
        }
        for registry, server in (
            ("docker.io", "https://registry-1.docker.io"),
            ("quay.io", "https://quay.io"),
        )
    }


def test_own_registries_are_pushed_to_and_win_over_a_mirror() -> None:
    found = read(
        mirrors={"registry.example.org:5000": f"{MIRROR}/x"},
        registries=[
            {"host": "registry.example.org:5000"},
            {"host": "plain:5000", "plain_http_enabled": True},
        ],
    )
    assert found == {
        "registry.example.org:5000/hosts.toml": {
            "server": "https://registry.example.org:5000",
            "host": {
                "https://registry.example.org:5000": {"capabilities": ["pull", "resolve", "push"], "ca": CA}
            },
        },
        # Plain HTTP has no CA, and containerd would ask for TLS if it were given one.
        "plain:5000/hosts.toml": {
            "server": "http://plain:5000",
            "host": {"http://plain:5000": {"capabilities": ["pull", "resolve", "push"]}},
        },
    }


def test_images_at_docker_hub_are_pulled_from_where_it_answers() -> None:
    found = read(ca_file="", mirrors={"docker.io": f"{MIRROR}/docker.io"}, registries=[{"host": "docker.io"}])
    api = "https://registry-1.docker.io"
    assert found == {
        "docker.io/hosts.toml": {
            "server": api,
            "host": {api: {"capabilities": ["pull", "resolve", "push"]}},
        }
    }


def test_without_cas_the_machines_own_are_trusted() -> None:
    (found,) = read(ca_file="", mirrors={"quay.io": MIRROR}).values()
    assert "ca" not in found["host"][MIRROR]


def test_nothing_is_nothing() -> None:
    assert read() == {}
