# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a head knows of its cluster's storage: the classes, and where each hub's database is. Reads only."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["CLASSES", "VOLUMES", "storage_facts"]

CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
VOLUMES = "/api/v1/persistentvolumes"
_DEFAULT = "storageclass.kubernetes.io/is-default-class"
_HOSTNAME = "kubernetes.io/hostname"
# The official chart's claim. Those of people are too many to be told, and nobody's pod has to run where they are.
_DATABASE = "hub-db-dir"


def _items(ask: Callable[[str], str], path: str) -> Any:
    """Give what the API lists; None where it does not answer."""
    try:
        return json.loads(ask(path))["items"]
    except (ValueError, KeyError, TypeError):
        return None


def storage_facts(ask: Callable[[str], str]) -> dict[str, Any]:
    """Ask for classes and for volumes.

    Args:
        ask: gives what the API answers to a path, nothing where it does not.

    Returns:
        `classes`, each {name, default, provisioner}; `bound`, the namespaces whose hub has a volume for its database; and
        `databases`, {namespace: the one node that has it}. Nothing where the API does not answer.
    """
    found = _items(ask, CLASSES)
    if not isinstance(found, list):
        return {}
    try:
        classes = [
            {
                "name": item["metadata"]["name"],
                "default": (item["metadata"].get("annotations") or {}).get(_DEFAULT) == "true",
                "provisioner": str(item.get("provisioner") or ""),
            }
            for item in found
        ]
        bound = _databases(_items(ask, VOLUMES) or [])
        databases = {namespace: nodes[0] for namespace, nodes in bound if len(nodes) == 1}
        return {
            "classes": classes,
            "bound": sorted({namespace for namespace, _ in bound}),
            "databases": databases,
        }
    except (KeyError, TypeError, AttributeError):
        return {}


def _databases(volumes: Sequence[Any]) -> list[tuple[str, list[str]]]:
    """Give the namespace of each database that has a volume, with the nodes that alone have it."""
    found = []
    for item in volumes:
        spec = item.get("spec") or {}
        claim = spec.get("claimRef") or {}
        required = (spec.get("nodeAffinity") or {}).get("required") or {}
        nodes = {
            value
            for term in required.get("nodeSelectorTerms") or []
            for entry in term.get("matchExpressions") or []
            if entry.get("key") == _HOSTNAME and entry.get("operator") == "In"
            for value in entry.get("values") or []
        }
        bound = (item.get("status") or {}).get("phase") == "Bound"
        if bound and claim.get("name") == _DATABASE:
            found.append((str(claim.get("namespace")), sorted(map(str, nodes))))
    return found
