# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Is a workload rolled out, and if not, why. Pure functions of the Kubernetes API's JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional

try:
    import yaml
except ImportError:  # Ansible itself brings it; only a target without Ansible lacks it
    yaml = None  # type: ignore[assignment]

from ansible_collections.ironbinder.platform.plugins.module_utils._kube.revisions import is_seen, split_pods

__all__ = ["KINDS", "Reason", "Workload", "explain", "rolled_out", "workloads_of"]

Json = Mapping[str, Any]

KINDS = {"Deployment": "deployments", "DaemonSet": "daemonsets", "StatefulSet": "statefulsets"}

_IMAGE = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
_CONFIG = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError"}
_VOLUME_EVENTS = {"FailedMount", "FailedAttachVolume", "FailedMapVolume"}


@dataclass(frozen=True)
class Workload:
    """A workload that a release owns."""

    kind: str
    name: str
    namespace: str


@dataclass(frozen=True)
class Reason:
    """Why something does not come up.

    `kind` is one of image, scheduling, crash, config, volume, network, create, probe, starting.
    `terminal` says that waiting alone is not expected to help.
    """

    kind: str
    text: str
    terminal: bool
    pod: str = ""
    container: str = ""


def workloads_of(manifest: str, namespace: str) -> list[Workload]:
    """Return the Deployments, DaemonSets and StatefulSets in a release's manifest."""
    found = []
    for document in yaml.safe_load_all(manifest):
        items = (document or {}).get("items") if (document or {}).get("kind") == "List" else [document]
        for item in items or []:
            if item and item.get("kind") in KINDS:
                metadata = item.get("metadata", {})
                found.append(Workload(item["kind"], metadata["name"], metadata.get("namespace") or namespace))
    return found


def rolled_out(item: Json) -> tuple[bool, str]:
    """Tell whether a workload runs as its newest specification says, and how far it is.

    The rules are those of `kubectl rollout status`.
    """
    spec, status = item.get("spec", {}), item.get("status", {})
    if not is_seen(item):
        return False, "not yet seen by its controller"
    if item.get("kind") == "DaemonSet":
        wanted = status.get("desiredNumberScheduled", 0)
        ready, updated = status.get("numberAvailable", 0), status.get("updatedNumberScheduled", 0)
        if spec.get("updateStrategy", {}).get("type") == "OnDelete":
            updated = wanted
        return ready >= wanted and updated >= wanted, f"{min(ready, updated)} of {wanted} ready"
    wanted = spec.get("replicas", 1)
    updated = status.get("updatedReplicas", 0)
    if item.get("kind") == "StatefulSet":
        if spec.get("updateStrategy", {}).get("type") == "OnDelete":
            updated = wanted
        ready = status.get("readyReplicas", 0)
        return ready >= wanted and updated >= wanted, f"{min(ready, updated)} of {wanted} ready"
    ready = status.get("availableReplicas", 0)
    left = status.get("replicas", 0) - updated
    if updated >= wanted and ready >= updated and left > 0:
        return False, f"{left} old pods still stopping"
    return updated >= wanted and ready >= wanted and left <= 0, f"{min(ready, updated)} of {wanted} ready"


def _condition(item: Json, name: str) -> Json:
    return next(
        (entry for entry in item.get("status", {}).get("conditions") or [] if entry.get("type") == name), {}
    )


def _container_reason(pod: str, entry: Json) -> Optional[Reason]:
    name = str(entry.get("name", ""))
    waiting = entry.get("state", {}).get("waiting") or {}
    why, message = str(waiting.get("reason", "")), str(waiting.get("message", ""))
    if why in _IMAGE:
        image = entry.get("image", "")
        return Reason("image", f"{why}: {message or image}", True, pod, name)
    if why in _CONFIG:
        return Reason("config", f"{why}: {message}", True, pod, name)
    # Between two attempts a crashing container is Running, so the last end counts as well.
    ended = entry.get("state", {}).get("terminated") or entry.get("lastState", {}).get("terminated") or {}
    restarts = int(entry.get("restartCount", 0))
    if why == "CrashLoopBackOff" or (ended.get("exitCode") and not entry.get("ready")):
        text = f"exit code {ended.get('exitCode', 'unknown')} ({ended.get('reason', 'unknown')}), {restarts} restarts"
        return Reason("crash", text, why == "CrashLoopBackOff" or restarts >= 2, pod, name)
    return None


def _newest(events: Iterable[Json], names: set[str]) -> list[Json]:
    mine = [
        event
        for event in events
        if event.get("type") == "Warning" and event.get("involvedObject", {}).get("name") in names
    ]
    return sorted(
        mine, key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""), reverse=True
    )


