# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Objects are as the Kubernetes API 1.36 gives them, shortened."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.workloads import (
    Workload,
    explain,
    rolled_out,
    workloads_of,
)

SELECTOR = {"matchLabels": {"app": "binder"}}


def workload(
    kind: str = "Deployment", generation: int = 1, spec: dict[str, Any] | None = None, **status: Any
) -> dict[str, Any]:
    return {
        "kind": kind,
        "metadata": {
            "name": "binder",
            "namespace": "ns",
            "uid": "deployment",
            "generation": generation,
            "annotations": {"deployment.kubernetes.io/revision": "2"},
        },
        "spec": {"replicas": 1, "selector": SELECTOR, **(spec or {})},
        "status": {"observedGeneration": 1, **status},
    }


@pytest.mark.parametrize(
    ("item", "ready", "text"),
    [
        (workload(updatedReplicas=1, replicas=1, availableReplicas=1), True, "1 of 1 ready"),
        (workload(updatedReplicas=1, replicas=1), False, "0 of 1 ready"),
        (workload(generation=2, updatedReplicas=1, replicas=1, availableReplicas=1), False, "not yet seen"),
        (workload(updatedReplicas=1, replicas=2, availableReplicas=2), False, "1 old pods"),
        (workload(replicas=1, availableReplicas=1), False, "0 of 1 ready"),
        (workload(spec={"replicas": 0}), True, "0 of 0 ready"),
        ({"kind": "Deployment", "metadata": {"generation": 1}, "spec": {}}, False, "not yet seen"),
        (
            workload("DaemonSet", desiredNumberScheduled=3, updatedNumberScheduled=3, numberAvailable=3),
            True,
            "3 of 3 ready",
        ),
        (
            workload("DaemonSet", desiredNumberScheduled=3, updatedNumberScheduled=1, numberAvailable=3),
            False,
            "1 of 3 ready",
        ),
        (
            workload("DaemonSet", desiredNumberScheduled=3, updatedNumberScheduled=3, numberAvailable=2),
            False,
            "2 of 3 ready",
        ),
        (
            workload(
                "DaemonSet",
                spec={"updateStrategy": {"type": "OnDelete"}},
                desiredNumberScheduled=1,
                updatedNumberScheduled=0,
                numberAvailable=1,
            ),
            True,
            "1 of 1 ready",
        ),
        (workload("DaemonSet", desiredNumberScheduled=0), True, "0 of 0 ready"),
        (workload("DaemonSet", generation=2, desiredNumberScheduled=0), False, "not yet seen"),
        (workload("StatefulSet", updatedReplicas=1, readyReplicas=1), True, "1 of 1 ready"),
        (workload("StatefulSet", updatedReplicas=0, readyReplicas=1), False, "0 of 1 ready"),
    ],
)
def test_rolled_out(item: dict[str, Any], ready: bool, text: str) -> None:
    result, progress = rolled_out(item)
    assert result is ready
    assert text in progress


def replica_set(uid: str, revision: str) -> dict[str, Any]:
    return {
        "metadata": {
            "uid": uid,
            "ownerReferences": [{"uid": "deployment", "controller": True}],
            "annotations": {"deployment.kubernetes.io/revision": revision},
        }
    }


REVISIONS = [replica_set("old", "1"), replica_set("new", "2")]


def pod(
    name: str = "binder-1",
    spec: dict[str, Any] | None = None,
    created: str = "2026-11-20T12:00:00Z",
    owner: str = "new",
    **status: Any,
) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": "ns",
            "labels": {"app": "binder"},
            "ownerReferences": [{"uid": owner, "controller": True}],
            "creationTimestamp": created,
        },
        "spec": spec or {},
        "status": {"phase": "Pending", **status},
    }


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    return {
        "name": "c",
        "image": "i",
        "ready": False,
        "restartCount": 0,
        "state": {"waiting": {"reason": reason, "message": message}},
        **more,
    }


def event(
    name: str, reason: str, message: str, when: str = "2026-11-20T12:00:00Z", kind: str = "Warning"
) -> dict[str, Any]:
    return {
        "type": kind,
        "reason": reason,
        "message": message,
        "lastTimestamp": when,
        "involvedObject": {"name": name},
    }


