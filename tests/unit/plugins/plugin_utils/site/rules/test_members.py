# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Machines that come, go, or change their place."""

from __future__ import annotations

from typing import Any

import pytest
from cluster_cases import change, cluster_site, found, rules_of, texts

RULES = {"role-changed", "node-name-taken", "removed-host-listed", "limit-leaves-proxy"}
# As `host` of site_data numbers machines.
ID = {name: f"{number:032x}" for name, number in (("head1", 11), ("worker1", 21), ("worker2", 22))}
OTHER = "f" * 32
DAY = 1_790_000_000.0


def site_of(changes: dict[str, Any] | None = None, *, new: str = "") -> dict[str, Any]:
    """The running site, in which each machine is what the inventory says, and one worker may be new."""
    site = cluster_site()
    places = {
        "head1": "head",
        "worker1": "workers",
        "worker2": "workers",
        "proxy1": "proxy",
        "mirror1": "registry",
    }
    for name, host in site["hosts"].items():
        place = places.get(name, "")
        host["probe"]["members"] = {"was": [place] if name in site["groups"].get(place, []) else []}
    site["hosts"]["head1"]["probe"]["members"] |= {"nodes": dict(ID), "removed": {}}
    if new:
        site["hosts"][new]["probe"]["kubernetes"]["joined"] = False
        site["hosts"][new]["probe"]["cluster"]["networks"] = []
        site["hosts"][new]["probe"]["members"]["was"] = []
        del site["hosts"]["head1"]["probe"]["members"]["nodes"][new]
    return change(site, changes or {})


def judged(site: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {finding for finding in found(site) if finding[0] in RULES}


def move(site: dict[str, Any], name: str, *groups: str) -> dict[str, Any]:
    for members in site["groups"].values():
        if name in members:
            members.remove(name)
    for group in groups:
        site["groups"].setdefault(group, []).append(name)
    return site


def test_a_running_site_and_a_new_worker_are_as_they_should_be() -> None:
    assert judged(site_of()) == set()
    assert judged(site_of(new="worker2")) == set()


@pytest.mark.parametrize(
    ("name", "groups", "was", "words"),
    [
        ("worker2", ("registry",), "workers", ("remove_node.yml -e confirm=worker2", "registry only")),
        ("worker2", ("proxy",), "workers", ("remove_node.yml -e confirm=worker2", "proxy only")),
        ("worker2", ("head",), "workers", ("remove_node.yml -e confirm=worker2", "head only")),
        ("head1", ("workers",), "head", ("leave it in head", "workers only")),
        ("proxy1", ("workers",), "proxy", ("apt-get purge nginx", "workers only")),
    ],
)
def test_a_change_of_role_is_refused_with_the_way_to_go(
    name: str, groups: tuple[str, ...], was: str, words: tuple[str, ...]
) -> None:
    site = move(site_of(), name, *groups)
    assert ("role-changed", f"groups.{was}", name) in judged(site)
    for word in words:
        assert word in texts(site, "role-changed")


def test_one_more_role_is_no_change() -> None:
    site = site_of()
    site["groups"].setdefault("registry", []).append("worker2")
    assert "role-changed" not in {finding[0] for finding in judged(site)}


def test_a_new_machine_with_the_name_of_a_node_is_refused() -> None:
    site = site_of({"hosts/head1/probe/members/nodes": {**ID, "worker2": OTHER}}, new="worker2")
    assert judged(site) == {("node-name-taken", "groups.workers", "worker2")}
    told = texts(site, "node-name-taken")
    assert "ffffffff..." in told and "remove_node.yml -e confirm=worker2" in told


@pytest.mark.parametrize(
    "known", [ID["worker2"], ""], ids=["a node that was reset", "a node that never reported"]
)
def test_a_machine_that_is_itself_may_join_again(known: str) -> None:
    site = site_of({"hosts/head1/probe/members/nodes": {**ID, "worker2": known}}, new="worker2")
    assert judged(site) == set()


def removed(
    machine: str = ID["worker2"], since: Any = DAY, changes: dict[str, Any] | None = None
) -> dict[str, Any]:
    record = {"worker2": {"machine_id": machine, "since": since}}
    return site_of({"hosts/head1/probe/members/removed": record, **(changes or {})}, new="worker2")


def test_a_removed_host_that_is_still_listed_is_refused() -> None:
    assert judged(removed()) == {("removed-host-listed", "site_returning_nodes", "worker2")}
    told = texts(removed(), "removed-host-listed")
    assert "2026-09-21" in told and '-e \'{"site_returning_nodes": ["worker2"]}\'' in told
    assert "another machine" not in told
    assert "another machine of that name" in texts(removed(OTHER), "removed-host-listed")


@pytest.mark.parametrize("since", [None, "then", True, -1, 1e300])
def test_odd_times_are_some_day(since: Any) -> None:
    assert "on some day" in texts(removed(since=since), "removed-host-listed")


def test_one_that_is_to_return_may() -> None:
    assert judged(removed(changes={"values/site_returning_nodes": ["worker2"]})) == set()
    assert judged(removed(changes={"values/site_returning_nodes": ["worker1"]})) != set()


def test_one_that_has_returned_is_a_node_like_others() -> None:
    record = {"worker2": {"machine_id": ID["worker2"], "since": DAY}}
    assert judged(site_of({"hosts/head1/probe/members/removed": record})) == set()


def test_a_proxy_that_limit_leaves_out_is_told() -> None:
    site = site_of(new="worker2")
    site["hosts"]["proxy1"] |= {"state": "unasked", "facts": {}, "probe": {}}
    assert judged(site) == {("limit-leaves-proxy", "groups.proxy", "worker2")}
    assert "--limit head:workers:proxy" in texts(site, "limit-leaves-proxy")
    joined = site_of()
    joined["hosts"]["proxy1"] |= {"state": "unasked", "facts": {}, "probe": {}}
    assert judged(joined) == set()


def test_every_rule_of_the_file_is_tried() -> None:
    assert rules_of("members") == RULES
