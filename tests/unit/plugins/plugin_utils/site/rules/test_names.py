# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Names and addresses of nodes, and the name servers of their pods."""

from __future__ import annotations

from typing import Any

import pytest
from cluster_cases import Found, bare_site, change, cluster_site, found, rules_of, texts
from site_cases import GONE

WORKER = "hosts/worker2"
NAME = "worker2.example.org"


def renamed(name: str) -> dict[str, Any]:
    """The bare site with another name for worker2."""
    site = bare_site()
    site["hosts"][name] = site["hosts"].pop("worker2")
    site["hosts"][name]["facts"]["hostname"] = name
    for members in site["groups"].values():
        members[:] = [name if member == "worker2" else member for member in members]
    return site


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("Worker_1", "worker-1"),
        ("worker_2", "worker-2"),
        ("WORKER2", "worker2"),
        ("-worker2", "worker2"),
        ("worker2.", "worker2"),
        ("worker..2", "worker.2"),
        ("a" * 64, "a" * 63),
        ("würker", "w-rker"),
    ],
)
def test_bad_names(name: str, better: str) -> None:
    """A name that Kubernetes takes for no node is found before a machine is renamed to it."""
    site = renamed(name)
    assert found(site) == {("node-name-malformed", "inventory_hostname", name)}
    assert f"such as {better}" in texts(site, "node-name-malformed")


@pytest.mark.parametrize("name", ["worker2", "w", "0", "worker2.example.org", "192.0.2.22", "a" * 63])
def test_good_names(name: str) -> None:
    """What Kubernetes takes is not refused."""
    assert found(renamed(name)) == set()


def test_names_of_other_machines() -> None:
    """The proxy's name is no node's."""
    site = bare_site()
    site["hosts"]["Proxy_1"] = site["hosts"].pop("proxy1")
    site["groups"]["proxy"] = ["Proxy_1"]
    assert found(site) == set()


REFUSED: list[tuple[str, dict[str, Any], Found, str]] = [
    (
        "address of the machine in front of it",
        {f"{WORKER}/variables/ansible_host": "192.0.2.99"},
        ("node-address-not-its-own", "site_node_address", "worker2"),
        "192.0.2.22",
    ),
    (
        "node address that is not there",
        {f"{WORKER}/variables/site_node_address": "192.0.2.99"},
        ("node-address-not-its-own", "site_node_address", "worker2"),
        "192.0.2.22",
    ),
    (
        "name of another machine",
        {f"{WORKER}/variables/ansible_host": NAME, f"{WORKER}/resolved": {"address": "192.0.2.99"}},
        ("node-address-not-its-own", "site_node_address", "worker2"),
        "192.0.2.22",
    ),
    (
        "name that does not resolve",
        {
            f"{WORKER}/variables/ansible_host": NAME,
            f"{WORKER}/resolved": {"error": "Name or service not known"},
        },
        ("node-address-unresolved", "ansible_host", "worker2"),
        "site_node_address",
    ),
    (
        "name of IPv6 addresses",
        {
            f"{WORKER}/variables/ansible_host": NAME,
            f"{WORKER}/resolved": {"error": "it has IPv6 addresses only, such as 2001:db8::1"},
        },
        ("node-address-unresolved", "ansible_host", "worker2"),
        "site_node_address",
    ),
    (
        "name in the place of an address",
        {f"{WORKER}/variables/site_node_address": NAME},
        ("node-address-is-a-name", "site_node_address", "worker2"),
        "192.0.2.22",
    ),
    (
        "resolver on the machine itself",
        {f"{WORKER}/probe/resolver": {"loopback": True, "usable": False}},
        ("resolver-loopback-only", "", "worker2"),
        "resolv.conf",
    ),
]


@pytest.mark.parametrize(
    ("changes", "expected", "named"), [entry[1:] for entry in REFUSED], ids=[e[0] for e in REFUSED]
)
def test_refused(changes: dict[str, Any], expected: Found, named: str) -> None:
    """One finding for one cause, at its variable and host, with what to write instead."""
    site = change(bare_site(), changes)
    assert found(site) == {expected}
    assert named in texts(site, expected[0]).partition(" -> ")[2]


TAKEN: dict[str, dict[str, Any]] = {
    "a name of the machine's own address": {
        f"{WORKER}/variables/ansible_host": NAME,
        f"{WORKER}/resolved": {"address": "192.0.2.22"},
    },
    "an address beside a name": {
        f"{WORKER}/variables/ansible_host": NAME,
        f"{WORKER}/variables/site_node_address": "192.0.2.22",
    },
    "a second address of the machine, on any interface": {
        f"{WORKER}/variables/site_node_address": "192.0.2.23",
        f"{WORKER}/facts/interfaces": [
            {"name": "eth0", "mac": "02:00:00:00:00:16", "cidr": "192.0.2.22/24"},
            {"name": "br-lan", "mac": "", "cidr": "192.0.2.23/24"},
        ],
    },
    "a machine that was not looked at": {
        f"{WORKER}/variables/ansible_host": "192.0.2.99",
        f"{WORKER}/state": "unasked",
        f"{WORKER}/facts": {},
        f"{WORKER}/probe": {},
    },
    "facts without addresses": {f"{WORKER}/facts/interfaces": []},
    "an IPv6 address, of which the facts here tell nothing": {
        f"{WORKER}/variables/site_node_address": "2001:db8::22"
    },
    "a stub resolver with servers behind it": {
        f"{WORKER}/probe/resolver": {"loopback": True, "usable": True}
    },
    "a probe that does not tell": {f"{WORKER}/probe/resolver": GONE},
    "a proxy whose address is translated": {
        "hosts/proxy1/facts/interfaces": [{"name": "eth0", "cidr": "10.9.8.7/24"}]
    },
}


@pytest.mark.parametrize("changes", TAKEN.values(), ids=TAKEN)
def test_taken(changes: dict[str, Any]) -> None:
    """What works is not refused."""
    assert not {rule for rule, _, _ in found(change(bare_site(), changes))} & rules_of("names")


def test_a_node_that_has_joined_keeps_its_resolver() -> None:
    """Its kubelet was told another file, or its pods have names already."""
    assert (
        found(change(cluster_site(), {f"{WORKER}/probe/resolver": {"loopback": True, "usable": False}}))
        == set()
    )


def test_an_address_that_two_hosts_claim_is_told_once() -> None:
    """duplicate-address says it; that it is not this machine's follows."""
    site = change(bare_site(), {f"{WORKER}/variables/ansible_host": "192.0.2.21"})
    assert found(site) == {("duplicate-address", "ansible_host", "worker2")}


@pytest.mark.parametrize("site", [bare_site(), cluster_site()], ids=["before the first run", "second run"])
def test_good_sites(site: dict[str, Any]) -> None:
    """A site without a fault has no finding."""
    assert found(site) == set()


def test_every_rule_is_broken_above() -> None:
    """A rule that no site breaks is a rule that nobody knows to work."""
    assert rules_of("names") == {expected[0] for _, _, expected, _ in REFUSED} | {"node-name-malformed"}
