# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""How long a pod stays with a lost node, beside what else it tolerates."""

from __future__ import annotations

from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.lost_nodes import (
    staying,
    with_staying,
)


def test_both_kinds_of_loss_and_nothing_for_ever() -> None:
    assert {entry["key"].rpartition("/")[2] for entry in staying(10)} == {"unreachable", "not-ready"}
    assert {(entry["effect"], entry["tolerationSeconds"]) for entry in staying(0)} == {("NoExecute", 0)}


def test_others_stay_and_ours_are_there_once() -> None:
    others = [
        {"key": "CriticalAddonsOnly", "operator": "Exists"},
        {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoSchedule"},
    ]
    assert with_staying(with_staying(others, 300), 10) == [*others, *staying(10)]
