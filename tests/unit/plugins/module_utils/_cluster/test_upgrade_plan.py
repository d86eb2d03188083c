# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Plans for a recorded cluster in every state that an upgrade can find or leave it in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.upgrade_facts import (
    TURN,
    read_cluster,
    read_machines,
    read_removed,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.upgrade_model import (
    Plan,
    RemovedApi,
    Targets,
    Words,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.upgrade_plan import make_plan
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.upgrade_words import describe
from recorded_cluster import RecordedApi, recorded

NAMES = ("head1", "worker1", "worker2")
GIVEN = [{"name": name, "is_head": name == "head1", "docker": "29.8.1"} for name in NAMES]
WANTED = Targets("1.36.3", "1.36.3", "2.4.2", "29.8.1")
BEFORE = "1.35.4"


def planned(api: RecordedApi, targets: Targets = WANTED, given: Any = GIVEN, **more: Any) -> Plan:
    return make_plan(read_cluster(api), read_machines(api, given), targets, **more)


def shape(plan: Plan) -> list[tuple[str, tuple[str, ...]]]:
    return [(step.kind, step.hosts) for step in plan.steps]


def nodes(*names: str) -> list[tuple[str, tuple[str, ...]]]:
    return [("node", (name,)) for name in names]


CONTROL_PLANE = [("snapshot", ("head1",)), ("control_plane", ("head1",))]


@pytest.mark.parametrize(
    ("cluster", "expected"),
    [
        ({}, []),
        ({"api": BEFORE}, [*CONTROL_PLANE, *nodes(*NAMES)]),
        ({"api": "1.36.1"}, [*CONTROL_PLANE, *nodes(*NAMES)]),
        # Killed after the API, after kubeadm's configuration, and after the control plane.
        (
            {"configured": BEFORE, "proxy": BEFORE, "kubelets": dict.fromkeys(NAMES, BEFORE)},
            [*CONTROL_PLANE, *nodes(*NAMES)],
        ),
        ({"proxy": BEFORE}, CONTROL_PLANE),
        ({"kubelets": dict.fromkeys(NAMES, BEFORE)}, nodes(*NAMES)),
        ({"kubelets": {"worker1": BEFORE, "worker2": "1.33.9"}}, nodes("worker1", "worker2")),
        ({"containerd": {"worker2": "2.3.0"}}, nodes("worker2")),
    ],
)
def test_what_is_left_follows_from_what_runs(cluster: dict[str, Any], expected: Any) -> None:
    plan = planned(recorded(**cluster))
    assert (plan.problems, shape(plan)) == ((), expected)
    assert set(plan.done) == set(NAMES) - {name for _kind, hosts in expected for name in hosts}


def test_docker_alone_is_a_turn_too() -> None:
    given = [{**entry, "docker": "28.1.0" if entry["name"] == "worker1" else "29.8.1"} for entry in GIVEN]
    plan = planned(recorded(), given=given)
    assert [step.changes for step in plan.steps] == [("worker1: Docker 28.1.0 to 29.8.1",)]
    # And nobody's, where none builds.
    assert planned(recorded(), given=[{**entry, "docker": ""} for entry in GIVEN]).steps == ()


def test_a_node_whose_turn_has_begun_is_first_and_is_brought_to_its_end() -> None:
    api = recorded(kubelets={"worker1": BEFORE})
    api.node("worker2")["metadata"]["annotations"] = {TURN: "schedulable"}
    api.node("worker2")["spec"]["unschedulable"] = True
    # It may well be down: that is what stopped the upgrade.
    api.node("worker2")["status"]["conditions"][0]["status"] = "False"
    plan = planned(api)
    assert (plan.problems, shape(plan)) == ((), nodes("worker2", "worker1"))
    assert plan.steps[0].changes == ("worker2: to be brought to its end",)
    assert "begun, goes on first" in "\n".join(
        describe(read_cluster(api), read_machines(api, GIVEN), WANTED, plan)
    )


def test_workers_may_stay_behind() -> None:
    plan = planned(recorded(BEFORE), replace(WANTED, nodes=BEFORE))
    assert shape(plan) == [*CONTROL_PLANE, ("node", ("head1",))]
    assert plan.done == ("worker1", "worker2")


@pytest.mark.parametrize(
    ("cluster", "targets", "words"),
    [
        ({"api": "1.34.2"}, {}, "one minor version at a time. Set it to a 1.35"),
        ({"api": "2.0.0"}, {}, "never goes back"),
        ({"api": "1.36.3"}, {"control_plane": "2.0.0", "nodes": "2.0.0"}, "no upgrade leads from one major"),
        ({"api": "1.36.4"}, {}, "never goes back. Set it to 1.36.4"),
        ({"api": "1.37.0"}, {}, "never goes back. Set it to 1.37.0"),
        ({}, {"nodes": "1.36.4"}, "nodes must not be newer"),
        ({}, {"nodes": "1.32.9"}, "nodes may be 3 minor versions behind"),
        ({}, {"control_plane": "1.36"}, "not exactly one version"),
        ({"api": BEFORE, "kubelets": {"worker1": "1.32.1"}}, {}, "the kubelet of worker1 is 1.32.1"),
        ({"api": BEFORE, "kubelets": {"worker1": "1.36.3"}}, {}, "put the older kubelet back"),
        (
            {"kubelets": {"worker2": "1.36.4"}},
            {},
            "site_kubernetes_nodes_version is 1.36.3 and worker2 runs kubelet 1.36.4",
        ),
        (
            {"kubelets": {"head1": "1.36.4"}},
            {},
            "site_kubernetes_version is 1.36.3 and head1 runs kubelet 1.36.4: nothing goes back",
        ),
        (
            {"containerd": {"worker2": "2.5.0"}},
            {},
            "site_containerd_version is 2.4.2 and worker2 runs containerd 2.5.0",
        ),
        ({}, {"docker": "29.0.0"}, "site_docker_version is 29.0.0 and head1 runs Docker 29.8.1"),
    ],
)
def test_what_must_not_begin(cluster: dict[str, Any], targets: dict[str, str], words: str) -> None:
    plan = planned(recorded(**cluster), replace(WANTED, **targets))
    assert words in " / ".join(plan.problems)
    assert plan.steps == ()


@pytest.mark.parametrize(
    ("cluster", "targets", "words"),
    [
        ({"api": "1.36.4"}, {"nodes": BEFORE}, ["the control plane 1.36.4: Kubernetes never goes back"]),
        ({"api": BEFORE, "kubelets": {"head1": "1.36.4"}}, {}, ["put the older kubelet back"]),
        ({"kubelets": {"worker1": "1.37.0"}}, {}, ["put the older kubelet back"]),
        (
            {"kubelets": {"head1": "1.36.4", "worker1": "1.36.4"}},
            {},
            ["head1 runs kubelet", "worker1 runs kubelet"],
        ),
    ],
)
def test_what_goes_back_is_told_once(
    cluster: dict[str, Any], targets: dict[str, str], words: list[str]
) -> None:
    cluster = {**cluster, "kubelets": dict.fromkeys(NAMES[1:], BEFORE) | cluster.get("kubelets", {})}
    problems = planned(recorded(**cluster), replace(WANTED, **targets)).problems
    assert len(problems) == len(words)
    assert all(word in problem for word, problem in zip(words, problems, strict=True))


def test_a_kubelet_three_minor_versions_behind_goes_with_the_api() -> None:
    """And the one behind that is refused before the API is upgraded, not after."""
    plan = planned(recorded(BEFORE, {"worker1": "1.33.1"}))
    assert plan.problems == ()


def test_machines_that_are_no_nodes() -> None:
    """site.yml, which makes them nodes, refuses while versions differ; so an upgrade says how to go on without them."""
    given = [*GIVEN, {"name": "worker3"}, {"name": "worker4"}]
    first, second = planned(recorded(BEFORE), given=given).problems
    assert first == (
        "worker3 is no node of the cluster: run this with --limit '!worker3:!worker4', and site.yml afterwards; or remove it "
        "from the inventory"
    )
    assert second.startswith("worker4 is no node")
    assert planned(recorded(BEFORE)).problems == ()
    given = [{"name": "head2", "is_head": True}, *GIVEN]
    assert planned(recorded(), given=given).problems == (
        "head2 is no node of the cluster: run site.yml, or remove it from the inventory",
    )


def test_a_node_that_is_down_before_it_begins() -> None:
    api = recorded(BEFORE)
    api.node("worker2")["status"]["conditions"][0] |= {
        "status": "Unknown",
        "message": "kubelet stopped posting",
    }
    assert planned(api).problems == (
        "worker2 is not Ready (kubelet stopped posting): repair it first, or remove it from the site",
    )


def test_left_out_nodes_count_and_are_left_alone() -> None:
    """Those that --limit leaves out, and those that the inventory does not name."""
    only = [entry for entry in GIVEN if entry["name"] == "worker1"]
    plan = planned(recorded(kubelets=dict.fromkeys(NAMES, BEFORE)), given=only)
    assert shape(plan) == nodes("worker1")
    behind = planned(recorded(BEFORE, {"worker2": "1.32.0"}), given=only).problems
    assert "the kubelet of worker2 is 1.32.0" in " ".join(behind)
    assert "the head comes first" in planned(recorded(BEFORE), given=only).problems[0]


LINE = 'apiserver_requested_deprecated_apis{{group="{}",removed_release="{}",resource="{}",subresource="",version="{}"}} 1'


def test_apis_that_somebody_asks_for_and_that_will_be_gone() -> None:
    metrics = (
        LINE.format("storage.example.io", "1.36", "volumes", "v1beta1"),
        LINE.format("policy", "1.37", "budgets", "v1beta1"),
        LINE.format("flow", "1.35", "schemas", "v1beta2").replace(" 1", " 0"),
    )
    api = recorded(BEFORE, metrics=metrics)
    [problem] = planned(api).problems
    assert problem.startswith(
        "somebody asks the API for storage.example.io/v1beta1/volumes, which Kubernetes 1.36"
    )
    assert planned(api, accepted=["storage.example.io/v1beta1/volumes"]).problems == ()
    # Within one minor version nothing is removed.
    assert planned(recorded(metrics=metrics)).problems == ()


def test_recorded_metrics() -> None:
    """Endpoints are deprecated, and no release removes them."""
    assert 'resource="endpoints"' in recorded().metrics
    assert read_removed(recorded().metrics) == []
    assert read_removed(LINE.format("a", "1.40", "b", "v1")) == [RemovedApi("a/v1/b", "1.40")]


def test_batches_leave_a_node_that_takes_pods() -> None:
    api = recorded(kubelets=dict.fromkeys(NAMES, BEFORE))
    assert shape(planned(api, batch=5)) == nodes(*NAMES)
    for name in ("worker3", "worker4"):
        api.objects[f"/api/v1/nodes/{name}"] = {
            **api.node("worker2"),
            "metadata": {**api.node("worker2")["metadata"], "name": name},
        }
    given = [*GIVEN, {"name": "worker3"}, {"name": "worker4"}]
    assert shape(planned(api, given=given, batch=2))[1:] == [
        ("node", ("worker1", "worker2")),
        ("node", ("worker3", "worker4")),
    ]
    assert shape(planned(api, given=given, batch=9))[1:] == [
        ("node", ("worker1", "worker2", "worker3")),
        ("node", ("worker4",)),
    ]


def test_what_only_one_node_takes_stays_there() -> None:
    """The lab's hub has to be on a core node, and the head is the only one."""
    plan = planned(recorded(kubelets=dict.fromkeys(NAMES, BEFORE)))
    drains = {step.hosts: step.drain for step in plan.steps}
    assert drains == {("head1",): (), ("worker1",): ("worker1",), ("worker2",): ("worker2",)}
    assert "no other node takes binder in binder, hub in binder, proxy in binder" in plan.steps[0].notices[0]
    other = recorded(kubelets=dict.fromkeys(NAMES, BEFORE))
    other.node("worker2")["metadata"]["labels"]["hub.jupyter.org/node-purpose"] = "core"
    first = planned(other, words=Words(hub_forgets=True)).steps[0]
    assert first.drain
    assert "binder in binder, hub in binder, proxy in binder move from head1" in first.notices[0]
    assert "its sessions end" in first.notices[1]
    # A node that is to be emptied itself, or that is down, is no place to go.
    other.node("worker2")["metadata"]["annotations"] = {TURN: "schedulable"}
    assert not planned(other).steps[0].drain


def test_a_site_of_one_worker_is_not_emptied() -> None:
    api = recorded(kubelets=dict.fromkeys(NAMES, BEFORE))
    del api.objects["/api/v1/nodes/worker2"]
    plan = planned(api, given=GIVEN[:2])
    assert [step.drain for step in plan.steps] == [(), ()]


def test_people_are_told() -> None:
    api = recorded(BEFORE)
    for at in range(3):
        api.add_pod(f"jupyter-{at}", "worker1", "singleuser-server")
    api.add_pod("jupyter-9", "worker1", "singleuser-server", phase="Succeeded")
    api.add_pod("build-1", "worker1", "binderhub-build")
    plan = planned(api, words=Words("wait"))
    assert plan.steps[3].notices == ("3 sessions on worker1 wait", "1 builds on worker1 wait")
    lines = "\n".join(describe(read_cluster(api), read_machines(api, GIVEN), WANTED, plan))
    assert "control plane 1.35.4 -> 1.36.3" in lines
    assert "head1    head    1.35.4 -> 1.36.3  2.4.2       29.8.1  waits for step 1 and 2 and 3" in lines
    assert (
        "  4. worker1: empty, upgrade, prove healthy\n       worker1: kubelet 1.35.4 to 1.36.3\n       people: 3 sessions"
        in lines
    )
    done = describe(read_cluster(recorded()), read_machines(recorded(), GIVEN), WANTED, planned(recorded()))
    assert done[-1] == "Nothing is to be done."
