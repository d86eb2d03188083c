# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The pods of one node by what becomes of them when it is emptied, and what keeps one from being moved. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeApi

__all__ = [
    "BARE",
    "BUILD",
    "MOVES",
    "SESSION",
    "Budget",
    "Pod",
    "bound_here",
    "budgets",
    "pods_of",
    "selects",
]

# What a pod is. Nobody starts the last three again.
MOVES, SESSION, BUILD, BARE = "moves", "session", "build", "bare"
# https://github.com/jupyterhub/kubespawner and https://github.com/jupyterhub/binderhub give their pods this label.
_PEOPLE = {"singleuser-server": SESSION, "binderhub-build": BUILD}
_USER = "hub.jupyter.org/username"
_MIRROR = "kubernetes.io/config.mirror"
_HOSTNAME = "kubernetes.io/hostname"


@dataclass(frozen=True)
class Pod:
    """A pod that an emptied node is to be without."""

    namespace: str
    name: str
    kind: str  # MOVES, SESSION, BUILD or BARE
    since: str = ""  # when it began, as the API writes it
    user: str = ""  # whose session it is
    leaving: bool = False  # whether it is being deleted already
    pending: bool = False  # whether no container of it has begun
    ready: bool = False
    endless: bool = False  # whether its containers are started again whenever they end
    labels: Mapping[str, str] = field(default_factory=dict)
    finalizers: Sequence[str] = ()  # who has to agree before it is gone

    @property
    def key(self) -> str:
        """Namespace and name."""
        return f"{self.namespace}/{self.name}"

    @property
    def path(self) -> str:
        """Where the API has it."""
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.name}"

    def __str__(self) -> str:
        """Say which, whose, and since when."""
        whose = f" of {self.user}" if self.user else ""
        return f"{self.key}{whose}" + (f" (since {self.since})" if self.since else "")


@dataclass(frozen=True)
class Budget:
    """A PodDisruptionBudget: how many pods it wants to be healthy of those that there are, and whether it lets one go now."""

    namespace: str
    name: str
    selector: Any
    wanted: int
    expected: int
    allowed: int

    @property
    def never(self) -> bool:
        """Whether it lets no pod go, not even while all of them are healthy."""
        return self.allowed < 1 and self.expected > 0 and self.wanted >= self.expected

    def covers(self, pod: Pod) -> bool:
        """Whether it speaks of this pod."""
        return self.namespace == pod.namespace and selects(self.selector, pod.labels)

    def __str__(self) -> str:
        """Say which, and its numbers."""
        return f"PodDisruptionBudget {self.namespace}/{self.name}, which wants {self.wanted} healthy of {self.expected}"


def pods_of(api: KubeApi, node: str) -> list[Pod]:
    """Return the pods that an emptied node is to be without. Raises KubeError.

    Those of DaemonSets and of the kubelet itself belong to the node, and those that have ended need none.
    """
    told = api.get("/api/v1/pods", fieldSelector=f"spec.nodeName={node}") or {}
    return [_read(item) for item in told.get("items") or [] if not _stays(item)]


def _stays(item: Mapping[str, Any]) -> bool:
    metadata = item["metadata"]
    if _MIRROR in (metadata.get("annotations") or {}) or _controller(metadata) == "DaemonSet":
        return True
    return (item.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _controller(metadata: Mapping[str, Any]) -> str:
    return next(
        (
            str(entry.get("kind"))
            for entry in metadata.get("ownerReferences") or []
            if entry.get("controller")
        ),
        "",
    )


def _read(item: Mapping[str, Any]) -> Pod:
    metadata, status = item["metadata"], item.get("status") or {}
    labels = metadata.get("labels") or {}
    kind = _PEOPLE.get(labels.get("component", "")) or (MOVES if _controller(metadata) else BARE)
    return Pod(
        metadata["namespace"],
        metadata["name"],
        kind,
        since=str(status.get("startTime") or metadata.get("creationTimestamp") or ""),
        user=str((metadata.get("annotations") or {}).get(_USER, "")) if kind == SESSION else "",
        leaving=bool(metadata.get("deletionTimestamp")),
        pending=status.get("phase") == "Pending",
        ready=any(
            entry.get("type") == "Ready" and entry.get("status") == "True"
            for entry in status.get("conditions") or []
        ),
        endless=(item.get("spec") or {}).get("restartPolicy", "Always") == "Always",
        labels=labels,
        finalizers=tuple(metadata.get("finalizers") or ()),
    )


def budgets(api: KubeApi, namespaces: Iterable[str]) -> list[Budget]:
    """Return the PodDisruptionBudgets of these namespaces. Raises KubeError."""
    found = []
    for namespace in sorted(set(namespaces)):
        told = api.get(f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets") or {}
        for item in told.get("items") or []:
            status = item.get("status") or {}
            found.append(
                Budget(
                    namespace,
                    item["metadata"]["name"],
                    (item.get("spec") or {}).get("selector"),
                    int(status.get("desiredHealthy") or 0),
                    int(status.get("expectedPods") or 0),
                    int(status.get("disruptionsAllowed") or 0),
                )
            )
    return found


def selects(selector: Any, labels: Mapping[str, str]) -> bool:
    """Whether a label selector of policy/v1 chooses what has these labels: none chooses nothing, an empty one all.

    Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/label-selector/.
    """
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_holds(entry, labels) for entry in selector.get("matchExpressions") or [])


def _holds(entry: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = entry.get("key"), entry.get("values") or []
    return {
        "In": key in labels and labels.get(str(key)) in values,
        "NotIn": labels.get(str(key)) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }.get(str(entry.get("operator")), False)


def bound_here(api: KubeApi, hostname: str) -> list[str]:
    """Return the claims, as namespace/name, whose data are on this node and on no other. Raises KubeError."""
    found = []
    for item in (api.get("/api/v1/persistentvolumes") or {}).get("items") or []:
        spec = item.get("spec") or {}
        claim = spec.get("claimRef") or {}
        required = (spec.get("nodeAffinity") or {}).get("required") or {}
        terms = required.get("nodeSelectorTerms") or []
        bound = (item.get("status") or {}).get("phase") in ("Bound", "Released")
        if bound and claim and terms and all(_names_only(term, hostname) for term in terms):
            found.append(f"{claim.get('namespace')}/{claim.get('name')}")
    return sorted(found)


def _names_only(term: Mapping[str, Any], hostname: str) -> bool:
    return any(
        entry.get("key") == _HOSTNAME and entry.get("operator") == "In" and entry.get("values") == [hostname]
        for entry in term.get("matchExpressions") or []
    )
