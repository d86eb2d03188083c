# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The nodes of a cluster as its API knows them, and waiting for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeApi, KubeError

__all__ = ["UNTIL", "Node", "NodesError", "read_node", "wait_for_nodes"]

_STEP_SECONDS = 1.0


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
    status = manifest.get("status") or {}
    conditions = status.get("conditions") or []
    ready: Mapping[str, Any] = next((entry for entry in conditions if entry["type"] == "Ready"), {})
    addresses = [entry["address"] for entry in status.get("addresses") or [] if entry["type"] == "InternalIP"]
    return Node(
        name=manifest["metadata"]["name"],
        address=addresses[0] if addresses else "",
        pod_cidr=(manifest.get("spec") or {}).get("podCIDR") or "",
        ready=ready.get("status") == "True",
        reason=ready.get("message") or "its kubelet has not reported yet",
        labels=manifest["metadata"].get("labels") or {},
    )


def wait_for_nodes(
    api: KubeApi,
    names: Sequence[str],
    *,
    until: str = "registered",
    timeout_seconds: float = 0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Node]:
    """Wait until the named nodes are as far as wanted.

    Args:
        api: the cluster.
        names: the nodes to wait for.
        until: a key of `UNTIL`.
        timeout_seconds: 0 asks once.

    Returns:
        All nodes of the cluster by name.

    Raises:
        NodesError: some are not so far in time; each is named with its reason.
        KubeError: the API does not answer in time, or refuses.
    """
    good, complaint = UNTIL[until]
    deadline = clock() + timeout_seconds
    while True:
        try:
            nodes = {
                node.name: node
                for node in map(read_node, (api.get("/api/v1/nodes") or {"items": []})["items"])
            }
            problems = [
                f"{name} {complaint(nodes[name]) if name in nodes else 'has not joined the cluster'}"
                for name in names
                if name not in nodes or not good(nodes[name])
            ]
            if not problems:
                return nodes
        except KubeError as error:
            # Without a status nobody was there, which may pass; a refusal will not.
            if error.status or clock() >= deadline:
                raise
        else:
            if clock() >= deadline:
                raise NodesError(
                    f"after {timeout_seconds:.0f} s: {'; '.join(problems)}. Look at `kubectl describe node NAME` "
                    "and, on the node, at `journalctl -u kubelet -n 50`."
                )
        sleep(_STEP_SECONDS)
