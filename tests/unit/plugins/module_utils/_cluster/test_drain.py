# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Emptying a node: what moves, who is waited for, who is ended when that is asked for, and what is refused first."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.drain import (
    DrainError,
    DrainReport,
    cordon,
    drain,
    plan_drain,
    remove_node,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.node_pods import selects
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeError
from drain_cluster import DrainCluster

SESSION: dict[str, Any] = {"owner": "", "component": "singleuser-server"}
BUILD: dict[str, Any] = {"owner": "", "component": "binderhub-build", "restart": "Never"}


@pytest.fixture
def cluster() -> DrainCluster:
    return DrainCluster()


def empty(cluster: DrainCluster, *, seconds: float = 60, end: bool = False, **more: Any) -> DrainReport:
    return drain(cluster, "worker2", timeout_seconds=seconds, end_sessions=end, clock=cluster.clock, **more)


def closed(cluster: DrainCluster) -> bool:
    return bool(cluster.objects["/api/v1/nodes/worker2"]["spec"].get("unschedulable"))


def test_what_a_controller_starts_again_moves_at_once(cluster: DrainCluster) -> None:
    cluster.pod("hub-1")
    cluster.pod("proxy-1", owner="DaemonSet")
    cluster.pod("etcd-1", owner="Node", mirror="x")
    cluster.pod("job-1", owner="Job", phase="Succeeded")
    report = empty(cluster)
    assert (report.evicted, report.ended, report.waited_for) == (["binder/hub-1"], [], [])
    assert (report.cordoned, report.changed, closed(cluster)) == (True, True, True)
    assert cluster.on("worker2") == ["etcd-1", "job-1", "proxy-1"]
    assert report.seconds < 10
    again = empty(cluster)
    assert (again.changed, again.found) == (False, True)


def test_the_door_is_closed_before_anything_is_evicted(cluster: DrainCluster) -> None:
    """Else a scheduler could put it back."""
    cluster.pod("hub-1")
    empty(cluster)
    assert [verb for verb, _path in cluster.changes()] == ["PATCH", "POST"]


def test_people_are_waited_for(cluster: DrainCluster) -> None:
    cluster.pod("jupyter-ana", **SESSION, user="ana", ends_at=40)
    cluster.pod("build-1", **BUILD, ends_at=20)
    report = empty(cluster)
    assert (report.evicted, report.ended) == ([], [])
    assert report.waited_for == ["binder/build-1", "binder/jupyter-ana"]
    assert 40 <= report.seconds <= 44


def test_people_stay_where_nobody_said_otherwise(cluster: DrainCluster) -> None:
    cluster.pod("jupyter-ana", **SESSION, user="ana")
    cluster.pod("hub-1")
    with pytest.raises(DrainError) as refused:
        empty(cluster)
    told = str(refused.value)
    assert "worker2 is not empty after 60 s: 1 session: binder/jupyter-ana of ana (since 2026-" in told
    assert "end them by -e end_sessions=true" in told
    assert "playbook uncordon" in told
    # The rest has moved meanwhile, and nobody was thrown out.
    assert cluster.on("worker2") == ["jupyter-ana"]
    assert closed(cluster)


def test_people_are_ended_after_the_limit_where_that_is_asked_for(cluster: DrainCluster) -> None:
    cluster.pod("jupyter-ana", **SESSION, user="ana")
    cluster.pod("jupyter-bob", **SESSION, user="bob", ends_at=30)
    report = empty(cluster, end=True)
    assert (report.ended, report.waited_for) == (["binder/jupyter-ana"], ["binder/jupyter-bob"])
    # Not a second before the limit.
    assert 60 < report.seconds < 75
    assert cluster.on("worker2") == []


def test_a_budget_that_lets_go_later_is_waited_for(cluster: DrainCluster) -> None:
    cluster.pod("hub-1")
    cluster.pod("hub-2")
    cluster.budget("hub", "hub", wanted=1)
    report = empty(cluster)
    assert report.evicted == ["binder/hub-1", "binder/hub-2"]
    assert report.seconds > 10, "the second waits for the first one's heir"


def test_a_budget_that_can_never_be_met_is_named_first(cluster: DrainCluster) -> None:
    cluster.pod("hub-1")
    cluster.pod("other-1")
    cluster.budget("hub", "hub", wanted=1)
    with pytest.raises(DrainError) as refused:
        empty(cluster)
    told = str(refused.value)
    assert "binder/hub-1" in told
    assert "PodDisruptionBudget binder/hub, which wants 1 healthy of 1" in told
    assert "kubectl -n binder delete pdb hub" in told
    assert "Nothing was changed" in told
    assert cluster.changes() == []
    assert not closed(cluster)


def test_two_budgets_for_one_pod_are_named_first(cluster: DrainCluster) -> None:
    cluster.pod("hub-1")
    cluster.budget("one", "hub", wanted=0)
    cluster.budget("two", "hub", wanted=0)
    with pytest.raises(DrainError, match="binder/one and binder/two"):
        empty(cluster)
    assert cluster.changes() == []


@pytest.mark.parametrize(
    "state", [{"leaving": True, "ends_at": 8}, {"phase": "Pending"}], ids=["leaving", "pending"]
)
@pytest.mark.parametrize("budgets", [("one",), ("one", "two")])
def test_no_budget_keeps_what_is_leaving_or_has_not_begun(
    cluster: DrainCluster, state: dict[str, Any], budgets: tuple[str, ...]
) -> None:
    cluster.pod("hub-1", **state)
    for name in budgets:
        cluster.budget(name, "hub", wanted=1)
    empty(cluster)
    assert cluster.on("worker2") == []


