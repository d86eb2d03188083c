# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Wait for a release's workloads, and give up early with the reason where waiting will not help."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.waiting import wait_until
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeApi, KubeError, forgive
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.workloads import (
    KINDS,
    Reason,
    Workload,
    explain,
    rolled_out,
)

__all__ = ["RolloutError", "WorkloadState", "wait_for_workloads", "wait_until_gone"]

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


class RolloutError(Exception):
    """Workloads that did not come up. Its text has one paragraph for each."""


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
        base, apps = f"/api/v1/namespaces/{self.namespace}", f"/apis/apps/v1/namespaces/{self.namespace}"
        kinds = {kind for (kind, _name), item in unready if item}
        revisions = [
            *(_list(self.api, f"{apps}/replicasets") if "Deployment" in kinds else []),
            *(_list(self.api, f"{apps}/controllerrevisions") if "DaemonSet" in kinds else []),
        ]
        pods, claims = _list(self.api, f"{base}/pods"), _list(self.api, f"{base}/persistentvolumeclaims")
        events = _list(self.api, f"{base}/events")
        for key, item in unready:
            if item is None:
                reason = Reason("create", "the object is gone from the cluster", True)
            else:
                reason = explain(item, pods, claims, events, revisions)
            before = self.reasons.get(key)
            # The same kind of trouble in another pod, or in other words, is the same trouble.
            since = before[1] if before and before[0].kind == reason.kind else seconds
            self.reasons[key] = (reason, since)

    def lines(self) -> Iterator[tuple[tuple[str, str, str], str]]:
        """Give a line for each workload with what is known of it."""
        for key, state in self.states.items():
            reason = self.reasons.get(key)
            why = f"; {reason[0].text}" if reason else ""
            yield (self.namespace, *key), f"{state.kind} {state.name}: {state.progress}{why}"

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
    meanwhile: Sequence[Callable[[], None]] = (),
) -> list[WorkloadState]:
    """Wait until every workload is rolled out.

    Args:
        api: the cluster.
        workloads: what to wait for.
        timeout_seconds: how long to wait at most.
        stuck_seconds: how long a reason that waiting does not cure may last.
        clock: time.
        log: gets a line whenever the state of a workload changes.
        meanwhile: called at every look that finds something still to come.

    Returns:
        The state of each, in the order of `workloads`.

    Raises:
        RolloutError: with the reason for each that is not ready.
        KubeError: the cluster does not answer.
    """
    watches = [
        _Watch(api, namespace, [entry for entry in workloads if entry.namespace == namespace])
        for namespace in dict.fromkeys(entry.namespace for entry in workloads)
    ]
    told: dict[tuple[str, str, str], str] = {}

    def failure(seconds: float) -> RolloutError:
        return RolloutError("\n".join(watch.report(seconds) for watch in watches if watch.reasons))

    def look(seconds: float) -> bool:
        for watch in watches:
            watch.look(seconds)
        for watch in watches:
            for key, line in watch.lines():
                if told.get(key) != line:
                    told[key] = line
                    log(f"{seconds:.0f} s {line}")
        if any(watch.stuck(seconds, stuck_seconds) for watch in watches):
            raise failure(seconds)
        ready = all(state.ready for watch in watches for state in watch.states.values())
        for act in () if ready else meanwhile:
            act()
        return ready

    def forgiven(error: Exception, silent_seconds: float) -> bool:
        if not forgive(error, silent_seconds):
            return False
        log(str(error))
        return True

    waited = wait_until(look, bool, clock=clock, timeout_seconds=timeout_seconds, forgive=forgiven)
    if not waited.done:
        raise failure(waited.seconds)
    by_key = {(watch.namespace, *key): state for watch in watches for key, state in watch.states.items()}
    return [by_key[(entry.namespace, entry.kind, entry.name)] for entry in workloads]


def wait_until_gone(api: KubeApi, path: str, timeout_seconds: float, clock: Clock) -> None:
    """Wait until there is nothing at `path` any more.

    Raises:
        RolloutError: with what the object itself says about why it is still there.
        KubeError: the cluster does not answer, or refuses.
    """
    waited = wait_until(
        lambda _seconds: api.get(path),
        lambda left: left is None,
        clock=clock,
        timeout_seconds=timeout_seconds,
        forgive=forgive,
    )
    if waited.done:
        return
    conditions = ((waited.seen or {}).get("status") or {}).get("conditions") or []
    said = "; ".join(str(entry.get("message", "")) for entry in conditions if entry.get("status") == "True")
    raise RolloutError(
        f"{path} is still being deleted after {timeout_seconds:.0f} s: {said or 'it gives no reason'}. "
        "Next: remove what is named there, or what holds its finalizers"
    )
