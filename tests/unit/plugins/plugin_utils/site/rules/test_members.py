# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Machines that come, go, or change their place."""

from __future__ import annotations

from typing import Any

import pytest
from cluster_cases import change, cluster_site, found, rules_of, texts

RULES = {
    "role-changed",
    "node-name-taken",
    "removed-host-listed",
    "returning-node-unknown",
    "node-not-listed",
    "limit-leaves-proxy",
}
# As `host` of site_data numbers machines.
ID = {name: f"{number:032x}" for name, number in (("head1", 11), ("worker1", 21), ("worker2", 22))}
OTHER = "f" * 32
DAY = "2026-11-20T09:00:00Z"


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
        (
            "worker2",
            ("registry",),
            "workers",
            ("remove_node.yml -e node=worker2 -e confirm=worker2", "registry only"),
        ),
        (
            "worker2",
            ("proxy",),
            "workers",
            ("remove_node.yml -e node=worker2 -e confirm=worker2", "proxy only"),
        ),
        (
            "worker2",
            ("head",),
            "workers",
            ("remove_node.yml -e node=worker2 -e confirm=worker2", "head only"),
        ),
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
    assert "ffffffff..." in told
    # The machine that answers to this name is not the one that is to go.
    assert "remove_node.yml -e node=worker2 -e confirm=worker2 -e lost=true" in told


@pytest.mark.parametrize(
    "known", [ID["worker2"], ""], ids=["a node that was reset", "a node that never reported"]
)
def test_a_machine_that_is_itself_may_join_again(known: str) -> None:
    site = site_of({"hosts/head1/probe/members/nodes": {**ID, "worker2": known}}, new="worker2")
    assert judged(site) == set()


def removed(
    machine: Any = ID["worker2"],
    at: Any = DAY,
    changes: dict[str, Any] | None = None,
    *,
    new: str = "worker2",
) -> dict[str, Any]:
    """The site after worker2 was removed; it has joined where it is not new."""
    record = {"worker2": {"machine_id": machine, "at": at}}
    return site_of({"hosts/head1/probe/members/removed": record, **(changes or {})}, new=new)


def test_a_removed_host_that_is_still_listed_is_refused() -> None:
    assert judged(removed()) == {("removed-host-listed", "site_returning_nodes", "worker2")}
    told = texts(removed(), "removed-host-listed")
    assert "was removed from this cluster on 2026-11-20; a run would bring it in again" in told
    assert "take it out of hosts.yml" in told
    assert '-e \'{"site_returning_nodes": ["worker2"]}\'' in told


def test_another_machine_with_a_removed_ones_name_is_refused_and_told_apart() -> None:
    assert judged(removed(OTHER)) == judged(removed())
    told = texts(removed(OTHER), "removed-host-listed")
    assert "this is another machine of that name (machine-id ffffffff..., here 00000000...)" in told
    for known in (ID["worker2"], "", None):
        assert "another machine" not in texts(removed(known), "removed-host-listed")


@pytest.mark.parametrize("state", ["unreachable", "failed"])
def test_one_that_does_not_answer_is_refused_too(state: str) -> None:
    site = removed(OTHER)
    site["hosts"]["worker2"] |= {"state": state, "facts": {}, "probe": {}}
    assert judged(site) == {("removed-host-listed", "site_returning_nodes", "worker2")}
    assert "another machine" not in texts(site, "removed-host-listed")


def test_one_with_another_place_in_the_site_is_no_node() -> None:
    site = move(removed(), "worker2", "registry")
    assert judged(site) == set()


@pytest.mark.parametrize("at", [None, 5, ""])
def test_a_record_that_cannot_be_read_is_a_record(at: Any) -> None:
    told = texts(removed(at=at), "removed-host-listed")
    assert "was removed from this cluster; a run" in told


def test_one_that_is_to_return_may() -> None:
    for machine in (ID["worker2"], OTHER):
        assert judged(removed(machine, changes={"values/site_returning_nodes": ["worker2"]})) == set()
    assert judged(removed(changes={"values/site_returning_nodes": ["worker1"]})) != set()


def test_a_name_to_return_that_nobody_has_is_told() -> None:
    site = site_of({"values/site_returning_nodes": ["w9"]})
    assert judged(site) == {("returning-node-unknown", "site_returning_nodes", "")}


