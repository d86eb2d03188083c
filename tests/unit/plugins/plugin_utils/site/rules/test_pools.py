# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/pools.py by a bad site of its own."""

from __future__ import annotations

import pytest
from site_cases import Case, case, found, probe, rules_in, value

WITHOUT, TAINTED = "node-purpose-without-node", "user-nodes-tainted-without-others"
REQUIRE = {"values/site_node_purpose_affinity": "require"}
CASES = [
    case(
        "required, and the head is for both",
        {**REQUIRE, "hosts/head1/variables/site_node_purposes": ["core", "user"]},
        (WITHOUT, "site_node_purpose_affinity", ""),
    ),
    case("required, and there is a node for each", REQUIRE),
    case(
        "required, and a worker is for the core",
        {
            **REQUIRE,
            "hosts/head1/variables/site_node_purposes": ["core", "user"],
            "hosts/worker1/variables/site_node_purposes": ["core"],
        },
        ("core-on-one-worker", "site_node_purpose_affinity", "worker1"),
    ),
    value("only the head is left", "site_user_nodes_tainted", True, (TAINTED, "site_user_nodes_tainted", "")),
    case(
        "a worker is left",
        {"values/site_user_nodes_tainted": True, "hosts/worker1/variables/site_node_purposes": ["core"]},
    ),
    case(
        "a node for both is left",
        {
            "values/site_user_nodes_tainted": True,
            "hosts/head1/variables/site_node_purposes": ["core", "user"],
        },
    ),
    probe(
        "Docker on the head",
        "head1",
        "docker",
        {"socket": True, "engine": "docker"},
        ("docker-without-builds", "", "head1"),
        running=True,
    ),
    case(
        "Docker on the head, where builds may run everywhere",
        {
            "hosts/head1/probe/docker": {"socket": True, "engine": "docker"},
            "values/site_build_node_selector": {},
        },
        running=True,
    ),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("pools") <= {rule for entry in CASES for rule, _, _ in entry.expected}
