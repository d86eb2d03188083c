# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeError
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.rollout import (
    RolloutError,
    WorkloadState,
    wait_for_workloads,
    wait_until_gone,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.workloads import Workload

BINDER = Workload("Deployment", "binder", "ns")
HUB = Workload("Deployment", "hub", "ns")


class FakeCluster:
    """A cluster whose objects are functions of time."""

    def __init__(
        self,
        ready_at: dict[str, float],
        container: Callable[[float], dict[str, Any]] | None = None,
        log: str | None = None,
    ) -> None:
        self.seconds = 0.0
        self.ready_at = ready_at
        self.container: Callable[[float], dict[str, Any]] = container or (lambda _seconds: {})
        self.log = log
        self.owner = "rs"
        self.asked: list[str] = []
        self.get: Callable[..., dict[str, Any] | None] = self._get

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def _deployment(self, name: str, at: float) -> dict[str, Any]:
        there = int(self.seconds >= at)
        return {
            "metadata": {
                "name": name,
                "namespace": "ns",
                "uid": name,
                "generation": 1,
                "annotations": {"deployment.kubernetes.io/revision": "1"},
            },
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}},
            "status": {
                "observedGeneration": 1,
                "replicas": 1,
                "updatedReplicas": 1,
                "availableReplicas": there,
            },
        }

    def _get(self, path: str, **_query: str) -> dict[str, Any] | None:
        self.asked.append(path)
        if path.endswith("/deployments"):
            return {"items": [self._deployment(*entry) for entry in self.ready_at.items()]}
        if path.endswith("/replicasets"):
            metadata = {
                "uid": "rs",
                "ownerReferences": [{"uid": "binder", "controller": True}],
                "annotations": {"deployment.kubernetes.io/revision": "1"},
            }
            return {"items": [{"metadata": metadata}]}
        if path.endswith("/pods"):
            state = self.container(self.seconds)
            metadata = {
                "name": "binder-1",
                "namespace": "ns",
                "labels": {"app": "binder"},
                "ownerReferences": [{"uid": self.owner, "controller": True}],
            }
            return {
                "items": [
                    {
                        "metadata": metadata,
                        "status": {"phase": "Pending", "containerStatuses": [state] if state else []},
                    }
                ]
            }
        return {"items": []}

    def text(self, path: str, **query: str) -> str:
        if self.log is None or query["previous"] == "true":
            raise KubeError("no previous container", 400)
        return self.log

    def create(self, path: str, body: Mapping[str, Any], **query: str) -> dict[str, Any]:
        raise AssertionError(path)

    def patch(self, path: str, body: Mapping[str, Any], **query: str) -> dict[str, Any]:
        raise AssertionError(path)

    def delete(self, path: str, **query: str) -> None:
        raise AssertionError(path)


def wait(
    cluster: FakeCluster,
    *workloads: Workload,
    timeout: float = 300,
    stuck: float = 60,
    log: Callable[[str], None] = lambda _line: None,
) -> list[WorkloadState]:
    return wait_for_workloads(
        cluster, workloads, timeout_seconds=timeout, stuck_seconds=stuck, clock=cluster, log=log
    )


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {
        "name": "c",
        "ready": False,
        "restartCount": 4,
        "state": {"waiting": {"reason": reason, "message": message}},
    }


def test_what_is_ready_costs_one_look() -> None:
    cluster = FakeCluster({"binder": 0})
    (state,) = wait(cluster, BINDER)
    assert state.as_result() == {"kind": "Deployment", "name": "binder", "ready": True, "seconds": 0.0}
    assert cluster.asked == ["/apis/apps/v1/namespaces/ns/deployments"]


def test_each_workload_has_its_own_time_and_the_order_is_the_callers() -> None:
    cluster = FakeCluster({"binder": 10, "hub": 3})
    lines: list[str] = []
    states = wait(cluster, HUB, BINDER, log=lines.append)
    assert [(state.name, state.seconds) for state in states] == [("hub", 3.0), ("binder", 10.0)]
    assert len(lines) == 4, "one line for each change, none for looking again"


def test_nothing_to_wait_for() -> None:
    assert wait(FakeCluster({})) == []


def test_a_terminal_reason_ends_the_wait_early() -> None:
    cluster = FakeCluster({"binder": 9999}, lambda _seconds: waiting("ImagePullBackOff", "manifest unknown"))
    with pytest.raises(RolloutError) as caught:
        wait(cluster, BINDER, timeout=900, stuck=60)
    assert 60 <= cluster.now() < 63
    text = str(caught.value)
    for word in (
        "Deployment binder",
        "binder-1",
        "container c",
        "image for 60 s",
        "manifest unknown",
        "Next: check the image",
    ):
        assert word in text


def test_trouble_that_passes_does_not_end_the_wait() -> None:
    cluster = FakeCluster({"binder": 100}, lambda now: waiting("ErrImagePull") if now < 50 else {})
    (state,) = wait(cluster, BINDER, stuck=60)
    assert state.seconds == 100


