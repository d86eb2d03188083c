# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/guard.py by a bad site of its own."""

from __future__ import annotations

from typing import Any

import pytest
from site_cases import Case, case, fact, found, hubs, probe, rules_in, texts, value

SESSIONS, BUILDS = "site_session_allowed_networks", "site_build_allowed_networks"
ENABLED = "site_guard_enabled"
CLIENTS = "site_guard_node_port_clients"


def opened(name: str, entry: Any, rule: str, host: str = "") -> Case:
    """A case in which sessions are opened one thing."""
    return value(name, SESSIONS, [entry], (rule, f"{SESSIONS}[0]", host))


CASES = [
    opened("no network", "192.0.2.300", "fence-entry-malformed"),
    opened("host bits", "198.51.100.7/24", "fence-entry-malformed"),
    opened("IPv6", "2001:db8::/32", "fence-entry-malformed"),
    opened("neither text nor mapping", 7, "fence-entry-malformed"),
    opened("unknown key", {"network": "198.51.100.0/24", "port": 443}, "fence-entry-malformed"),
    opened("network and host", {"network": "198.51.100.0/24", "host": "a"}, "fence-entry-malformed"),
    opened("nothing named", {"ports": [443]}, "fence-entry-malformed"),
    opened("no host name", {"host": "https://git.example.org"}, "fence-entry-malformed"),
    opened("an address for a host", {"host": "198.51.100.7"}, "fence-entry-malformed"),
    opened("ports reversed", {"network": "198.51.100.0/24", "ports": ["8100-8000"]}, "fence-entry-malformed"),
    opened("port zero", {"network": "198.51.100.0/24", "ports": [0]}, "fence-entry-malformed"),
    opened("port too high", {"network": "198.51.100.0/24", "ports": ["443-65536"]}, "fence-entry-malformed"),
    opened("port of words", {"network": "198.51.100.0/24", "ports": ["https"]}, "fence-entry-malformed"),
    opened("port of a switch", {"network": "198.51.100.0/24", "ports": [True]}, "fence-entry-malformed"),
    opened("ports without a list", {"network": "198.51.100.0/24", "ports": 443}, "fence-entry-malformed"),
    opened("protocol", {"network": "198.51.100.0/24", "protocol": "icmp"}, "fence-entry-malformed"),
    opened("the API server", "192.0.2.11", "fence-opens-cluster"),
    opened("a node", {"network": "192.0.2.20/30", "ports": [22]}, "fence-opens-cluster", "worker1"),
    opened("pods", "10.244.7.0/24", "fence-opens-cluster"),
    opened("services", "10.96.0.0/16", "fence-opens-cluster"),
    opened("a hub", "192.0.2.101", "fence-opens-cluster"),
    opened("metadata", "169.254.169.254", "fence-opens-cluster"),
    opened("another floating address", "192.0.2.103", "fence-opens-cluster"),
    case(
        "a name that is a node",
        {
            f"values/{BUILDS}": [{"host": "git.example.org", "ports": [443]}],
            "controller/names/git.example.org": {"addresses": ["2001:db8::1", "192.0.2.22"]},
        },
        ("fence-opens-cluster", f"{BUILDS}[0]", "worker2"),
    ),
    case(
        "a name of nobody",
        {
            f"values/{BUILDS}": ["198.51.100.9", {"host": "git.example.org"}],
            "controller/names/git.example.org": {"error": "Name or service not known"},
        },
        ("fence-host-unresolved", f"{BUILDS}[1]", ""),
    ),
    value(
        "denied network",
        "site_guard_denied_networks",
        ["198.51.100.0/24", "here"],
        ("fence-denied-malformed", "site_guard_denied_networks[1]", ""),
    ),
    value(
        "denied ports",
        "site_guard_denied_ports",
        [25, "587-465"],
        ("fence-denied-malformed", "site_guard_denied_ports[1]", ""),
    ),
    fact(
        "name servers of IPv6", "worker1", "nameservers", ["2001:db8::53"], ("fence-cuts-dns", "", "worker1")
    ),
    case(
        "a name server that is closed",
        {
            "values/site_guard_denied_networks": ["198.51.100.0/24"],
            "hosts/worker1/facts/nameservers": ["198.51.100.53"],
            "hosts/worker2/facts/nameservers": ["198.51.100.53"],
        },
        ("fence-denies-dns", "site_guard_denied_networks", "worker1"),
    ),
    case(
        "builds in pods",
        hubs(a={"values": {"imageBuilderType": "dind"}}),
        ("fence-cuts-builder", BUILDS, ""),
    ),
    case(
        "the guard beside calico",
        {f"values/{ENABLED}": True, "values/site_pod_network_provider": "calico"},
        ("guard-beside-policies", ENABLED, ""),
    ),
    value(
        "a client that is none",
        CLIENTS,
        ["192.0.2.31", "not an address!"],
        ("guard-client-malformed", f"{CLIENTS}[1]", ""),
    ),
    value("clients by a name", CLIENTS, ["proxy1"], ("guard-client-malformed", f"{CLIENTS}[0]", "")),
    value("clients of IPv6", CLIENTS, ["2001:db8::31"], ("guard-client-malformed", f"{CLIENTS}[0]", "")),
    # The machine is managed by an address that somebody translates.
    case(
        "a proxy behind address translation",
        {"hosts/proxy1/variables/ansible_host": "198.51.100.31", f"values/{CLIENTS}": ["198.51.100.31"]},
        ("guard-cuts-proxy", CLIENTS, "proxy1"),
    ),
    value(
        "a proxy that is not a client", CLIENTS, ["192.0.2.64/27"], ("guard-cuts-proxy", CLIENTS, "proxy1")
    ),
    probe(
        "a table that somebody flushed",
        "worker2",
        "guard",
        {"present": True, "faults": ["the table is missing", "address 10.244.1.7 is not known"]},
        ("guard-drift", "", "worker2"),
    ),
    value("no guard with routed", ENABLED, False, ("sessions-unfenced", ENABLED, "")),
]

