# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Empty a node and take it out of its cluster, without ending what people do unless somebody says so.

What a controller starts again elsewhere is evicted at once. Sessions, builds, and pods that nobody started by a controller
are waited for, and ended only where that is asked for. What can never end well is refused before anything is changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.waiting import wait_until
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.drain_plan import (
    DrainError,
    DrainPlan,
    bound_to,
    machine_id,
    plan_drain,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.node_pods import (
    BARE,
    BUILD,
    MOVES,
    SESSION,
    Pod,
    pods_of,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.upgrade_facts import TURN
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeApi, KubeError, forgive

__all__ = [
    "DrainError",
    "DrainPlan",
    "DrainReport",
    "bound_to",
    "cordon",
    "drain",
    "machine_id",
    "plan_drain",
    "refuse_last_head",
    "remove_node",
]

_STEP_SECONDS = 2.0
# What is told to end has its grace period, 30 seconds unless its owner says more.
_ENDING_SECONDS = 120.0
_GONE_SECONDS = 60.0
_SHOWN = 8
# How the API forbids whatever is new in a namespace that is being deleted, evictions too. Its pods are told to end without us.
_CLOSING = "because it is being terminated"
_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
_WORDS = {SESSION: "session", BUILD: "build", BARE: "pod without a controller"}


@dataclass(frozen=True)
class DrainReport:
    """What was done. Pods are written as namespace/name."""

    node: str
    found: bool  # whether the API has the node
    cordoned: bool  # whether this call closed it for new pods
    evicted: Sequence[str] = ()  # pods that start again elsewhere
    ended: Sequence[str] = ()  # sessions, builds and lone pods that were ended
    waited_for: Sequence[str] = ()  # those that ended by themselves
    seconds: float = 0.0

    @property
    def changed(self) -> bool:
        """Whether the cluster is another one than before."""
        return bool(self.cordoned or self.evicted or self.ended)

    def as_result(self) -> dict[str, Any]:
        """Return what a module returns of it."""
        return asdict(self)


def _path(node: str) -> str:
    return f"/api/v1/nodes/{node}"


def cordon(api: KubeApi, node: str, *, closed: bool = True, check_mode: bool = False) -> bool:
    """Close a node for new pods, or open it again; say whether that changes anything.

    Who opens it ends its turn in an upgrade, which would take a later cordon for its own; the versions say what is left to do.

    Raises:
        DrainError: the cluster has no such node.
        KubeError: the API does not answer, or refuses.
    """
    found = api.get(_path(node))
    if found is None:
        raise DrainError(
            f"the cluster has no node {node}: name one of `kubectl get nodes`. Nothing was changed."
        )
    body: dict[str, Any] = {}
    if bool((found.get("spec") or {}).get("unschedulable")) != closed:
        body["spec"] = {"unschedulable": True if closed else None}
    if not closed and TURN in (found["metadata"].get("annotations") or {}):
        body["metadata"] = {"annotations": {TURN: None}}
    if body and not check_mode:
        api.patch(_path(node), body)
    return bool(body)


def drain(
    api: KubeApi,
    node: str,
    *,
    timeout_seconds: float,
    end_sessions: bool,
    clock: Clock,
    for_good: bool = False,
) -> DrainReport:
    """Close a node, evict what starts again elsewhere, and wait until nobody works on it.

    Args:
        api: the cluster.
        node: the node. One that the API does not have is empty.
        timeout_seconds: how long people's work, and budgets that allow nothing now, are waited for.
        end_sessions: whether what people do is ended then. Else it stays, and so does the closed door.
        clock: time.
        for_good: see `plan_drain`.

    Raises:
        DrainError: it can never end well (nothing was changed then), or was not empty in time.
        KubeError: the API is away for longer than it may be, or refuses.
    """
    started = clock.now()
    plan = plan_drain(api, node, end_sessions=end_sessions, for_good=for_good)
    if not plan.found:
        return DrainReport(node, found=False, cordoned=False)
    closed = cordon(api, node)
    work = _Work(api, node)
    waited = wait_until(
        lambda _seconds: work.look(),
        lambda left: not left,
        clock=clock,
        timeout_seconds=timeout_seconds,
        step_seconds=_STEP_SECONDS,
        forgive=forgive,
    )
    people_left = any(pod.kind != MOVES for pod in waited.seen)
    # What was told to end in the last moment gets the time for it.
    if not waited.done and (end_sessions or not (people_left or work.refused)):
        work.ends_people = end_sessions
        waited = wait_until(
            lambda _seconds: work.look(),
            lambda left: not left,
            clock=clock,
            timeout_seconds=_ENDING_SECONDS,
            step_seconds=_STEP_SECONDS,
            forgive=forgive,
        )
    if not waited.done:
        raise DrainError(_too_late(work, waited.seen, clock.now() - started, end_sessions))
    return DrainReport(
        node,
        found=True,
        cordoned=closed,
        evicted=sorted(work.evicted),
        ended=sorted(work.ended),
        waited_for=sorted({pod.key for pod in plan.people} - work.ended),
        seconds=round(clock.now() - started, 1),
    )


class _Work:
    """One drain: what was evicted so far, and what the API refused to evict last."""

    def __init__(self, api: KubeApi, node: str) -> None:
        self.api, self.node = api, node
        self.ends_people = False
        self.evicted: set[str] = set()
        self.ended: set[str] = set()
        self.refused: dict[str, str] = {}
        self.closing: set[str] = set()  # namespaces that are being deleted, and have pods that do not end yet

    def look(self) -> list[Pod]:
        """Evict what may go, and return what is still there."""
        left = pods_of(self.api, self.node)
        self.refused, self.closing = {}, set()
        for pod in left:
            if not pod.leaving and (pod.kind == MOVES or self.ends_people):
                self._evict(pod)
        return left

    def _evict(self, pod: Pod) -> None:
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod.name, "namespace": pod.namespace},
        }
        try:
            self.api.create(f"{pod.path}/eviction", body)
        except KubeError as error:
            if error.status == 404:
                return
            if error.status == 403 and _CLOSING in error.message:
                self.closing.add(pod.namespace)
                return
            # 429 is what a budget says; 500 stands for two of them.
            if error.status not in (429, 500):
                raise
            self.refused[pod.key] = error.message or str(error)
            return
        (self.evicted if pod.kind == MOVES else self.ended).add(pod.key)