def test_a_namespace_that_is_being_deleted_ends_its_pods_itself(cluster: DrainCluster) -> None:
    """The API forbids an eviction there, to administrators too."""
    cluster.pod("hub-1", ends_at=20)
    cluster.pod("jupyter-ana", **SESSION, user="ana", ends_at=20)
    cluster.closing.add("binder")
    report = empty(cluster, seconds=0, end=True)
    assert (report.evicted, report.ended) == ([], [])
    assert cluster.on("worker2") == []


def test_a_namespace_whose_deletion_hangs_is_named(cluster: DrainCluster) -> None:
    cluster.pod("hub-1")
    cluster.closing.add("binder")
    with pytest.raises(DrainError) as refused:
        empty(cluster)
    told = str(refused.value)
    assert "the namespace binder is being deleted, and pods in it are not yet" in told
    assert "kubectl get namespace binder -o yaml" in told
    assert "pdb" not in told
    assert closed(cluster)


def test_a_finalizer_is_named_beside_the_kubelet(cluster: DrainCluster) -> None:
    cluster.pod("hub-1", leaving=True, finalizers=["example.org/kept"])
    with pytest.raises(DrainError) as refused:
        empty(cluster)
    told = str(refused.value)
    assert "journalctl -u kubelet -n 50" in told
    assert "binder/hub-1 waits for its finalizer example.org/kept" in told


def test_a_pod_that_has_ended_may_be_kept_by_a_finalizer(cluster: DrainCluster) -> None:
    """Nothing of it runs on the node."""
    cluster.pod("hub-1", leaving=True, phase="Failed", finalizers=["example.org/kept"])
    assert empty(cluster).seconds < 10


def test_a_budget_that_stays_unmet_is_named_at_the_end(cluster: DrainCluster) -> None:
    cluster.pod("hub-1")
    cluster.pod("hub-2", "worker1")
    cluster.ready_at["hub-2"] = 1e9
    cluster.budget("hub", "hub", wanted=1)
    with pytest.raises(DrainError, match=r"binder/hub-1 is not let go: .*disruption budget.*get pdb"):
        empty(cluster)


def test_a_lone_pod_that_never_ends_is_named_first(cluster: DrainCluster) -> None:
    cluster.pod("toolbox", owner="")
    with pytest.raises(DrainError, match=r"toolbox.*started by no controller, never ends"):
        empty(cluster)
    assert cluster.changes() == []
    report = empty(cluster, seconds=0, end=True)
    assert report.ended == ["binder/toolbox"]


def test_a_lone_pod_that_ends_is_waited_for(cluster: DrainCluster) -> None:
    cluster.pod("probe", owner="", restart="Never", ends_at=10)
    assert empty(cluster).waited_for == ["binder/probe"]


def test_data_of_a_node_that_goes_for_good_are_a_reason(cluster: DrainCluster) -> None:
    cluster.volume("hub-db-dir", "worker2")
    cluster.volume("elsewhere", "worker1")
    with pytest.raises(DrainError, match="data of binder/hub-db-dir are on this node alone"):
        empty(cluster, for_good=True)
    assert cluster.changes() == []
    assert empty(cluster).found, "a node that comes back brings them along"


def test_no_time_is_enough_where_nobody_works(cluster: DrainCluster) -> None:
    cluster.pod("hub-1")
    assert empty(cluster, seconds=0).evicted == ["binder/hub-1"]


def test_a_node_that_is_not_there_is_empty(cluster: DrainCluster) -> None:
    report = drain(cluster, "worker9", timeout_seconds=0, end_sessions=False, clock=cluster.clock)
    assert (report.found, report.changed) == (False, False)
    assert not plan_drain(cluster, "worker9").found
    with pytest.raises(DrainError, match="has no node worker9"):
        cordon(cluster, "worker9")


def test_a_refusal_of_the_api_ends_it(cluster: DrainCluster) -> None:
    cluster.pod("hub-1")

    def forbid(verb: str, path: str, _body: Any) -> None:
        if path.endswith("/eviction"):
            raise KubeError("403 forbidden", 403)

    cluster.before = forbid
    with pytest.raises(KubeError, match="403"):
        empty(cluster)


def test_closing_and_opening(cluster: DrainCluster) -> None:
    assert [cordon(cluster, "worker2"), cordon(cluster, "worker2")] == [True, False]
    assert [cordon(cluster, "worker2", closed=False), cordon(cluster, "worker2", closed=False)] == [
        True,
        False,
    ]
    assert "unschedulable" not in cluster.objects["/api/v1/nodes/worker2"]["spec"]


def test_a_node_is_removed_once(cluster: DrainCluster) -> None:
    assert remove_node(cluster, "worker2", clock=cluster.clock)
    assert not remove_node(cluster, "worker2", clock=cluster.clock)


def test_the_last_head_is_not_removed(cluster: DrainCluster) -> None:
    with pytest.raises(DrainError, match="head1 is the last head"):
        remove_node(cluster, "head1", clock=cluster.clock)
    assert cluster.changes() == []
    cluster.objects["/api/v1/nodes/worker1"]["metadata"]["labels"][
        "node-role.kubernetes.io/control-plane"
    ] = ""
    assert remove_node(cluster, "head1", clock=cluster.clock)


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        (None, False),
        ({}, True),
        ({"matchLabels": {"a": "1"}}, True),
        ({"matchLabels": {"a": "2"}}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, False),
        ({"matchExpressions": [{"key": "b", "operator": "NotIn", "values": ["1"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, False),
        ({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "Exists"}]}, False),
    ],
)
def test_selectors_choose_as_the_api_says(selector: Any, chosen: bool) -> None:
    assert selects(selector, {"a": "1"}) is chosen
