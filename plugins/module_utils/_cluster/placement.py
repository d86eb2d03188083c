# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Which nodes would take a pod, by what pod, node and volume say of each other. Room is not looked at.

Source: https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/ and .../taint-and-toleration/, and
https://kubernetes.io/docs/concepts/storage/persistent-volumes/#node-affinity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["belongs_to_node", "claims_in", "has_volume", "would_take"]

_KEEPS_OFF = ("NoSchedule", "NoExecute")


def belongs_to_node(pod: Mapping[str, Any]) -> bool:
    """Whether a pod is of a DaemonSet or of the kubelet itself, so that nothing moves it."""
    owners = pod["metadata"].get("ownerReferences") or []
    return any(owner.get("kind") in ("DaemonSet", "Node") for owner in owners)


def claims_in(pod: Mapping[str, Any]) -> list[str]:
    """Name the claims that a pod uses, as namespace/name. One that is made for a pod ends with it, and is left out."""
    volumes = (pod.get("spec") or {}).get("volumes") or []
    used = [volume["persistentVolumeClaim"] for volume in volumes if volume.get("persistentVolumeClaim")]
    return [f"{pod['metadata'].get('namespace')}/{claim['claimName']}" for claim in used]


def has_volume(node: Mapping[str, Any], volume: Mapping[str, Any]) -> bool:
    """Whether pods of a node can use a PersistentVolume; both as the API gives them."""
    required = ((volume.get("spec") or {}).get("nodeAffinity") or {}).get("required") or {}
    terms = required.get("nodeSelectorTerms")
    return not terms or any(_fits(term, node["metadata"].get("labels") or {}, node) for term in terms)


def would_take(node: Mapping[str, Any], pod: Mapping[str, Any]) -> bool:
    """Whether a node that is well and not cordoned would take this pod; both as the API gives them."""
    spec = pod.get("spec") or {}
    about = node.get("spec") or {}
    labels = node["metadata"].get("labels") or {}
    if about.get("unschedulable"):
        return False
    tolerations = spec.get("tolerations") or []
    if not all(_tolerated(taint, tolerations) for taint in about.get("taints") or []):
        return False
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    terms = required.get("nodeSelectorTerms")
    return not terms or any(_fits(term, labels, node) for term in terms)


def _tolerated(taint: Mapping[str, Any], tolerations: Sequence[Mapping[str, Any]]) -> bool:
    if taint.get("effect") not in _KEEPS_OFF:
        return True
    return any(
        entry.get("effect") in (None, "", taint["effect"])
        and (not entry.get("key") or entry["key"] == taint["key"])
        and (entry.get("operator") == "Exists" or (entry.get("value") or "") == (taint.get("value") or ""))
        for entry in tolerations
    )


def _fits(term: Mapping[str, Any], labels: Mapping[str, str], node: Mapping[str, Any]) -> bool:
    """All of a term's expressions; one without any fits nothing."""
    fields = {"metadata.name": node["metadata"]["name"]}
    rules = [(entry, labels) for entry in term.get("matchExpressions") or []]
    rules += [(entry, fields) for entry in term.get("matchFields") or []]
    return bool(rules) and all(_meets(entry, values) for entry, values in rules)


def _meets(entry: Mapping[str, Any], values: Mapping[str, str]) -> bool:
    has, wanted = values.get(entry["key"]), entry.get("values") or []
    operator = entry.get("operator")
    if operator in ("Gt", "Lt"):
        try:
            left, right = int(has or ""), int(wanted[0])
        except (ValueError, IndexError):
            return False
        return left > right if operator == "Gt" else left < right
    return {
        "In": has in wanted,
        "NotIn": has not in wanted,
        "Exists": has is not None,
        "DoesNotExist": has is None,
    }.get(str(operator), False)