ENDED = {"terminated": {"exitCode": 1, "reason": "Error"}}
RUNNING = {"name": "c", "ready": False, "restartCount": 3, "state": {"running": {}}, "lastState": ENDED}
UNSCHEDULABLE = [
    {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/3 nodes are available",
    }
]
CLAIM = {"volumes": [{"name": "db", "persistentVolumeClaim": {"claimName": "hub-db-dir"}}]}
PENDING_CLAIM = {
    "metadata": {"name": "hub-db-dir", "namespace": "ns"},
    "spec": {},
    "status": {"phase": "Pending"},
}


@pytest.mark.parametrize(
    ("pods", "claims", "events", "expected"),
    [
        (
            [pod(containerStatuses=[waiting("ErrImagePull", "not found")])],
            [],
            [],
            ("image", True, "ErrImagePull: not found"),
        ),
        (
            [pod(containerStatuses=[waiting("ImagePullBackOff")])],
            [],
            [],
            ("image", True, "ImagePullBackOff: i"),
        ),
        (
            [pod(containerStatuses=[waiting("InvalidImageName", "x")])],
            [],
            [],
            ("image", True, "InvalidImageName"),
        ),
        (
            [pod(initContainerStatuses=[waiting("ErrImagePull", "x")])],
            [],
            [],
            ("image", True, "ErrImagePull"),
        ),
        (
            [pod(containerStatuses=[waiting("CrashLoopBackOff", restartCount=1, lastState=ENDED)])],
            [],
            [],
            ("crash", True, "exit code 1 (Error), 1 restarts"),
        ),
        ([pod(phase="Running", containerStatuses=[RUNNING])], [], [], ("crash", True, "3 restarts")),
        (
            [pod(phase="Running", containerStatuses=[{**RUNNING, "restartCount": 1}])],
            [],
            [],
            ("crash", False, "1 restarts"),
        ),
        (
            [pod(containerStatuses=[waiting("CreateContainerConfigError", 'secret "x" not found')])],
            [],
            [],
            ("config", True, 'secret "x" not found'),
        ),
        (
            [pod(conditions=UNSCHEDULABLE)],
            [],
            [],
            ("scheduling", True, "Unschedulable: 0/3 nodes are available"),
        ),
        (
            [pod(spec=CLAIM, conditions=UNSCHEDULABLE)],
            [PENDING_CLAIM],
            [],
            ("volume", True, "no storage class"),
        ),
        (
            [pod(spec=CLAIM, conditions=UNSCHEDULABLE)],
            [PENDING_CLAIM],
            [event("hub-db-dir", "ProvisioningFailed", "disk full")],
            ("volume", True, "hub-db-dir is not bound: disk full"),
        ),
        (
            [pod(spec=CLAIM, conditions=UNSCHEDULABLE)],
            [{**PENDING_CLAIM, "status": {"phase": "Bound"}}],
            [],
            ("scheduling", True, "0/3 nodes"),
        ),
        (
            [pod()],
            [],
            [event("binder-1", "FailedMount", "no such file")],
            ("volume", True, "FailedMount: no such file"),
        ),
        ([pod()], [], [event("binder-1", "FailedCreatePodSandBox", "cni")], ("network", True, "cni")),
        (
            [
                pod(
                    phase="Running",
                    containerStatuses=[{"name": "c", "ready": False, "state": {"running": {}}}],
                )
            ],
            [],
            [event("binder-1", "Unhealthy", "Readiness probe failed: 404")],
            ("probe", False, "Readiness probe failed: 404"),
        ),
        (
            [pod()],
            [],
            [event("binder-1", "Pulling", "Pulling image", kind="Normal")],
            ("starting", False, "Pending"),
        ),
        ([pod()], [], [event("other", "FailedMount", "x")], ("starting", False, "no scheduler has looked")),
        (
            [pod()],
            [],
            [
                event("binder-1", "FailedMount", "old"),
                event("binder-1", "Unhealthy", "new", "2026-11-20T13:00:00Z"),
            ],
            ("probe", False, "new"),
        ),
        (
            [pod(phase="Failed", reason="Evicted", message="disk")],
            [],
            [],
            ("starting", False, "Evicted: disk"),
        ),
        ([], [], [], ("starting", False, "no pod yet")),
        ([], [], [event("binder", "FailedCreate", "forbidden: quota")], ("create", True, "quota")),
        ([pod(conditions=[{"type": "Ready", "status": "True"}])], [], [], ("starting", False, "not counted")),
        (
            [
                pod(conditions=[{"type": "Ready", "status": "True"}]),
                pod("b", containerStatuses=[waiting("ErrImagePull", "x")]),
            ],
            [],
            [],
            ("image", True, "x"),
        ),
    ],
)
def test_reasons(
    pods: list[dict[str, Any]],
    claims: list[dict[str, Any]],
    events: list[dict[str, Any]],
    expected: tuple[str, bool, str],
) -> None:
    kind, terminal, text = expected
    reason = explain(workload(), pods, claims, events, REVISIONS)
    assert (reason.kind, reason.terminal) == (kind, terminal)
    assert text in reason.text