def _too_late(work: _Work, left: Sequence[Pod], seconds: float, end_sessions: bool) -> str:
    """Say who is still there after which time, why, and how to go on."""
    node, parts, next_steps = work.node, [], []
    for kind, word in _WORDS.items():
        mine = [pod for pod in left if pod.kind == kind]
        if mine:
            parts.append(f"{len(mine)} {word}{'' if len(mine) == 1 else 's'}: {_some(mine)}")
    moving = [pod for pod in left if pod.kind == MOVES]
    if moving:
        parts.append(f"{len(moving)} pods on the move: {_some(moving)}")
    if parts and not end_sessions and any(pod.kind != MOVES for pod in left):
        next_steps.append("wait and run this again, or end them by -e end_sessions=true")
    for name, why in list(work.refused.items())[:_SHOWN]:
        parts.append(f"{name} is not let go: {why}")
        next_steps.append("look at `kubectl get pdb -A` and bring up what is not ready")
    for name in sorted(work.closing):
        parts.append(f"the namespace {name} is being deleted, and pods in it are not yet")
        next_steps.append(f"look at what it waits for, `kubectl get namespace {name} -o yaml`")
    if held := [pod for pod in left if pod.leaving and pod.finalizers]:
        parts += [f"{pod.key} waits for its finalizer {', '.join(pod.finalizers)}" for pod in held[:_SHOWN]]
        next_steps.append("see that what sets a finalizer runs")
    if any(pod.leaving for pod in left):
        next_steps.append(f"for pods that do not end, look at `journalctl -u kubelet -n 50` on {node}")
    then = "; ".join(dict.fromkeys(next_steps)) or "run this again"
    return (
        f"{node} is not empty after {seconds:.0f} s: {'; '.join(parts)}. It takes no new pods meanwhile. "
        f"Next: {then}; or open it again by the playbook uncordon."
    )


def _some(pods: Sequence[Pod]) -> str:
    more = f" and {len(pods) - _SHOWN} more" if len(pods) > _SHOWN else ""
    return ", ".join(map(str, pods[:_SHOWN])) + more


def remove_node(api: KubeApi, node: str, *, clock: Clock) -> bool:
    """Take a node out of the cluster; say whether it was there. The control plane then removes what is left of its pods.

    Raises:
        DrainError: it is the last head, or does not go.
        KubeError: the API does not answer, or refuses.
    """
    found = api.get(_path(node))
    if found is None:
        return False
    refuse_last_head(api, node, found)
    api.delete(_path(node))
    waited = wait_until(
        lambda _seconds: api.get(_path(node)),
        lambda left: left is None or left["metadata"].get("uid") != found["metadata"].get("uid"),
        clock=clock,
        timeout_seconds=_GONE_SECONDS,
        forgive=forgive,
    )
    if not waited.done:
        held = (waited.seen or {}).get("metadata", {}).get("finalizers") or ["nothing that it names"]
        raise DrainError(
            f"the node {node} is still there after {waited.seconds:.0f} s, held by {', '.join(held)}: "
            f"look at `kubectl get node {node} -o yaml`, and run this again"
        )
    return True


def refuse_last_head(api: KubeApi, node: str, found: dict[str, Any]) -> None:
    """Raise DrainError where no other node has a control plane."""
    heads = [
        item["metadata"]["name"]
        for item in (api.get("/api/v1/nodes") or {}).get("items") or []
        if _CONTROL_PLANE in (item["metadata"].get("labels") or {})
    ]
    if _CONTROL_PLANE in (found["metadata"].get("labels") or {}) and heads == [node]:
        raise DrainError(
            f"{node} is the last head: the cluster would go with it. The playbook reset does that, with what=cluster. "
            "Nothing was changed."
        )
