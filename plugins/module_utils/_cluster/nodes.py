# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The nodes of a cluster as its API knows them, and waiting for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.waiting import wait_until
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeApi, forgive

__all__ = ["UNTIL", "Node", "NodesError", "late", "list_nodes", "read_node", "too_late", "wait_for_nodes"]


class NodesError(Exception):
    """Nodes that are not as they should be in time. Its text names each one with its reason."""


@dataclass(frozen=True)
class Node:
    """One node. Texts are empty where the API says nothing yet."""

    name: str
    address: str  # InternalIP
    pod_cidr: str
    ready: bool
    reason: str  # why it is not ready
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[Mapping[str, str]] = ()  # as the API has them: key, effect, perhaps value and timeAdded
    version: str = ""  # resourceVersion

    def as_result(self) -> dict[str, Any]:
        """Return what a module returns of it."""
        return {key: value for key, value in asdict(self).items() if key != "version"}


# What can be waited for: {name: (whether a node is so far, what to say otherwise)}.
UNTIL: Mapping[str, tuple[Callable[[Node], bool], Callable[[Node], str]]] = {
    "registered": (lambda node: True, lambda node: ""),
    "addressed": (
        lambda node: bool(node.address and node.pod_cidr),
        lambda node: (
            "has no InternalIP"
            if not node.address
            else "has no podCIDR: is the pod subnet too small, or kube-controller-manager down?"
        ),
    ),
    "ready": (lambda node: node.ready, lambda node: f"is not Ready: {node.reason}"),
}


def read_node(manifest: Mapping[str, Any]) -> Node:
    """Read a node as the API gives it.

    Source: https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/node-v1/.
    """
    spec, status = manifest.get("spec") or {}, manifest.get("status") or {}
    conditions = status.get("conditions") or []
    ready: Mapping[str, Any] = next((entry for entry in conditions if entry["type"] == "Ready"), {})
    addresses = [entry["address"] for entry in status.get("addresses") or [] if entry["type"] == "InternalIP"]
    return Node(
        name=manifest["metadata"]["name"],
        address=addresses[0] if addresses else "",
        pod_cidr=spec.get("podCIDR") or "",
        ready=ready.get("status") == "True",
        reason=ready.get("message") or "its kubelet has not reported yet",
        labels=manifest["metadata"].get("labels") or {},
        taints=tuple(spec.get("taints") or ()),
        version=manifest["metadata"].get("resourceVersion") or "",
    )


def list_nodes(api: KubeApi) -> dict[str, Node]:
    """Return all nodes of the cluster by name. Raises KubeError."""
    return {node.name: node for node in map(read_node, (api.get("/api/v1/nodes") or {}).get("items") or [])}


def late(nodes: Mapping[str, Node], names: Sequence[str], until: str) -> list[str]:
    """Say of each named node that is not as far as `until` why it is not."""
    good, complaint = UNTIL[until]
    return [
        f"{name} {complaint(nodes[name]) if name in nodes else 'has not joined the cluster'}"
        for name in names
        if name not in nodes or not good(nodes[name])
    ]


def too_late(problems: Sequence[str], seconds: float) -> NodesError:
    """Say what is late, and where to look."""
    return NodesError(
        f"after {seconds:.0f} s: {'; '.join(problems)}. Look at `kubectl describe node NAME` "
        "and, on the node, at `journalctl -u kubelet -n 50`."
    )


def wait_for_nodes(
    api: KubeApi, names: Sequence[str], *, clock: Clock, until: str = "registered", timeout_seconds: float = 0
) -> dict[str, Node]:
    """Wait until the named nodes are as far as wanted.

    Args:
        api: the cluster.
        names: the nodes to wait for.
        clock: time.
        until: a key of `UNTIL`.
        timeout_seconds: 0 asks once.

    Returns:
        All nodes of the cluster by name.

    Raises:
        NodesError: some are not so far in time; each is named with its reason.
        KubeError: the API is away for longer than it may be, or refuses.
    """
    waited = wait_until(
        lambda _seconds: list_nodes(api),
        lambda nodes: not late(nodes, names, until),
        clock=clock,
        timeout_seconds=timeout_seconds,
        forgive=forgive,
    )
    if not waited.done:
        raise too_late(late(waited.seen, names, until), waited.seconds)
    return waited.seen
