# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/losses.py by a bad site of its own."""

from __future__ import annotations

import pytest
from site_cases import Case, case, found, rules_in, value

RANGE, ALONE = "loss-times-out-of-range", "core-on-one-worker"
LOST, WAIT, AFFINITY = (
    "site_node_lost_seconds",
    "site_core_pods_wait_seconds",
    "site_node_purpose_affinity",
)
REQUIRE = {f"values/{AFFINITY}": "require"}
CASES = [
    value("noticed too soon", LOST, 14, (RANGE, LOST, "")),
    value("never noticed", LOST, 301, (RANGE, LOST, "")),
    value("as soon as may be", LOST, 15),
    value("Kubernetes' own", LOST, 50),
    value("before it is lost", WAIT, -1, (RANGE, WAIT, "")),
    value("for ever", WAIT, 3601, (RANGE, WAIT, "")),
    value("at once", WAIT, 0),
    case("the head is for the core", REQUIRE),
    case(
        "one worker is, and the head is for both",
        {
            **REQUIRE,
            "hosts/head1/variables/site_node_purposes": ["core", "user"],
            "hosts/worker1/variables/site_node_purposes": ["core"],
        },
        (ALONE, AFFINITY, "worker1"),
    ),
    case(
        "one worker is, and so is the head",
        {**REQUIRE, "hosts/worker1/variables/site_node_purposes": ["core"]},
    ),
    case(
        "one worker is, and others are taken where it is lost",
        {
            f"values/{AFFINITY}": "prefer",
            "hosts/head1/variables/site_node_purposes": ["core", "user"],
            "hosts/worker1/variables/site_node_purposes": ["core"],
        },
    ),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("losses") <= {rule for entry in CASES for rule, _, _ in entry.expected}
