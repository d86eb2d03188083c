# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Labels and taints on a cluster in memory."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.node_wishes import (
    NodeKeeper,
    TaintWish,
    Wish,
    differences,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.nodes import NodesError, read_node
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeError
from hand_clock import HandClock
from kube_memory import MemoryApi

PURPOSE, EXCLUDED = "hub.jupyter.org/node-purpose", "node.kubernetes.io/exclude-from-external-load-balancers"
MASTER = TaintWish("node-role.kubernetes.io/control-plane", "NoSchedule")
HEAD = Wish("head1", {PURPOSE: "core"}, [MASTER])
WORKER = Wish("worker1", {PURPOSE: "user"})


def cluster(**nodes: dict[str, Any]) -> MemoryApi:
    """Make a cluster of ready nodes, each with `labels`, `taints` and perhaps `ready`."""
    api = MemoryApi()
    for name, has in nodes.items():
        condition = {"type": "Ready", "status": str(has.get("ready", True)), "message": "cni missing"}
        api.objects[f"/api/v1/nodes/{name}"] = {
            "metadata": {"name": name, "resourceVersion": "1", "labels": has.get("labels", {})},
            "spec": {"taints": has["taints"]} if "taints" in has else {},
            "status": {"conditions": [condition]},
        }
    return api


def settle(
    api: MemoryApi, *wishes: Wish, timeout: float = 60, not_on_all: tuple[str, ...] = ()
) -> NodeKeeper:
    keeper = NodeKeeper(wishes, not_on_all)
    keeper.settle(api, "ready", timeout_seconds=timeout, clock=HandClock())
    return keeper


def test_labels_and_taints_once() -> None:
    """A check says what the run does, and the second run asks one question."""
    other = {"key": "gpu", "effect": "NoSchedule", "value": "a100"}
    api = cluster(head1={"labels": {"own": "kept"}}, worker1={"taints": [other]})
    wishes = [HEAD, Wish("worker1", {PURPOSE: "user"}, [TaintWish("gpu", "NoExecute")])]
    check = NodeKeeper(wishes)
    assert check.predict(api) == []
    assert api.changes() == []
    done = settle(api, *wishes)
    assert (check.changed, check.before, check.after) == (done.changed, done.before, done.after)
    assert done.changed
    assert done.before == {"head1": {"labels": {}, "taints": []}, "worker1": {"labels": {}, "taints": []}}
    assert done.after == {
        "head1": {
            "labels": {PURPOSE: "core"},
            "taints": ["node-role.kubernetes.io/control-plane=:NoSchedule"],
        },
        "worker1": {"labels": {PURPOSE: "user"}, "taints": ["gpu=:NoExecute"]},
    }
    assert done.nodes["head1"].labels == {"own": "kept", PURPOSE: "core"}
    assert list(done.nodes["worker1"].taints) == [other, {"key": "gpu", "effect": "NoExecute"}]
    api.asked.clear()
    again = settle(api, *wishes)
    assert (again.changed, api.asked) == (False, [("GET", "/api/v1/nodes")])


@pytest.mark.parametrize(
    ("has", "wish", "becomes"),
    [
        ([], TaintWish("a", "NoSchedule", present=False), None),
        ([{"key": "a", "effect": "NoSchedule"}], TaintWish("a", "NoSchedule"), None),
        ([{"key": "a", "effect": "NoSchedule"}], TaintWish("a", "NoSchedule", present=False), []),
        (
            [{"key": "a", "effect": "NoSchedule", "value": "1"}],
            TaintWish("a", "NoSchedule", "2"),
            [{"key": "a", "effect": "NoSchedule", "value": "2"}],
        ),
        (
            [{"key": "a", "effect": "NoExecute", "timeAdded": "2026-11-20T12:00:00Z"}],
            TaintWish("a", "NoSchedule", present=False),
            None,
        ),
    ],
)
def test_a_taint_is_its_key_and_effect(has: list[Any], wish: TaintWish, becomes: Any) -> None:
    node = read_node({"metadata": {"name": "n", "resourceVersion": "7"}, "spec": {"taints": has}})
    patch = differences(node, Wish("n", taints=[wish]))
    wanted = {} if becomes is None else {"spec": {"taints": becomes}, "metadata": {"resourceVersion": "7"}}
    assert patch == wanted