@pytest.mark.parametrize("returning", [[], ["worker2"]])
@pytest.mark.parametrize("known", [True, False], ids=["its node is there", "its node is gone"])
def test_a_removal_that_was_stopped_is_to_be_finished(returning: list[str], known: bool) -> None:
    """Whatever is said of returning: a kubelet without a node joins nothing."""
    nodes = ID if known else {name: machine for name, machine in ID.items() if name != "worker2"}
    changes = {"values/site_returning_nodes": returning, "hosts/head1/probe/members/nodes": nodes}
    site = removed(changes=changes, new="")
    assert judged(site) == {("removed-host-listed", "groups.workers", "worker2")}
    told = texts(site, "removed-host-listed")
    assert "its removal on 2026-11-20 was not finished" in told
    assert "playbooks/remove_node.yml -e node=worker2 -e confirm=worker2" in told


@pytest.mark.parametrize(
    ("joined", "was"), [(True, []), (False, ["workers"])], ids=["the kubelet's files", "the mark"]
)
def test_what_is_left_of_either_says_so(joined: bool, was: list[str]) -> None:
    left = {"hosts/worker2/probe/kubernetes/joined": joined, "hosts/worker2/probe/members/was": was}
    site = removed(changes=left)
    assert judged(site) == {("removed-host-listed", "groups.workers", "worker2")}


def strays(*names: str, **nodes: str) -> dict[str, Any]:
    """The site whose cluster has further nodes."""
    known = {**ID, **dict.fromkeys(names, OTHER), **nodes}
    return site_of({"hosts/head1/probe/members/nodes": known})


def test_nodes_that_hosts_yml_lacks_are_told_in_one_finding() -> None:
    site = strays("worker9", "gpu-3.lab.test")
    assert judged(site) == {("node-not-listed", "groups.workers", "")}
    [told] = texts(site, "node-not-listed").splitlines()
    assert "gpu-3.lab.test, worker9, and hosts.yml does not" in told
    assert "-e node=NAME -e confirm=NAME -e lost=true" in told
    assert "-e node=worker9 -e confirm=worker9 -e lost=true" in texts(strays("worker9"), "node-not-listed")


def test_a_node_that_was_removed_and_is_back_is_told_as_one() -> None:
    """Its machine was not lost, and its kubelet has registered it."""
    site = change(
        strays("worker9"), {"hosts/head1/probe/members/removed": {"worker9": {"machine_id": "", "at": DAY}}}
    )
    assert judged(site) == {("node-not-listed", "groups.workers", "")}
    assert "worker9 (removed on 2026-11-20, and back)" in texts(site, "node-not-listed")


def test_a_node_that_left_hosts_yml_is_told() -> None:
    site = site_of()
    site["groups"]["workers"].remove("worker2")
    del site["hosts"]["worker2"]
    assert judged(site) == {("node-not-listed", "groups.workers", "")}


@pytest.mark.parametrize("state", ["unasked", "unreachable", "failed"])
def test_a_node_that_does_not_answer_is_in_hosts_yml_all_the_same(state: str) -> None:
    site = site_of()
    site["hosts"]["worker2"] |= {"state": state, "facts": {}, "probe": {}}
    assert judged(site) == set()


def test_a_head_that_is_not_asked_tells_nothing() -> None:
    site = strays("worker9")
    site["hosts"]["head1"] |= {"state": "unasked", "facts": {}, "probe": {}}
    assert judged(site) == set()


def test_a_name_in_capitals_is_another_rules() -> None:
    site = strays()
    site["hosts"]["Worker2"] = site["hosts"].pop("worker2")
    site["groups"] = {
        group: ["Worker2" if name == "worker2" else name for name in names]
        for group, names in site["groups"].items()
    }
    assert "node-not-listed" not in {finding[0] for finding in found(site)}


def test_a_machine_whose_place_changed_is_told_once() -> None:
    site = move(site_of(), "worker2", "registry")
    assert judged(site) == {("role-changed", "groups.workers", "worker2")}
    new = move(strays("worker2"), "worker2", "registry")
    new["hosts"]["worker2"]["probe"]["members"]["was"] = []
    assert judged(new) == {("node-not-listed", "groups.workers", "")}, "and its node is another machine"


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
