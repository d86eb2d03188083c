# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Which pods of a workload are of its newest specification. Pure functions of the Kubernetes API's JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["is_seen", "selects", "split_pods"]

Json = Mapping[str, Any]

_HASH = "controller-revision-hash"
_REVISION = "deployment.kubernetes.io/revision"


def is_seen(item: Json) -> bool:
    """Tell whether its controller has looked at the newest specification; before, its status is of an older one."""
    return bool(
        item.get("status", {}).get("observedGeneration", 0) >= item.get("metadata", {}).get("generation", 0)
    )


def selects(item: Json, pod: Json) -> bool:
    """Tell whether `pod` belongs to the workload `item` and is not on its way out."""
    metadata = pod.get("metadata", {})
    wanted = item.get("spec", {}).get("selector", {}).get("matchLabels", {})
    labels = metadata.get("labels", {})
    same_namespace = metadata.get("namespace") == item.get("metadata", {}).get("namespace")
    return (
        bool(wanted)
        and same_namespace
        and not metadata.get("deletionTimestamp")
        and all(labels.get(key) == value for key, value in wanted.items())
    )


def split_pods(item: Json, pods: Sequence[Json], revisions: Sequence[Json]) -> tuple[list[Json], list[Json]]:
    """Split a workload's live pods into those of its newest revision and older ones, each newest first.

    Args:
        item: a Deployment, DaemonSet or StatefulSet, with its `kind`.
        pods: pods of its namespace.
        revisions: ReplicaSets and ControllerRevisions of its namespace.

    Where the newest revision is not known yet, all pods are older ones.

    Source: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#pod-template-hash-label and
    https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/controller-revision-v1/.
    """
    mine = sorted(
        (pod for pod in pods if selects(item, pod)),
        key=lambda pod: str(pod.get("metadata", {}).get("creationTimestamp", "")),
        reverse=True,
    )
    # Nobody but the admin replaces these, so an old pod is as good as a new one.
    if item.get("spec", {}).get("updateStrategy", {}).get("type") == "OnDelete":
        return mine, []
    if item.get("kind") == "Deployment":
        owner = _current_replica_set(item, revisions)
        newest = [pod for pod in mine if owner and _controller(pod) == owner]
    else:
        wanted = _current_hash(item, revisions)
        newest = [
            pod for pod in mine if wanted and pod.get("metadata", {}).get("labels", {}).get(_HASH) == wanted
        ]
    return newest, [pod for pod in mine if pod not in newest]


def _controller(item: Json) -> str:
    """Return the uid of the object that controls this one."""
    owners = item.get("metadata", {}).get("ownerReferences") or []
    return next((str(owner.get("uid", "")) for owner in owners if owner.get("controller")), "")


def _owned(item: Json, revisions: Sequence[Json]) -> list[Json]:
    uid = item.get("metadata", {}).get("uid")
    return [entry for entry in revisions if uid and _controller(entry) == uid]


def _current_replica_set(item: Json, revisions: Sequence[Json]) -> str:
    """Return the uid of the ReplicaSet with the Deployment's revision; a rollback gives an old one a new number."""
    number = (item.get("metadata", {}).get("annotations") or {}).get(_REVISION)
    for entry in _owned(item, revisions):
        if number and (entry["metadata"].get("annotations") or {}).get(_REVISION) == number:
            return str(entry["metadata"].get("uid", ""))
    return ""


def _current_hash(item: Json, revisions: Sequence[Json]) -> str:
    """Return what the pods of the newest revision have as their label."""
    if item.get("kind") == "StatefulSet":
        return str(item.get("status", {}).get("updateRevision", ""))
    owned = [entry for entry in _owned(item, revisions) if "revision" in entry]
    newest = max(owned, key=lambda entry: int(entry["revision"]), default=None)
    return str((newest["metadata"].get("labels") or {}).get(_HASH, "")) if newest else ""
