# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a cluster keeps beyond its pods: classes, claims, and where the data of each is. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeApi

__all__ = ["Claim", "bound_volumes", "claims_of", "classes_of", "released"]

_DEFAULT = "storageclass.kubernetes.io/is-default-class"
_HOSTNAME = "kubernetes.io/hostname"


@dataclass(frozen=True)
class Claim:
    """A claim, and the volume that is bound to it. `volume` is empty where none is; `where` says where the data are."""

    namespace: str
    name: str
    size: str = ""
    volume: str = ""
    reclaim: str = ""
    where: str = ""

    @property
    def fate(self) -> str:
        """Say what becomes of the data when the claim is deleted."""
        if not self.volume:
            return "it has no volume, and no data"
        if self.reclaim == "Retain":
            return f"its volume {self.volume} stays, Released, with its data {self.where}"
        return f"its volume {self.volume} and its data {self.where} go with it ({self.reclaim})"

    def __str__(self) -> str:
        """Say which, how large, and what becomes of it."""
        return f"claim {self.namespace}/{self.name} ({self.size}): {self.fate}"


def classes_of(api: KubeApi) -> list[dict[str, Any]]:
    """Return the StorageClasses, each {name, default, provisioner}. Raises KubeError."""
    return [
        {
            "name": item["metadata"]["name"],
            "default": (item["metadata"].get("annotations") or {}).get(_DEFAULT) == "true",
            "provisioner": str(item.get("provisioner", "")),
        }
        for item in _items(api, "/apis/storage.k8s.io/v1/storageclasses")
    ]


def claims_of(api: KubeApi, namespaces: Iterable[str]) -> list[Claim]:
    """Return the claims of these namespaces. Raises KubeError."""
    volumes = {item["metadata"]["name"]: item for item in _items(api, "/api/v1/persistentvolumes")}
    found = []
    for namespace in sorted(set(namespaces)):
        for item in _items(api, f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"):
            spec = item.get("spec") or {}
            volume = volumes.get(str(spec.get("volumeName") or ""), {})
            given = volume.get("spec") or {}
            asked = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
            size = ((item.get("status") or {}).get("capacity") or {}).get("storage") or asked
            found.append(
                Claim(
                    namespace,
                    item["metadata"]["name"],
                    size=str(size or ""),
                    volume=str((volume.get("metadata") or {}).get("name", "")),
                    reclaim=str(given.get("persistentVolumeReclaimPolicy", "")),
                    where=_where(given),
                )
            )
    return found


def bound_volumes(api: KubeApi) -> dict[str, dict[str, Any]]:
    """Return the volumes that claims have, as the API gives them, by namespace/name of the claim. Raises KubeError."""
    claims = [
        ((item.get("spec") or {}).get("claimRef"), item) for item in _items(api, "/api/v1/persistentvolumes")
    ]
    return {
        f"{claim.get('namespace')}/{claim.get('name')}": item
        for claim, item in claims
        if claim and (item.get("status") or {}).get("phase") == "Bound"
    }


def released(api: KubeApi, names: Iterable[str]) -> list[str]:
    """Return which of these volumes still belong to a claim that is gone. Raises KubeError."""
    phases = {
        item["metadata"]["name"]: (item.get("status") or {}).get("phase")
        for item in _items(api, "/api/v1/persistentvolumes")
    }
    return [name for name in names if phases.get(name) == "Released"]


def _items(api: KubeApi, path: str) -> list[dict[str, Any]]:
    return (api.get(path) or {}).get("items") or []


def _where(spec: Mapping[str, Any]) -> str:
    """Name the place of a volume's data, as exactly as the volume itself does."""
    if "nfs" in spec:
        return f"in {spec['nfs'].get('server')}:{spec['nfs'].get('path')}"
    folder = (spec.get("hostPath") or spec.get("local") or {}).get("path")
    nodes = sorted(_nodes(spec))
    if folder:
        return f"in {folder} on {', '.join(nodes) if nodes else 'every node'}"
    driver = (spec.get("csi") or {}).get("driver")
    return f"with {driver}" if driver else f"with the class {spec.get('storageClassName') or 'of nobody'}"


def _nodes(spec: Mapping[str, Any]) -> set[str]:
    required = (spec.get("nodeAffinity") or {}).get("required") or {}
    return {
        str(value)
        for term in required.get("nodeSelectorTerms") or []
        for entry in term.get("matchExpressions") or []
        if entry.get("key") == _HOSTNAME and entry.get("operator") == "In"
        for value in entry.get("values") or []
    }
