# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Objects are as the Kubernetes API 1.36 gives them, shortened."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.revisions import selects, split_pods

REVISION = "deployment.kubernetes.io/revision"


def workload(kind: str, annotation: str = "2", **more: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "metadata": {"name": "db", "namespace": "ns", "uid": "w", "annotations": {REVISION: annotation}},
        "spec": {"selector": {"matchLabels": {"app": "db"}}, **more.pop("spec", {})},
        **more,
    }


def revision(uid: str, owner: str = "w", number: str = "", of: int = 0, label: str = "") -> dict[str, Any]:
    metadata: dict[str, Any] = {"uid": uid, "ownerReferences": [{"uid": owner, "controller": True}]}
    if number:
        metadata["annotations"] = {REVISION: number}
    return {
        "metadata": {**metadata, "labels": {"controller-revision-hash": label}},
        **({"revision": of} if of else {}),
    }


def pod(name: str, owner: str = "", label: str = "", created: str = "2026-11-20T12:00:00Z") -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": "ns",
            "creationTimestamp": created,
            "labels": {"app": "db", "controller-revision-hash": label},
            "ownerReferences": [{"uid": "somebody"}, {"uid": owner, "controller": True}],
        }
    }


def names(split: tuple[list[Any], list[Any]]) -> tuple[list[str], list[str]]:
    newest, older = split
    return [one["metadata"]["name"] for one in newest], [one["metadata"]["name"] for one in older]


PODS = [
    pod("old", "rs1", "a"),
    pod("new", "rs2", "b", "2026-11-20T13:00:00Z"),
    pod("newer", "rs2", "b", "2026-11-20T14:00:00Z"),
]
SETS = [revision("rs1", number="1"), revision("rs2", number="2"), revision("rs9", "another", number="2")]
HISTORY = [
    revision("c1", of=9, label="a"),
    revision("c2", of=10, label="b"),
    revision("c9", "another", of=11, label="c"),
]


@pytest.mark.parametrize(
    ("item", "revisions", "newest"),
    [
        (workload("Deployment"), SETS, ["newer", "new"]),
        # A rollback gives the old ReplicaSet the newest number.
        (workload("Deployment", "3"), [revision("rs1", number="3"), revision("rs2", number="2")], ["old"]),
        (workload("Deployment", "3"), SETS, []),
        (workload("Deployment", ""), [revision("rs1")], []),
        (workload("Deployment"), [], []),
        (workload("DaemonSet"), HISTORY, ["newer", "new"]),
        # A rollback of a DaemonSet numbers the old revision anew.
        (workload("DaemonSet"), [revision("c1", of=11, label="a"), HISTORY[1]], ["old"]),
        (workload("DaemonSet"), [], []),
        (
            workload("StatefulSet", status={"updateRevision": "b", "currentRevision": "a"}),
            [],
            ["newer", "new"],
        ),
        (workload("StatefulSet"), [], []),
        (workload("StatefulSet", spec={"updateStrategy": {"type": "OnDelete"}}), [], ["newer", "new", "old"]),
    ],
)
def test_the_newest_pods(item: dict[str, Any], revisions: list[Any], newest: list[str]) -> None:
    """Numbers are numbers: 10 comes after 9."""
    everything = {"old", "new", "newer"}
    split = names(split_pods(item, PODS, revisions))
    assert split[0] == newest
    assert set(split[1]) == everything - set(newest)


def test_only_the_workloads_own_live_pods_count() -> None:
    item = workload("Deployment")
    assert selects(item, pod("a"))
    for change in (
        {"labels": {"app": "hub"}},
        {"deletionTimestamp": "2026-11-20T12:00:00Z"},
        {"namespace": "other"},
    ):
        other = pod("a")
        other["metadata"].update(change)
        assert not selects(item, other)
    assert not selects(workload("Deployment", spec={"selector": {}}), pod("a"))