GOOD = [
    value("an address and a network", SESSIONS, ["198.51.100.7", "198.51.100.0/24"]),
    value(
        "ports", SESSIONS, [{"network": "198.51.100.0/24", "ports": [443, "8000-8100"], "protocol": "udp"}]
    ),
    case(
        "a name",
        {
            f"values/{BUILDS}": [{"host": "git-1.example.org", "ports": [443]}],
            "controller/names/git-1.example.org": {"addresses": ["198.51.100.7"]},
        },
    ),
    case(
        "builds in pods that reach the registry",
        {
            **hubs(a={"values": {"imageBuilderType": "dind"}}),
            f"values/{BUILDS}": [{"network": "192.0.2.41", "ports": [5000]}],
        },
    ),
    case(
        "no guard, and no policies either",
        {
            **hubs(
                a={
                    "values": {
                        "jupyterhub": {
                            "hub": {"networkPolicy": {"enabled": False}},
                            "proxy": {"chp": {"networkPolicy": {"enabled": False}}},
                            "singleuser": {"networkPolicy": {"enabled": False}},
                        }
                    }
                }
            ),
            f"values/{ENABLED}": False,
        },
    ),
    case(
        "calico without the guard",
        {f"values/{ENABLED}": False, "values/site_pod_network_provider": "calico"},
    ),
    value("a proxy among the clients", CLIENTS, ["198.51.100.31", "192.0.2.31"]),
    value("a proxy in a client's network", CLIENTS, ["192.0.2.0/27"]),
    probe("a guard that is whole", "worker1", "guard", {"present": True, "faults": []}),
    # The stage cluster removes it.
    case(
        "a guard that is to go",
        {
            f"values/{ENABLED}": False,
            "values/site_pod_network_provider": "calico",
            "hosts/worker1/probe/guard": {"present": True, "faults": ["the table is missing"]},
        },
    ),
    value("a proxy without an address yet", CLIENTS, ["", "192.0.2.31"]),
    value("everybody is a client", CLIENTS, []),
    case(
        "clients without the guard",
        {
            f"values/{ENABLED}": False,
            "values/site_pod_network_provider": "calico",
            f"values/{CLIENTS}": ["198.51.100.31"],
        },
    ),
    # Whoever routes between them may translate addresses, so nobody knows what the nodes see.
    case(
        "a proxy on another network",
        {
            "hosts/proxy1/variables/ansible_host": "198.51.100.31",
            "hosts/proxy1/facts/interfaces": [{"name": "eth0", "mac": "", "cidr": "198.51.100.31/24"}],
            "controller/names/binder.example.org": {"addresses": ["198.51.100.31"]},
            f"values/{CLIENTS}": ["203.0.113.31"],
        },
    ),
    fact("name servers", "worker1", "nameservers", ["2001:db8::53", "192.0.2.1"]),
]


@pytest.mark.parametrize("given", CASES, ids=[entry.name for entry in CASES])
def test_a_bad_site_is_seen(given: Case) -> None:
    assert found(given.site()) == given.expected


@pytest.mark.parametrize("given", GOOD, ids=[entry.name for entry in GOOD])
def test_a_good_site_has_no_finding(given: Case) -> None:
    assert found(given.site()) == set()


def test_every_rule_has_a_case() -> None:
    assert rules_in("guard") == {rule for entry in CASES for rule, _, _ in entry.expected}


def test_findings_say_what_and_what_to_do() -> None:
    given = {entry.name: entry for entry in CASES}
    assert texts(given["ports reversed"].site(), "fence-entry-malformed") == [
        '8100-8000 is reversed -> write it as "8000-8100"'
    ]
    assert texts(given["a node"].site(), "fence-opens-cluster")[0].startswith(
        "192.0.2.20/30 contains node worker1 (192.0.2.21/32) -> "
    )
    assert (
        "the policies of the hub binder (jupyterhub.hub.networkPolicy.enabled"
        in (texts(given["no guard with routed"].site(), "sessions-unfenced")[0])
    )
    assert texts(given["a proxy behind address translation"].site(), "guard-cuts-proxy") == [
        "does not hold 192.0.2.31, from which proxy1 asks BinderHub at the nodes: the guard would cut it off"
        " -> add 192.0.2.31 to site_guard_node_port_clients"
    ]
    assert texts(given["a table that somebody flushed"].site(), "guard-drift") == [
        "the table is missing, and 1 more (ironbinder-guard check): pods and builds there are not fenced as the site says"
        " -> this run repairs it; look who did it, and why ironbinder-guard.service did not put it right (journalctl --unit"
        " ironbinder-guard)"
    ]
