# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Runs of a part of the site: a worker that joins alone would be one that others do not reach."""

from __future__ import annotations

from typing import Any

import pytest
from cluster_cases import bare_site, change, cluster_site, found, rules_of, texts

RULE = "limit-cuts-routes"
PROVIDER = "site_pod_network_provider"


def limited(*names: str, new: str = "worker2", **values: Any) -> dict[str, Any]:
    """The running site, in which one worker is new, looked at with --limit."""
    site = change(cluster_site(), {f"values/{name}": value for name, value in values.items()})
    if new:
        site["hosts"][new]["probe"]["kubernetes"]["joined"] = False
        site["hosts"][new]["probe"]["cluster"]["networks"] = []
    for name, host in site["hosts"].items():
        if name not in names:
            host |= {"state": "unasked", "facts": {}, "probe": {}}
    return site


def judged(site: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {finding for finding in found(site) if finding[0] == RULE}


@pytest.mark.parametrize(
    "names", [("worker2",), ("worker2", "worker1"), ("worker2", "head1"), ("worker2", "proxy1")]
)
def test_a_worker_that_joins_needs_all_others(names: tuple[str, ...]) -> None:
    site = limited(*names)
    assert judged(site) == {(RULE, PROVIDER, "worker2")}
    told = texts(site, RULE)
    for left in {"head1", "worker1"} - set(names):
        assert left in told
    assert "--limit head:workers" in told


@pytest.mark.parametrize(
    "site",
    [
        limited("head1", "worker1", "worker2"),
        limited("worker1"),
        limited("worker2", new=""),
        limited("proxy1"),
        limited("worker2", site_pod_network_provider="calico"),
    ],
    ids=[
        "all nodes",
        "one that has joined",
        "all have joined",
        "no node",
        "a provider that tells its nodes itself",
    ],
)
def test_what_leaves_nobody_behind_is_not_refused(site: dict[str, Any]) -> None:
    assert judged(site) == set()


def test_without_a_cluster_nobody_can_be_left_behind() -> None:
    site = bare_site()
    for name in ("worker2", "proxy1"):
        site["hosts"][name] |= {"state": "unasked", "facts": {}, "probe": {}}
    assert judged(site) == set()


def test_a_machine_that_is_down_is_another_finding() -> None:
    site = limited("head1", "worker1", "worker2")
    site["hosts"]["worker1"] |= {"state": "unreachable", "facts": {}, "probe": {}}
    assert judged(site) == set()


def test_every_rule_of_the_file_is_tried() -> None:
    assert rules_of("limits") == {RULE}
