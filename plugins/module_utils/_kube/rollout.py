# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Wait for a release's workloads, and give up early with the reason where waiting will not help."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeApi, KubeError
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.workloads import (
    KINDS,
    Reason,
    Workload,
    explain,
    rolled_out,
)

__all__ = ["Clock", "RolloutError", "WorkloadState", "wait_for_workloads", "wait_until_gone"]

_REMEDIES = {
    "image": "check the image's name, the mirror, and the registry's CA and account",
    "scheduling": "check the nodes: `kubectl get nodes`, their labels, taints and free memory",
    "crash": "the last lines of its log are above; correct the values and run this again",
    "config": "check what the pod refers to: `kubectl describe pod`",
    "volume": "make a default StorageClass, or set binderhub_hub_database to sqlite-memory",
    "network": "check the pod network on the node: `kubectl describe pod`",
    "create": "check quotas and admission policies of the namespace",
    "probe": "it runs, but does not answer its probe yet: look at its log, or raise timeout_seconds",
    "starting": "look at `kubectl get events`, or raise timeout_seconds",
}
_LOG_LINES = 12
# An API server that restarts while the wait is on, for example because its certificate changed.
_API_GRACE_SECONDS = 30


class RolloutError(Exception):
    """Workloads that did not come up. Its text has one paragraph for each."""


class Clock(Protocol):
    """Time, so that tests need none."""

    def now(self) -> float:
        """Return seconds that never go backwards."""

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""


@dataclass
class WorkloadState:
    """How far a workload is. `seconds` counts from the start of the wait."""

    kind: str
    name: str
    ready: bool = False
    seconds: float = 0.0
    progress: str = ""

    def as_result(self) -> dict[str, Any]:
        """Return what a module returns of it."""
        return {key: value for key, value in asdict(self).items() if key != "progress"}


def _list(api: KubeApi, path: str) -> list[dict[str, Any]]:
    return list((api.get(path) or {}).get("items") or [])


def _log_of(api: KubeApi, namespace: str, reason: Reason) -> str:
    path = f"/api/v1/namespaces/{namespace}/pods/{reason.pod}/log"
    for previous in ("true", "false"):
        try:
            text = api.text(path, container=reason.container, tailLines=str(_LOG_LINES), previous=previous)
        except KubeError:  # no previous run, or the container is gone by now
            continue
        if text.strip():
            return text.strip()
    return ""


class _Watch:
    """What is known of the workloads of one namespace."""

    def __init__(self, api: KubeApi, namespace: str, workloads: Sequence[Workload]) -> None:
        self.api, self.namespace = api, namespace
        self.states = {(entry.kind, entry.name): WorkloadState(entry.kind, entry.name) for entry in workloads}
        self.reasons: dict[tuple[str, str], tuple[Reason, float]] = {}

    def look(self, seconds: float) -> None:
        """Ask the cluster once; reasons keep the time at which they first showed."""
        unready = []
        for kind in {kind for kind, _name in self.states}:
            items = _list(self.api, f"/apis/apps/v1/namespaces/{self.namespace}/{KINDS[kind]}")
            by_name = {item["metadata"]["name"]: {**item, "kind": kind} for item in items}
            for key, state in self.states.items():
                if key[0] != kind:
                    continue
                item = by_name.get(key[1])
                was_ready = state.ready
                state.ready, state.progress = rolled_out(item) if item else (False, "does not exist")
                if not (was_ready and state.ready):
                    state.seconds = round(seconds, 1)
                if not state.ready:
                    unready.append((key, item))
        self.reasons = {key: value for key, value in self.reasons.items() if key in dict(unready)}
        if unready:
            self._explain(unready, seconds)

    def _explain(self, unready: Sequence[tuple[tuple[str, str], Any]], seconds: float) -> None:
        base = f"/api/v1/namespaces/{self.namespace}"
        pods, claims = _list(self.api, f"{base}/pods"), _list(self.api, f"{base}/persistentvolumeclaims")
        events = _list(self.api, f"{base}/events")
        for key, item in unready:
            if item is None:
                reason = Reason("create", "the object is gone from the cluster", True)
            else:
                reason = explain(item, pods, claims, events)
            before = self.reasons.get(key)
            # The same kind of trouble in another pod, or in other words, is the same trouble.
            since = before[1] if before and before[0].kind == reason.kind else seconds
            self.reasons[key] = (reason, since)

    def stuck(self, seconds: float, patience: float) -> bool:
        """Tell whether a terminal reason has lasted for `patience`."""
        return any(reason.terminal and seconds - since >= patience for reason, since in self.reasons.values())

    def report(self, seconds: float) -> str:
        """Describe every workload that is not ready."""
        lines = [f"not rolled out in namespace {self.namespace} after {seconds:.0f} s:"]
        for key, (reason, since) in self.reasons.items():
            kind, name = key
            pod = f", pod {reason.pod}" if reason.pod else ""
            container = f", container {reason.container}" if reason.container else ""
            lines.append(
                f"- {kind} {name} ({self.states[key].progress}{pod}{container}): {reason.kind} for "
                f"{seconds - since:.0f} s: {reason.text}"
            )
            if reason.kind == "crash":
                log = _log_of(self.api, self.namespace, reason)
                lines += [f"    {line}" for line in log.splitlines()] or ["    (its log is empty)"]
            lines.append(f"  Next: {_REMEDIES[reason.kind]}")
        return "\n".join(lines)


