# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The turn of a node in an upgrade: it takes no new pods from its beginning, and new ones only after it has shown its health.

The mark on the node object says that a turn has begun, wherever the run was that began it, and what the node was before: one
that an admin had cordoned is left cordoned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.versions import numbers
from ansible_collections.ironbinder.platform.plugins.module_utils._base.waiting import wait_until
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.nodes import read_node
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.placement import belongs_to_node
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.upgrade_facts import CORDONED, TURN
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.upgrade_hindrances import (
    has_turn,
    never_empty,
    unavailable,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeApi, KubeError

__all__ = ["Healthy", "TurnError", "begin", "end", "look_first"]

_CORDONED, _SCHEDULABLE = CORDONED, "schedulable"
_DEPLOYMENTS = (
    "`kubectl get pods -A -o wide`: what is not ready there, and why. No further turn begins before it is"
)
# A node changes now and then, and hardly more than once while its turn begins.
_LOOKS = 5


class TurnError(Exception):
    """A node that is not there, or not healthy in time. The text says what was seen and what to do."""


@dataclass(frozen=True)
class Healthy:
    """What makes a node healthy again: versions, empty for any, and namespaces whose deployments have to be available."""

    kubelet: str = ""
    containerd: str = ""
    namespaces: Sequence[str] = ()


def _node(api: KubeApi, name: str) -> dict[str, Any]:
    item = api.get(f"/api/v1/nodes/{name}")
    if item is None:
        raise TurnError(f"the cluster has no node {name}: run site.yml, or remove it from the inventory")
    return item


def look_first(
    api: KubeApi,
    name: str,
    namespaces: Sequence[str],
    *,
    empties: bool = False,
    end_sessions: bool = False,
    clock: Clock,
    timeout_seconds: float,
    check_mode: bool = False,
) -> None:
    """Make sure that a node's turn may begin: that it can be emptied, and that what the turn before has moved is up again.

    Where any node has its turn nothing is waited for: its cordon may be what keeps a deployment down. A check does not wait.

    Args:
        api: the cluster.
        name: the node.
        namespaces: whose deployments have to be available.
        empties: whether the node is going to be emptied.
        end_sessions: whether what people do there is ended then.
        clock: time.
        timeout_seconds: how long deployments are waited for.
        check_mode: whether this is a check.

    Raises:
        TurnError: it can never be emptied, or deployments are not available in time. Nothing was changed.
        KubeError: the API is away for longer than it may be, or refuses.
    """
    why = never_empty(api, name, end_sessions=end_sessions) if empties else ""
    if why:
        raise TurnError(f"{why}. It is left as it was")
    if not check_mode and not has_turn(api):
        _wait(
            lambda: [str(one) for one in unavailable(api, namespaces)],
            f"{name} is left as it was:",
            clock,
            timeout_seconds,
            _DEPLOYMENTS,
        )


def begin(api: KubeApi, name: str, *, check_mode: bool = False) -> bool:
    """Cordon a node and mark it; say whether that changes anything.

    Raises:
        TurnError: the cluster has no such node.
        KubeError: the API does not answer, or refuses.
    """
    for attempt in range(_LOOKS):
        body = _beginning(_node(api, name))
        if not body or check_mode:
            return bool(body) or attempt > 0
        try:
            api.patch(f"/api/v1/nodes/{name}", body)
        except KubeError as error:
            # Somebody was quicker: its kubelet with a word on its state, or we, in an attempt whose answer was lost.
            if error.status != HTTPStatus.CONFLICT or attempt == _LOOKS - 1:
                raise
        else:
            break
    return True


def _beginning(item: Mapping[str, Any]) -> dict[str, Any]:
    """Give the patch that begins a node's turn, {} where it has begun."""
    cordoned = bool((item.get("spec") or {}).get("unschedulable"))
    marked = TURN in (item["metadata"].get("annotations") or {})
    if cordoned and marked:
        return {}
    body: dict[str, Any] = {"spec": {"unschedulable": True}}
    if not marked:
        was = _CORDONED if cordoned else _SCHEDULABLE
        # Of the node as it was seen: another admin's cordon in between would be taken for ours.
        body["metadata"] = {
            "annotations": {TURN: was},
            "resourceVersion": item["metadata"].get("resourceVersion"),
        }
    return body


def end(
    api: KubeApi,
    name: str,
    healthy: Healthy,
    *,
    clock: Clock,
    timeout_seconds: float,
    check_mode: bool = False,
) -> bool:
    """Wait until a node is healthy, let it take pods again, and wait for what its pods are part of.

    Returns:
        Whether the node changes.

    Raises:
        TurnError: it is not healthy in time, and is left cordoned; or deployments are not available in the same time again.
        KubeError: the API is away for longer than it may be, or refuses.
    """
    if check_mode:
        return TURN in (_node(api, name)["metadata"].get("annotations") or {})
    look = (
        f"`kubectl describe node {name}`, `kubectl get pods -A --field-selector spec.nodeName={name}`, and `journalctl -u "
        "kubelet -n 50` there"
    )
    _wait(
        lambda: _ailments(api, name, healthy), f"{name} is left cordoned, but", clock, timeout_seconds, look
    )
    marks = _node(api, name)["metadata"].get("annotations") or {}
    if TURN in marks:
        body: dict[str, Any] = {"metadata": {"annotations": {TURN: None}}}
        if marks[TURN] != _CORDONED:
            body["spec"] = {"unschedulable": None}
        api.patch(f"/api/v1/nodes/{name}", body)
    # What waits for this node has its own time, from now on.
    _wait(
        lambda: [str(one) for one in unavailable(api, healthy.namespaces)],
        f"{name} takes pods again, but",
        clock,
        timeout_seconds,
        _DEPLOYMENTS,
    )
    return TURN in marks


def _wait(ask: Callable[[], list[str]], state: str, clock: Clock, timeout_seconds: float, look: str) -> None:
    """Wait until nothing is at fault. The error begins with the state that all is left in, and ends with where to look."""
    waited = wait_until(
        lambda _seconds: ask(),
        lambda faults: not faults,
        clock=clock,
        timeout_seconds=timeout_seconds,
        step_seconds=2.0,
        # A head's own API comes back with its kubelet: that it is away is one more thing that keeps it from being healthy.
        forgive=lambda error, _silent_seconds: isinstance(error, KubeError) and error.passing,
    )
    if not waited.done:
        seen = "; ".join(waited.seen[:6])
        raise TurnError(f"{state} after {waited.seconds:.0f} s: {seen}. Look at {look}")


def _ailments(api: KubeApi, name: str, healthy: Healthy) -> list[str]:
    """Say what keeps a node from being healthy."""
    item = _node(api, name)
    about = (item.get("status") or {}).get("nodeInfo") or {}
    node, found = read_node(item), []
    if not node.ready:
        found.append(f"it is not Ready: {node.reason}")
    runtime = str(about.get("containerRuntimeVersion") or "").partition("://")[2]
    for what, has, wanted in (
        ("kubelet", str(about.get("kubeletVersion") or ""), healthy.kubelet),
        ("containerd", runtime, healthy.containerd),
    ):
        if wanted and numbers(has) != numbers(wanted):
            found.append(f"its {what} is {has or 'unknown'}, not {wanted}")
    pods = (api.get("/api/v1/pods", fieldSelector=f"spec.nodeName={name}") or {}).get("items") or []
    for pod in pods:
        if (pod.get("spec") or {}).get("nodeName") == name and belongs_to_node(pod) and not _is_ready(pod):
            about = pod["metadata"]
            found.append(f"pod {about['name']} in {about.get('namespace')} is not ready")
    return found


def _is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    # One that is being deleted makes way for the next, which is not there yet.
    return not pod["metadata"].get("deletionTimestamp") and any(
        entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions
    )