def test_a_label_comes_off() -> None:
    """A null takes off what is there, and is content where nothing is."""
    api = cluster(worker1={"labels": {PURPOSE: "user"}})
    assert settle(api, Wish("worker1", {PURPOSE: None})).after == {"worker1": {"labels": {}, "taints": []}}
    assert not settle(api, Wish("worker1", {PURPOSE: None})).changed


@pytest.mark.parametrize(
    ("labelled", "comes_off"), [(["head1"], ["head1"]), (["head1", "worker1"], ["head1"]), (["worker1"], [])]
)
def test_one_node_stays_without_a_label(labelled: list[str], comes_off: list[str]) -> None:
    """Where every node has it, and only there; also in a check, and also with other changes of that node."""
    names = ["head1"] if labelled == ["head1"] else ["worker1", "head1"]
    for wishes in ([HEAD], [Wish("head1")]):
        api = cluster(**{name: {"labels": {EXCLUDED: ""} if name in labelled else {}} for name in names})
        check = NodeKeeper(wishes, [EXCLUDED])
        check.predict(api)
        done = settle(api, *wishes, not_on_all=(EXCLUDED,))
        assert (check.before, check.after) == (done.before, done.after)
        kept = [name for name, node in done.nodes.items() if EXCLUDED in node.labels]
        assert sorted(kept) == sorted(set(labelled) - set(comes_off))
        assert not settle(api, *wishes, not_on_all=(EXCLUDED,)).changed


def test_a_node_that_changes_meanwhile_is_read_again() -> None:
    """The node controller takes its own taints off; ours is made from what is there then."""
    api = cluster(head1={"taints": [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]})

    def interfere(verb: str, path: str, _body: Any) -> None:
        if verb == "PATCH" and len(api.changes()) == 1:
            api.objects[path]["spec"] = {}
            api.objects[path]["metadata"]["resourceVersion"] = "2"

    api.before = interfere
    done = settle(api, HEAD)
    assert [entry["key"] for entry in done.nodes["head1"].taints] == [MASTER.key]
    assert len(api.changes()) == 2


def test_a_fight_is_told_as_one() -> None:
    api = cluster(head1={})

    def refuse(verb: str, _path: str, _body: Any) -> None:
        if verb == "PATCH":
            raise KubeError("409", 409, "the object has been modified")

    api.before = refuse
    with pytest.raises(
        NodesError, match="after 60 s: head1 is changed by somebody else at every attempt: the obj"
    ):
        settle(api, HEAD)


def test_what_was_done_is_known_where_a_node_stays_late() -> None:
    """The labels are on, and the reason names the node."""
    api = cluster(head1={}, worker1={"ready": False})
    keeper = NodeKeeper([HEAD, WORKER])
    with pytest.raises(NodesError, match="worker1 is not Ready: cni missing"):
        keeper.settle(api, "ready", timeout_seconds=60, clock=HandClock())
    assert keeper.changed
    assert sorted(keeper.after) == ["head1", "worker1"]


def test_nothing_is_changed_before_all_are_there() -> None:
    """A label that depends on all nodes needs all nodes; a check tells of what it can."""
    api = cluster(head1={"labels": {EXCLUDED: ""}})
    with pytest.raises(NodesError, match="worker1 has not joined"):
        settle(api, HEAD, WORKER, not_on_all=(EXCLUDED,))
    assert api.changes() == []
    check = NodeKeeper([HEAD, WORKER], [EXCLUDED])
    assert check.predict(api) == ["worker1 has not joined the cluster"]
    assert check.before == {"head1": {"labels": {}, "taints": []}, "worker1": {}}
    assert check.after["worker1"] == {"labels": {PURPOSE: "user"}, "taints": []}


def test_without_a_cluster_everything_is_to_come() -> None:
    keeper = NodeKeeper([HEAD, WORKER])
    keeper.expect_all()
    assert keeper.changed
    assert keeper.after["head1"]["labels"] == {PURPOSE: "core"}


def test_the_api_may_restart_in_the_middle_and_refusals_end_it() -> None:
    api = cluster(head1={})
    failures = [KubeError("gone"), KubeError("busy", 429), KubeError("starting", 503)]

    def fail(_verb: str, _path: str, _body: Any) -> None:
        if failures:
            raise failures.pop()

    api.before = fail
    assert settle(api, HEAD).changed

    def forbid(_verb: str, _path: str, _body: Any) -> None:
        raise KubeError("403 nodes is forbidden", 403)

    api.before = forbid
    with pytest.raises(KubeError, match="nodes is forbidden"):
        settle(api, HEAD)
