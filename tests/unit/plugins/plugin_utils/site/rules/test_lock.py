# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Another run at work is told before anything is looked at in earnest."""

from __future__ import annotations

from typing import Any

import pytest
from cluster_cases import change, cluster_site, found, rules_of, texts

RULE = "site-locked"
HOLDER = {"id": "3f9a0c21", "who": "alice@ctl1", "what": "site.yml", "pid": 411, "since": 1_800_000_000.0}


def locked(**changes: Any) -> dict[str, Any]:
    return change(cluster_site(), {"hosts/head1/probe/site_lock": HOLDER, **changes})


def judged(site: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {finding for finding in found(site) if finding[0] == RULE}


def test_it_says_who_since_when_and_how_to_break_it() -> None:
    site = locked()
    assert judged(site) == {(RULE, "", "head1")}
    told = texts(site, RULE)
    for word in ("alice@ctl1", "site.yml", "2027-01-15 08:00:00 UTC", "411", "-e site_lock_break=3f9a0c21"):
        assert word in told


@pytest.mark.parametrize(
    "changes",
    [
        {"hosts/head1/probe/site_lock": {}},
        {"controller/passable_locks": ["other", "3f9a0c21"]},
        {"values/site_lock_break": "3f9a0c21"},
    ],
    ids=["free", "of this run, or over", "to be broken"],
)
def test_nobody_is_kept_out_by(changes: dict[str, Any]) -> None:
    assert judged(locked(**changes)) == set()


@pytest.mark.parametrize(
    "changes", [{"controller/passable_locks": ["other"]}, {"values/site_lock_break": "3f9a"}]
)
def test_another_lock_is_not_meant(changes: dict[str, Any]) -> None:
    assert judged(locked(**changes)) == {(RULE, "", "head1")}


@pytest.mark.parametrize("since", [None, "soon", True, 1e300, -5, float("nan")])
def test_odd_words_of_a_head_break_nothing(since: Any) -> None:
    assert judged(locked(**{"hosts/head1/probe/site_lock": {**HOLDER, "since": since}})) == {
        (RULE, "", "head1")
    }


def test_every_rule_of_the_file_is_tried() -> None:
    assert rules_of("lock") == {RULE}