def test_the_same_trouble_in_other_words_goes_on_counting() -> None:
    words = ["ErrImagePull", "ImagePullBackOff"]
    cluster = FakeCluster({"binder": 9999}, lambda now: waiting(words[int(now) // 10 % 2]))
    with pytest.raises(RolloutError):
        wait(cluster, BINDER, timeout=900, stuck=60)
    assert cluster.now() < 63


def test_a_pod_of_an_old_revision_does_not_end_the_wait() -> None:
    """What is released mends the crash; its own pod is there after five minutes, when its image is pulled."""
    cluster = FakeCluster({"binder": 300}, lambda _seconds: waiting("CrashLoopBackOff"), log="ValueError: no")
    cluster.owner = "old"
    (state,) = wait(cluster, BINDER, timeout=900, stuck=60)
    assert state.seconds == 300
    cluster = FakeCluster(
        {"binder": 9999}, lambda _seconds: waiting("CrashLoopBackOff"), log="ValueError: no"
    )
    cluster.owner = "old"
    with pytest.raises(RolloutError, match="no pod of the newest revision yet; of an old one"):
        wait(cluster, BINDER, timeout=900, stuck=60)
    assert cluster.now() == 900


def test_a_slow_starter_gets_the_whole_timeout() -> None:
    cluster = FakeCluster(
        {"binder": 9999}, lambda _seconds: {"name": "c", "ready": False, "state": {"running": {}}}
    )
    with pytest.raises(RolloutError, match="starting"):
        wait(cluster, BINDER, timeout=120, stuck=10)
    assert cluster.now() >= 120


def test_a_crash_comes_with_its_log() -> None:
    cluster = FakeCluster(
        {"binder": 9999}, lambda _seconds: waiting("CrashLoopBackOff"), log="line one\nValueError: no\n"
    )
    with pytest.raises(RolloutError, match="    ValueError: no"):
        wait(cluster, BINDER)


def test_a_crash_without_a_log_says_so() -> None:
    cluster = FakeCluster({"binder": 9999}, lambda _seconds: waiting("CrashLoopBackOff"))
    with pytest.raises(RolloutError, match="its log is empty"):
        wait(cluster, BINDER)


def test_only_what_is_not_ready_is_reported() -> None:
    cluster = FakeCluster({"binder": 9999, "hub": 0})
    with pytest.raises(RolloutError) as caught:
        wait(cluster, BINDER, HUB, timeout=5)
    assert "hub" not in str(caught.value)


def test_a_workload_that_is_gone_is_reported() -> None:
    cluster = FakeCluster({})
    with pytest.raises(RolloutError, match="the object is gone"):
        wait(cluster, BINDER, stuck=10)


def test_a_workload_that_falls_over_again_is_waited_for_again() -> None:
    cluster = FakeCluster({"binder": 0, "hub": 20})
    real = cluster.get

    def flapping(path: str, **query: str) -> dict[str, Any] | None:
        cluster.ready_at["binder"] = 9999 if 5 <= cluster.now() < 30 else 0
        return real(path, **query)

    cluster.get = flapping
    states = wait(cluster, BINDER, HUB)
    assert [state.seconds for state in states] == [30.0, 20.0]


def test_what_goes_away_is_waited_for() -> None:
    cluster = FakeCluster({})
    cluster.get = lambda _path: {} if cluster.now() < 7 else None
    wait_until_gone(cluster, "/api/v1/namespaces/ns", 60, cluster)
    assert cluster.now() == 7


@pytest.mark.parametrize(("status", "patient"), [(0, True), (429, True), (500, True), (403, False)])
def test_what_goes_away_is_waited_for_through_a_restart_of_the_api(status: int, patient: bool) -> None:
    cluster = FakeCluster({})

    def get(_path: str) -> dict[str, Any] | None:
        if 5 <= cluster.now() < 20:
            raise KubeError("no answer", status)
        return {} if cluster.now() < 25 else None

    cluster.get = get
    if patient:
        wait_until_gone(cluster, "/api/v1/namespaces/ns", 60, cluster)
        assert cluster.now() == 25
    else:
        with pytest.raises(KubeError):
            wait_until_gone(cluster, "/api/v1/namespaces/ns", 60, cluster)
        assert cluster.now() == 5


def test_what_stays_says_why() -> None:
    cluster = FakeCluster({})
    conditions = [{"status": "True", "message": "1 pod left"}, {"status": "False", "message": "all is well"}]
    cluster.get = lambda _path: {"status": {"conditions": conditions}}
    with pytest.raises(RolloutError, match="namespaces/ns is still being deleted after 60 s: 1 pod left"):
        wait_until_gone(cluster, "/api/v1/namespaces/ns", 60, cluster)


@pytest.mark.parametrize(
    ("status", "silent_until", "ends"),
    [(0, 20, 20), (503, 20, 20), (429, 20, 20), (0, 9999, 30), (403, 9999, 0)],
)
def test_an_api_that_restarts_is_waited_for_a_while(status: int, silent_until: float, ends: float) -> None:
    cluster = FakeCluster({"binder": 0})
    real = cluster.get

    def silent(path: str, **query: str) -> dict[str, Any] | None:
        if cluster.now() < silent_until:
            raise KubeError("no answer", status)
        return real(path, **query)

    cluster.get = silent
    if silent_until > 100:
        with pytest.raises(KubeError):
            wait(cluster, BINDER)
    else:
        wait(cluster, BINDER)
    assert abs(cluster.now() - ends) <= 1