def test_a_replica_failure_speaks_first() -> None:
    item = workload(
        conditions=[
            {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"}
        ]
    )
    reason = explain(item, [pod(conditions=UNSCHEDULABLE)], [], [], REVISIONS)
    assert (reason.kind, reason.text) == ("create", "FailedCreate: quota")


def test_the_newest_pod_speaks() -> None:
    old = pod("old", containerStatuses=[waiting("ErrImagePull", "old")])
    new = pod("new", created="2026-11-20T13:00:00Z", containerStatuses=[waiting("ErrImagePull", "new")])
    assert explain(workload(), [old, new], [], [], REVISIONS).pod == "new"


CRASHING = waiting("CrashLoopBackOff", restartCount=7, lastState=ENDED)


def test_a_pod_that_is_being_replaced_ends_nothing() -> None:
    """The release that mends a crash runs beside the pod that crashes; only its own pods may fail it."""
    old = pod("old-1", owner="old", phase="Running", containerStatuses=[CRASHING])
    starting = pod("new-1", created="2026-11-20T13:00:00Z")
    reason = explain(workload(), [old, starting], [], [], REVISIONS)
    assert (reason.kind, reason.terminal, reason.pod) == ("starting", False, "new-1")
    broken = pod("new-1", containerStatuses=[waiting("CreateContainerConfigError", 'secret "x" not found')])
    reason = explain(workload(), [old, broken], [], [], REVISIONS)
    assert (reason.kind, reason.terminal, reason.pod) == ("config", True, "new-1")
    assert reason.text == 'CreateContainerConfigError: secret "x" not found'


def test_while_there_is_no_new_pod_the_old_one_is_only_told_of() -> None:
    """A StatefulSet waits for its broken pod: worth knowing, not worth ending the wait."""
    old = pod("old-1", owner="old", phase="Running", containerStatuses=[CRASHING])
    reason = explain(workload(), [old], [], [], REVISIONS)
    assert (reason.kind, reason.terminal, reason.pod) == ("crash", False, "old-1")
    assert "no pod of the newest revision yet; of an old one: exit code 1" in reason.text
    quota = [event("binder", "FailedCreate", "forbidden: quota")]
    reason = explain(workload(), [old], [], quota, REVISIONS)
    assert (reason.kind, reason.terminal) == ("create", False)
    healthy = pod("old-1", owner="old", conditions=[{"type": "Ready", "status": "True"}])
    assert explain(workload(), [healthy], [], [], REVISIONS).text == "no pod of the newest revision yet"


def test_before_its_controller_has_looked_nothing_is_known() -> None:
    """Revision and conditions are those of the specification before."""
    conditions = [{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"}]
    item = workload(generation=2, conditions=conditions)
    reason = explain(item, [pod(containerStatuses=[CRASHING])], [], [], REVISIONS)
    assert (reason.kind, reason.terminal) == ("starting", False)
    assert "has not looked" in reason.text


def test_workloads_are_found_in_a_manifest() -> None:
    manifest = """---
# Source: binderhub/templates/service.yaml
apiVersion: v1
kind: Service
metadata: {name: binder}
---
kind: Deployment
metadata: {name: hub}
---
# nothing
---
kind: List
items:
  - {kind: DaemonSet, metadata: {name: cleaner, namespace: elsewhere}}
  - {kind: StatefulSet, metadata: {name: db}}
"""
    assert workloads_of(manifest, "ns") == [
        Workload("Deployment", "hub", "ns"),
        Workload("DaemonSet", "cleaner", "elsewhere"),
        Workload("StatefulSet", "db", "ns"),
    ]
    assert workloads_of("", "ns") == []