def wait_for_workloads(
    api: KubeApi,
    workloads: Sequence[Workload],
    *,
    timeout_seconds: float,
    stuck_seconds: float,
    clock: Clock,
    log: Callable[[str], None],
) -> list[WorkloadState]:
    """Wait until every workload is rolled out.

    Args:
        api: the cluster.
        workloads: what to wait for.
        timeout_seconds: how long to wait at most.
        stuck_seconds: how long a reason that waiting does not cure may last.
        clock: time.
        log: gets a line whenever the state of a workload changes.

    Returns:
        The state of each, in the order of `workloads`.

    Raises:
        RolloutError: with the reason for each that is not ready.
        KubeError: the cluster does not answer.
    """
    start = clock.now()
    watches = [
        _Watch(api, namespace, [entry for entry in workloads if entry.namespace == namespace])
        for namespace in dict.fromkeys(entry.namespace for entry in workloads)
    ]
    told: dict[tuple[str, str, str], str] = {}
    last_answer = 0.0
    while True:
        seconds = clock.now() - start
        try:
            for watch in watches:
                watch.look(seconds)
        except KubeError as error:
            if 0 < error.status < 500 or seconds - last_answer >= _API_GRACE_SECONDS:
                raise
            log(f"{seconds:.0f} s {error}")
            clock.sleep(2)
            continue
        last_answer = seconds
        for watch in watches:
            for key, state in watch.states.items():
                reason = watch.reasons.get(key)
                line = f"{state.kind} {state.name}: {state.progress}" + (
                    f"; {reason[0].text}" if reason else ""
                )
                if told.get((watch.namespace, *key)) != line:
                    told[(watch.namespace, *key)] = line
                    log(f"{seconds:.0f} s {line}")
        if all(state.ready for watch in watches for state in watch.states.values()):
            by_key = {
                (watch.namespace, *key): state for watch in watches for key, state in watch.states.items()
            }
            return [by_key[(entry.namespace, entry.kind, entry.name)] for entry in workloads]
        if seconds >= timeout_seconds or any(watch.stuck(seconds, stuck_seconds) for watch in watches):
            raise RolloutError("\n".join(watch.report(seconds) for watch in watches if watch.reasons))
        clock.sleep(1 if seconds < 30 else 2)


def wait_until_gone(api: KubeApi, path: str, timeout_seconds: float, clock: Clock) -> None:
    """Wait until there is nothing at `path` any more.

    Raises:
        RolloutError: with what the object itself says about why it is still there.
    """
    deadline = clock.now() + timeout_seconds
    left = api.get(path)
    while left is not None:
        if clock.now() > deadline:
            conditions = left.get("status", {}).get("conditions") or []
            said = "; ".join(
                str(entry.get("message", "")) for entry in conditions if entry.get("status") == "True"
            )
            raise RolloutError(
                f"{path} is still being deleted after {timeout_seconds:.0f} s: {said or 'it gives no reason'}. "
                "Next: remove what is named there, or what holds its finalizers"
            )
        clock.sleep(1)
        left = api.get(path)
