# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/groups.py by a bad site of its own."""

from __future__ import annotations

import pytest
from site_cases import GONE, Case, case, fact, found, probe, rules_in

CASES = [
    case("no head group", {"groups/head": GONE}, ("group-missing", "groups.head", "")),
    case("no proxy group", {"groups/proxy": GONE}, ("group-missing", "groups.proxy", "")),
    case("empty head group", {"groups/head": []}, ("group-empty", "groups.head", "")),
    case(
        "group worker for workers",
        {"groups/worker": ["worker1", "worker2"], "groups/workers": GONE},
        ("group-misspelt", "groups.worker", ""),
        ("no-workers", "groups.workers", ""),
    ),
    case("no workers", {"groups/workers": []}, ("no-workers", "groups.workers", "")),
    case(
        "head among the workers",
        {"groups/workers": ["head1", "worker1"]},
        ("host-in-exclusive-groups", "groups.head", "head1"),
    ),
    case(
        "proxy among the workers",
        {"groups/workers": ["worker1", "proxy1"]},
        ("host-in-exclusive-groups", "groups.workers", "proxy1"),
    ),
    case(
        "two heads",
        {"groups/head": ["head1", "worker1"], "groups/workers": ["worker2"]},
        ("even-heads", "groups.head", ""),
    ),
    case(
        "three heads",
        {"groups/head": ["head1", "worker1", "worker2"], "groups/workers": []},
        ("no-workers", "groups.workers", ""),
        ("several-heads", "groups.head", ""),
    ),
    case(
        "two names for one machine",
        {"hosts/worker2/variables/ansible_host": "192.0.2.21"},
        ("duplicate-address", "ansible_host", "worker2"),
    ),
    fact("one hostname twice", "worker2", "hostname", "worker1", ("duplicate-hostname", "", "worker2")),
    probe("cloned machine", "worker2", "machine_id", f"{21:032x}", ("duplicate-machine-id", "", "worker2")),
    case(
        "no address yet",
        {"hosts/worker2/variables/ansible_host": "", "hosts/worker2/state": "unaddressed"},
        ("address-missing", "ansible_host", "worker2"),
    ),
    case(
        "address of itself",
        {"hosts/worker2/variables/site_node_address": "127.0.0.1"},
        ("node-address-unusable", "site_node_address", "worker2"),
        ("routed-needs-one-network", "site_pod_network_provider", "worker2"),
    ),
    case(
        "one site_node_address twice",
        {f"hosts/worker{n}/variables/site_node_address": "192.0.2.23" for n in (1, 2)},
        ("duplicate-address", "site_node_address", "worker2"),
    ),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("groups") <= {rule for entry in CASES for rule, _, _ in entry.expected}
