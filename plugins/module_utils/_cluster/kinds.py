# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Where the API keeps the objects of a kind."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.manifest import Ref
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeApi

__all__ = ["KindMissing", "Kinds", "Place"]


class KindMissing(Exception):
    """The cluster does not know a kind. Its text says which, and what to do."""


@dataclass(frozen=True)
class Place:
    """Where an object is: the path of its list, for creating it, and its own."""

    parent: str
    path: str


class Kinds:
    """Asks the API once for each group and version that is needed, which takes milliseconds; nothing is kept on disk."""

    def __init__(self, api: KubeApi, namespace: str = "default") -> None:
        """Take the cluster, and the namespace of objects that name none."""
        self._api = api
        self._namespace = namespace
        self._known: dict[str, dict[str, tuple[str, bool]]] = {}

    def place(self, ref: Ref) -> Place:
        """Find an object's place.

        Raises:
            KindMissing: the cluster does not know the kind; it is asked anew the next time.
            KubeError: the cluster does not answer, or refuses.
        """
        base = f"/apis/{ref.api_version}" if ref.group else f"/api/{ref.api_version}"
        if ref.api_version not in self._known:
            listed = self._api.get(base) or {}
            self._known[ref.api_version] = {
                entry["kind"]: (entry["name"], bool(entry["namespaced"]))
                for entry in listed.get("resources") or []
                if "/" not in entry["name"]
            }
        kinds = self._known[ref.api_version]
        if ref.kind not in kinds:
            # It may be there a moment later, when its definition is.
            del self._known[ref.api_version]
            raise KindMissing(
                f"the cluster does not know the kind {ref.kind} of {ref.api_version}: correct apiVersion and kind, or "
                "apply the CustomResourceDefinition first"
            )
        plural, namespaced = kinds[ref.kind]
        inside = f"/namespaces/{quote(ref.namespace or self._namespace, safe='')}" if namespaced else ""
        parent = f"{base}{inside}/{plural}"
        return Place(parent, f"{parent}/{quote(ref.name, safe=':')}")
