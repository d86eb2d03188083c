# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/pool.py by a bad site of its own."""

from __future__ import annotations

import pytest
from site_cases import Case, case, found, hubs, probe, rules_in, value

CASES = [
    value(
        "malformed pool",
        "site_floating_pool",
        "192.0.2.101..103",
        ("pool-malformed", "site_floating_pool", ""),
    ),
    value(
        "reversed pool",
        "site_floating_pool",
        "192.0.2.103-192.0.2.101",
        ("pool-malformed", "site_floating_pool", ""),
    ),
    value(
        "pool with a bad entry",
        "site_floating_pool",
        ["192.0.2.101", 7],
        ("pool-malformed", "site_floating_pool", ""),
    ),
    value("pool as a number", "site_floating_pool", 7, ("pool-malformed", "site_floating_pool", "")),
    value(
        "IPv6 pool",
        "site_floating_pool",
        "2001:db8::1-2001:db8::9",
        ("pool-not-ipv4", "site_floating_pool", ""),
    ),
    value(
        "pool twice",
        "site_floating_pool",
        ["192.0.2.100-192.0.2.105", "192.0.2.105"],
        ("pool-ranges-overlap", "site_floating_pool", ""),
    ),
    value(
        "pool elsewhere",
        "site_floating_pool",
        "198.51.100.1-198.51.100.9",
        ("pool-outside-nodes-subnet", "site_floating_pool", ""),
    ),
    value(
        "pool over a node",
        "site_floating_pool",
        "192.0.2.20-192.0.2.21",
        ("pool-overlaps-host", "site_floating_pool", "worker1"),
    ),
    value(
        "pool over the broadcast",
        "site_floating_pool",
        "192.0.2.254-192.0.2.255",
        ("pool-holds-network-edge", "site_floating_pool", ""),
    ),
    value(
        "pool over the gateway",
        "site_floating_pool",
        "192.0.2.1-192.0.2.2",
        ("pool-holds-gateway", "site_floating_pool", "head1"),
    ),
    probe(
        "a stranger answers",
        "head1",
        "arp",
        {"192.0.2.102": "52:54:00:aa:bb:cc"},
        ("pool-address-answers", "site_floating_pool", "head1"),
    ),
    case(
        "one address, two hubs",
        {**hubs(a={}, b={}), "values/site_floating_pool": "192.0.2.101"},
        ("pool-too-small", "site_floating_pool", ""),
    ),
    case(
        "hub outside of the pool",
        hubs(a={"floating_ip": "192.0.2.200"}),
        ("hub-address-outside-pool", "site_hubs.a.floating_ip", ""),
    ),
    value(
        "API address in the pool",
        "site_api_address",
        "192.0.2.101",
        ("api-address-in-pool", "site_api_address", ""),
    ),
    value(
        "pool twice, the larger last",
        "site_floating_pool",
        ["192.0.2.103", "192.0.2.101-192.0.2.105"],
        ("pool-ranges-overlap", "site_floating_pool", ""),
    ),
    case(
        "third hub of two addresses in two ranges",
        {**hubs(a={}, b={}, c={}), "values/site_floating_pool": ["192.0.2.101", "192.0.2.103"]},
        ("pool-too-small", "site_floating_pool", ""),
    ),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("pool") <= {rule for entry in CASES for rule, _, _ in entry.expected}
