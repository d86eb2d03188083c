# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/network.py by a bad site of its own."""

from __future__ import annotations

import pytest
from site_cases import Case, case, found, rules_in, value

CASES = [
    value(
        "pod range with host bits",
        "site_pod_subnet",
        "10.244.0.1/16",
        ("subnet-malformed", "site_pod_subnet", ""),
    ),
    value(
        "pods in the services' range",
        "site_pod_subnet",
        "10.100.0.0/16",
        ("subnets-overlap", "site_pod_subnet", ""),
    ),
    value(
        "pods on Docker's bridge",
        "site_pod_subnet",
        "172.16.0.0/12",
        ("subnet-overlaps-docker", "site_pod_subnet", ""),
    ),
    value(
        "services on the nodes' network",
        "site_service_subnet",
        "192.0.0.0/12",
        ("subnet-overlaps-node", "site_service_subnet", "head1"),
    ),
    # Docker's own bridges are named after ids; this one is the machine's way to its neighbours.
    case(
        "pods on a bridge of the machine's own",
        {
            "hosts/worker1/facts/interfaces": [
                {"name": "eth0", "mac": "02:00:00:00:00:15", "cidr": "192.0.2.21/24"},
                {"name": "br-mgmt", "mac": "", "cidr": "10.244.8.2/24"},
                {"name": "br-0123456789ab", "mac": "", "cidr": "10.244.9.1/24"},
            ],
        },
        ("subnet-overlaps-node", "site_pod_subnet", "worker1"),
    ),
    case(
        "nodes on Docker's network",
        {
            "hosts/worker1/facts/interfaces": [
                {"name": "eth0", "mac": "02:00:00:00:00:15", "cidr": "192.0.2.21/24"},
                {"name": "eth1", "mac": "", "cidr": "172.17.4.2/24"},
            ]
        },
        ("nodes-overlap-docker", "", "worker1"),
    ),
    value(
        "pods of two nodes for three",
        "site_pod_subnet",
        "10.244.0.0/23",
        ("pod-subnet-too-small", "site_pod_subnet", ""),
    ),
    value(
        "services too small",
        "site_service_subnet",
        "10.96.0.0/26",
        ("service-subnet-size", "site_service_subnet", ""),
    ),
    value(
        "services too large",
        "site_service_subnet",
        "11.0.0.0/8",
        ("service-subnet-size", "site_service_subnet", ""),
    ),
    value("IPv6 pods", "site_pod_subnet", "2001:db8::/56", ("subnet-not-ipv4", "site_pod_subnet", "")),
    case(
        "routed over two networks",
        {
            "hosts/worker2/variables/ansible_host": "198.51.100.22",
            "hosts/worker2/facts/interfaces": [
                {"name": "eth0", "mac": "02:00:00:00:00:16", "cidr": "198.51.100.22/24"}
            ],
        },
        ("routed-needs-one-network", "site_pod_network_provider", "worker2"),
    ),
    case(
        "machine in the pods' range whose interfaces are unknown",
        {
            "hosts/proxy1/state": "unasked",
            "hosts/proxy1/facts": {},
            "hosts/proxy1/variables/ansible_host": "10.244.7.1",
            "controller/names/binder.example.org/addresses": ["10.244.7.1"],
        },
        ("subnet-overlaps-node", "site_pod_subnet", "proxy1"),
    ),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("network") <= {rule for entry in CASES for rule, _, _ in entry.expected}
