# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""How long a pod stays with a node that is lost, before Kubernetes starts it on another one.

https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["staying", "with_staying"]

# One says nothing any more, the other says that it is not well.
_TAINTS = ("node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready")


def staying(seconds: int) -> list[dict[str, Any]]:
    """Give the tolerations of a pod that stays for `seconds`. A pod without them gets 300 from the API server."""
    return [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}
        for key in _TAINTS
    ]


def with_staying(tolerations: Iterable[Mapping[str, Any]], seconds: int) -> list[dict[str, Any]]:
    """Give tolerations in which those about lost nodes are ours, and the others as they are."""
    others = [
        dict(entry)
        for entry in tolerations
        if not (entry.get("key") in _TAINTS and entry.get("effect") == "NoExecute")
    ]
    return others + staying(seconds)
