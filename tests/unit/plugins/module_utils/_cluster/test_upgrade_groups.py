# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Which nodes have their turn together, which of them are emptied, and what an upgrade that was stopped leaves for the others."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.upgrade_facts import (
    TURN,
    read_cluster,
    read_machines,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.upgrade_model import (
    Plan,
    Targets,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.upgrade_plan import make_plan
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.upgrade_words import describe
from recorded_cluster import RecordedApi, recorded

WANTED = Targets("1.36.3", "1.36.3", "2.4.2")
BEFORE = "1.35.4"
HEAD, TAINT = "head1", "node-role.kubernetes.io/control-plane"


def site(*workers: str, done: tuple[str, ...] = (HEAD,)) -> RecordedApi:
    """The recorded head and these workers, without any pods, all of them behind but for `done`."""
    api = recorded()
    like = api.node("worker1")
    for path in [path for path in api.objects if "/pods/" in path or "/nodes/worker" in path]:
        del api.objects[path]
    for name in workers:
        labels = {**like["metadata"]["labels"], "kubernetes.io/hostname": name}
        api.objects[f"/api/v1/nodes/{name}"] = {
            **like,
            "metadata": {"name": name, "labels": labels},
            "spec": {},
            "status": {**like["status"], "nodeInfo": dict(like["status"]["nodeInfo"])},
        }
    for name in {HEAD, *workers} - {*done}:
        api.node(name)["status"]["nodeInfo"]["kubeletVersion"] = f"v{BEFORE}"
    return api


def begin(api: RecordedApi, name: str, was: str = "schedulable", *, down: bool = False) -> None:
    """Leave a node as a run that was stopped in its turn does, with what Kubernetes itself adds to a cordon."""
    item = api.node(name)
    item["metadata"]["annotations"] = {TURN: was}
    item["spec"]["unschedulable"] = True
    taints = [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]
    if down:
        item["status"]["conditions"] = [{"type": "Ready", "status": "Unknown", "message": "silent"}]
        taints += [
            {"key": "node.kubernetes.io/unreachable", "effect": effect}
            for effect in ("NoSchedule", "NoExecute")
        ]
    item["spec"]["taints"] = [*item["spec"].get("taints", ()), *taints]


def keep(api: RecordedApi, name: str, node: str, *homes: str) -> None:
    """Have a pod of a hub on a node that only this one and `homes` take."""
    api.add_pod(name, node, name)
    values = [node, *homes]
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": values}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    api.objects[f"/api/v1/pods/{name}"]["spec"]["affinity"] = {"nodeAffinity": required}


def planned(api: RecordedApi, batch: int = 1, *, left_out: tuple[str, ...] = ()) -> Plan:
    names = [path.rpartition("/")[2] for path in api.objects if path.startswith("/api/v1/nodes/")]
    given: list[dict[str, Any]] = [
        {"name": name, "is_head": name == HEAD} for name in names if name not in left_out
    ]
    return make_plan(read_cluster(api), read_machines(api, given), WANTED, batch=batch)


def turns(plan: Plan) -> list[str]:
    """Steps as "worker1 worker2*": those with a star are not emptied."""
    assert plan.problems == ()
    return [
        " ".join(name + ("" if name in step.drain else "*") for name in step.hosts)
        for step in plan.steps
        if step.kind == "node"
    ]


@pytest.mark.parametrize(
    ("was", "down", "expected"),
    [
        ("schedulable", False, ["worker1", "worker2"]),
        # Its kubelet is what stopped the upgrade: no other begins its turn before that one is well again.
        ("schedulable", True, ["worker1", "worker2"]),
        # It is an admin's, and cordoned afterwards, too.
        ("cordoned", False, ["worker1", "worker2*"]),
    ],
)
def test_what_a_stopped_upgrade_has_left_is_emptied_as_planned_at_first(
    was: str, down: bool, expected: list[str]
) -> None:
    api = site("worker1", "worker2")
    keep(api, "hub", "worker2", "worker1")
    assert turns(planned(api)) == ["worker1", "worker2"]
    begin(api, "worker1", was, down=down)
    assert turns(planned(api)) == expected


def test_a_turn_that_does_not_end_in_this_run_gives_no_home() -> None:
    """The node is left out by --limit, or the head comes before it."""
    api = site("worker1", "worker2")
    begin(api, "worker1")
    assert turns(planned(api, left_out=("worker1",))) == ["worker2*"]
    behind = site("worker1", "worker2", done=())
    keep(behind, "binder", HEAD, "worker1")
    begin(behind, "worker1")
    assert turns(planned(behind)) == ["head1*", "worker1", "worker2"]


def test_an_admins_cordon_stays_one_whoever_opened_the_node_meanwhile() -> None:
    api = site("worker1", "worker2")
    begin(api, "worker1", "cordoned")
    api.node("worker1")["spec"] = {}
    assert turns(planned(api)) == ["worker1", "worker2*"]


@pytest.mark.parametrize("stopped", [(), ("worker1", "worker2")])
def test_nodes_that_need_each_other_have_their_turns_apart(stopped: tuple[str, ...]) -> None:
    api = site("worker1", "worker2", "worker3")
    keep(api, "hub", "worker1", "worker2")
    keep(api, "proxy", "worker2", "worker1")
    for name in stopped:
        begin(api, name)
    first = "worker1*" if stopped else "worker1"  # worker2 takes nothing until its own turn has ended
    assert turns(planned(api)) == [first, "worker2", "worker3"]
    assert turns(planned(api, batch=2)) == [first, "worker2 worker3"]


def test_one_that_is_needed_by_the_next_has_ended_its_turn_before() -> None:
    api = site("worker1", "worker2", "worker3")
    keep(api, "hub", "worker2", "worker1")
    begin(api, "worker1")
    assert turns(planned(api, batch=2)) == ["worker1", "worker2 worker3"]


def test_one_that_only_the_next_takes_pods_of_goes_before_that() -> None:
    api = site("worker1", "worker2", "worker3")
    keep(api, "hub", "worker1", "worker2")
    assert turns(planned(api, batch=2)) == ["worker1", "worker2 worker3"]


def test_each_of_a_batch_is_emptied_or_not_for_itself() -> None:
    api = site("core1", "worker1", "worker2")
    keep(api, "hub", "core1")
    for at in range(9):
        api.add_pod(f"jupyter-{at}", "worker1", "singleuser-server")
    plan = planned(api, batch=2)
    assert turns(plan) == ["core1* worker1", "worker2"]
    [core, user] = plan.steps[0].notices
    assert "core1 is not emptied, as no other node takes hub in binder" in core
    assert user == "9 sessions on worker1 are waited for"
    machines = read_machines(api, [{"name": HEAD, "is_head": True}])
    lines = describe(read_cluster(api), machines, WANTED, plan)
    assert "  1. core1, worker1: upgrade core1 in place, empty and upgrade worker1, prove healthy" in lines


@pytest.mark.parametrize(
    ("tainted", "expected"), [(True, ["worker1", "worker2"]), (False, ["worker1 worker2"])]
)
def test_a_head_in_its_turn_counts_where_it_will_take_pods(tainted: bool, expected: list[str]) -> None:
    api = site("worker1", "worker2")
    api.node(HEAD)["spec"]["taints"] = [{"key": TAINT, "effect": "NoSchedule"}] if tainted else []
    begin(api, HEAD)
    assert turns(planned(api, batch=2))[1:] == expected


def test_nodes_that_take_nothing_anyway_have_their_turns_apart() -> None:
    api = site("worker1", "worker2")
    for name in ("worker1", "worker2"):
        api.node(name)["spec"]["unschedulable"] = True
    assert turns(planned(api, batch=2)) == ["worker1*", "worker2*"]


def store(
    api: RecordedApi, claim: str, node: str, phase: str = "Bound", *, key: str = "kubernetes.io/hostname"
) -> None:
    """Have the volume of a claim on a node's own disk, as local-path-provisioner makes it."""
    term = {"matchExpressions": [{"key": key, "operator": "In", "values": [node]}]}
    api.objects[f"/api/v1/persistentvolumes/pvc-{claim}"] = {
        "metadata": {"name": f"pvc-{claim}"},
        "spec": {
            "claimRef": {"namespace": "binder", "name": claim},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
        },
        "status": {"phase": phase},
    }


def use(api: RecordedApi, pod: str, claim: str) -> None:
    """Have a pod of the hub's namespace use a claim of that."""
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": claim}}
    api.objects[f"/api/v1/pods/{pod}"]["spec"]["volumes"] = [{"name": "config", "configMap": {}}, volume]


def test_a_hub_whose_database_is_on_one_node_stays_up_there() -> None:
    """Evicted it would be Pending until the node is back, for as long as sessions are waited for, and after a stop for longer."""
    api = site("worker1", "worker2")
    api.add_pod("hub", "worker1", "hub")
    api.add_pod("proxy", "worker2", "proxy")
    use(api, "hub", "hub-db-dir")
    assert turns(planned(api)) == ["worker1", "worker2"]
    store(api, "hub-db-dir", "worker1")
    plan = planned(api)
    assert turns(plan) == ["worker1*", "worker2"]
    assert (
        "takes hub in binder (its volume hub-db-dir is on worker1 alone): what runs"
        in plan.steps[0].notices[0]
    )
    # Others of its namespace go where they like.
    assert "proxy in binder move from worker2" in plan.steps[1].notices[0]


def test_volumes_that_a_pod_does_not_need_where_it_is_or_finds_elsewhere_keep_nobody() -> None:
    api = site("worker1", "worker2")
    api.add_pod("hub", "worker1", "hub")
    use(api, "hub", "hub-db-dir")
    store(api, "other", "worker1")
    store(api, "hub-db-dir", "worker1", "Released")
    assert turns(planned(api)) == ["worker1", "worker2"]
    for name in ("worker1", "worker2"):
        api.node(name)["metadata"]["labels"]["zone"] = "a"
    store(api, "hub-db-dir", "a", key="zone")
    assert turns(planned(api)) == ["worker1", "worker2"]
    # A volume of a file server says nothing of nodes.
    del api.objects["/api/v1/persistentvolumes/pvc-hub-db-dir"]["spec"]["nodeAffinity"]
    assert turns(planned(api)) == ["worker1", "worker2"]
    # Sessions end, and do not move.
    api.add_pod("jupyter-1", "worker2", "singleuser-server")
    use(api, "jupyter-1", "claim-ada")
    store(api, "claim-ada", "worker2")
    assert turns(planned(api)) == ["worker1", "worker2"]


def test_a_volume_is_no_home_where_the_pod_may_not_be() -> None:
    """Its volume fits both nodes and its own word only this one: then it is not the volume that keeps it."""
    api = site("worker1", "worker2")
    keep(api, "hub", "worker1")
    use(api, "hub", "hub-db-dir")
    for name in ("worker1", "worker2"):
        api.node(name)["metadata"]["labels"]["zone"] = "a"
    store(api, "hub-db-dir", "a", key="zone")
    plan = planned(api)
    assert turns(plan) == ["worker1*", "worker2"]
    assert "takes hub in binder: what runs" in plan.steps[0].notices[0]


def test_people_are_told_who_is_not_waited_for() -> None:
    api = site("worker1")
    api.add_pod("jupyter-1", "worker1", "singleuser-server")
    api.add_pod("build-1", "worker1", "binderhub-build")
    [told, people] = planned(api).steps[0].notices
    assert "no other node takes pods at all" in told
    assert (
        people == "1 sessions and 1 builds on worker1 are not waited for; builds end where Docker is replaced"
    )