def _claim_reason(pod: Json, claims: Sequence[Json], events: Sequence[Json]) -> Optional[Reason]:
    metadata = pod.get("metadata", {})
    names = {
        volume["persistentVolumeClaim"]["claimName"]
        for volume in pod.get("spec", {}).get("volumes") or []
        if "persistentVolumeClaim" in volume
    }
    for claim in claims:
        name = claim.get("metadata", {}).get("name")
        if name not in names or claim.get("metadata", {}).get("namespace") != metadata.get("namespace"):
            continue
        if claim.get("status", {}).get("phase") == "Bound":
            continue
        said = next((str(event.get("message", "")) for event in _newest(events, {name})), "")
        if not said and not claim.get("spec", {}).get("storageClassName"):
            said = "no storage class is asked for and none is the default"
        return Reason(
            "volume", f"PersistentVolumeClaim {name} is not bound: {said or 'no event says why'}", True
        )
    return None


def _scheduling_reason(pod: Json, claims: Sequence[Json], events: Sequence[Json]) -> Optional[Reason]:
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("status") != "False":
        return None
    claim = _claim_reason(pod, claims, events)
    return claim or Reason("scheduling", f"{scheduled.get('reason')}: {scheduled.get('message')}", True)


def _event_reason(name: str, events: Sequence[Json]) -> Optional[Reason]:
    for event in _newest(events, {name}):
        why, message = str(event.get("reason", "")), str(event.get("message", ""))
        if why in _VOLUME_EVENTS:
            return Reason("volume", f"{why}: {message}", True)
        if why == "FailedCreatePodSandBox":
            return Reason("network", f"{why}: {message}", True)
        if why == "Unhealthy":
            # Slow starters look like this too, so only the timeout ends the wait.
            return Reason("probe", message, False)
    return None


def _pod_reason(pod: Json, claims: Sequence[Json], events: Sequence[Json]) -> Optional[Reason]:
    if _condition(pod, "Ready").get("status") == "True":
        return None
    name = str(pod.get("metadata", {}).get("name", ""))
    status = pod.get("status", {})
    for entry in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        reason = _container_reason(name, entry)
        if reason:
            return reason
    reason = _scheduling_reason(pod, claims, events) or _event_reason(name, events)
    if not reason:
        text = f"pod is {status.get('phase', 'unknown')}"
        if status.get("reason"):  # Evicted, NodeLost and the like
            text = f"{status['reason']}: {status.get('message', '')}"
        elif not pod.get("spec", {}).get("nodeName") and not _condition(pod, "PodScheduled"):
            text += " and no scheduler has looked at it"
        reason = Reason("starting", text, False)
    return replace(reason, pod=name)


def explain(
    item: Json,
    pods: Sequence[Json],
    claims: Sequence[Json],
    events: Sequence[Json],
    revisions: Sequence[Json],
) -> Reason:
    """Say why a workload that is not rolled out is not.

    The newest pod with a terminal reason speaks first. A pod of an older revision never speaks of anything terminal:
    it may be the very one whose fault is being mended.

    Args:
        item: the workload, with its `kind`.
        pods: those of its namespace, as all that follows.
        claims: PersistentVolumeClaims.
        events: events.
        revisions: ReplicaSets and ControllerRevisions.
    """
    if not is_seen(item):
        return Reason("starting", "its controller has not looked at the newest specification yet", False)
    failed = _condition(item, "ReplicaFailure")
    if failed.get("status") == "True":
        return Reason("create", f"{failed.get('reason')}: {failed.get('message')}", True)
    newest, older = split_pods(item, pods, revisions)
    reasons = [reason for reason in (_pod_reason(pod, claims, events) for pod in newest) if reason]
    if reasons:
        return next((reason for reason in reasons if reason.terminal), reasons[0])
    if newest:
        return Reason("starting", "pods are ready, the controller has not counted them yet", False)
    return _without_new_pods(item, older, claims, events)


def _without_new_pods(
    item: Json, older: Sequence[Json], claims: Sequence[Json], events: Sequence[Json]
) -> Reason:
    said = [
        event.get("message")
        for event in _newest(events, {str(item.get("metadata", {}).get("name", ""))})
        if event.get("reason") == "FailedCreate"
    ]
    if said:
        return Reason("create", f"FailedCreate: {said[0]}", not older)
    old = next((reason for reason in (_pod_reason(pod, claims, events) for pod in older) if reason), None)
    if old:
        return replace(
            old, text=f"no pod of the newest revision yet; of an old one: {old.text}", terminal=False
        )
    return Reason("starting", "no pod of the newest revision yet" if older else "no pod yet", False)
