# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/maintenance.py by a bad site of its own, and what the findings say."""

from __future__ import annotations

from typing import Any

import pytest
from site_cases import Case, case, found, rules_in, texts, value

NOTE = {"node": "worker1", "at": "2026-11-20T09:00:00Z"}
NOTED = {"hosts/head1/probe/kubernetes/removed_nodes": [NOTE]}
JOINED = {"hosts/worker1/probe/kubernetes/joined": True}
RULE, AGAIN = "removed-host-in-inventory", "site_nodes_added_again"
CASES = [
    case("a removed host", NOTED, (RULE, AGAIN, "worker1")),
    case(
        "a note that nobody can read",
        {"hosts/head1/probe/kubernetes/removed_nodes": [{"node": "worker1", "at": ""}]},
        (RULE, AGAIN, "worker1"),
    ),
    case("it is to join again", {**NOTED, f"values/{AGAIN}": ["worker1"]}),
    case(
        "somebody else was removed", {"hosts/head1/probe/kubernetes/removed_nodes": [{**NOTE, "node": "w9"}]}
    ),
    case("a name that nobody has", {f"values/{AGAIN}": ["w9"]}, ("added-again-unknown", AGAIN, "")),
    value(
        "a build of less than no time",
        "site_build_max_age_seconds",
        -1,
        ("maintenance-seconds-malformed", "site_build_max_age_seconds", ""),
    ),
    value(
        "a wait of less than no time",
        "site_drain_timeout_seconds",
        -1,
        ("maintenance-seconds-malformed", "site_drain_timeout_seconds", ""),
    ),
    value("builds of any age", "site_build_max_age_seconds", 0),
]


@pytest.mark.parametrize("one", CASES, ids=[one.name for one in CASES])
def test_exactly_what_is_wrong_is_found(one: Case) -> None:
    assert found(one.site()) == one.expected


def test_every_rule_has_a_case() -> None:
    assert rules_in("maintenance") == {rule for one in CASES for rule, _variable, _host in one.expected}


def stopped(**changes: Any) -> dict[str, Any]:
    """A site in which a removal was stopped after the node was deleted."""
    return Case("", {**NOTED, **JOINED, **changes}, frozenset(), running=True).site()


def test_a_removal_that_was_stopped_is_to_be_finished() -> None:
    """Whatever is said of joining again: a kubelet without a node joins nothing."""
    for changes in ({}, {f"values/{AGAIN}": ["worker1"]}):
        [text] = texts(stopped(**changes), RULE)
        assert text.startswith("its removal on 2026-11-20 was not finished -> finish it: ")
        assert "playbooks/remove_node.yml -e node=worker1 -e confirm=worker1" in text


def test_the_remedy_names_both_ways() -> None:
    [text] = texts(case("", NOTED).site(), RULE)
    assert "was removed from this site on 2026-11-20" in text
    assert "take it out of hosts.yml" in text
    assert f"{AGAIN}: [worker1]" in text
