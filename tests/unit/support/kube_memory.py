# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A Kubernetes API in memory: objects by path, versions, merge patches, dry runs, discovery, refusals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, Optional

from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeError

__all__ = ["MemoryApi", "merge"]


def merge(target: Any, patch: Any) -> Any:
    """Merge as RFC 7396 says."""
    if not isinstance(patch, Mapping):
        return deepcopy(patch)
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


class MemoryApi:
    """Keeps what is created, as the API server does, and notes each request in `asked`."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.kinds: dict[str, list[dict[str, Any]]] = {}
        self.asked: list[tuple[str, str]] = []
        self.version = 100
        # Called before every request with verb, path and body; may raise, or change the objects.
        self.before: Callable[[str, str, Any], None] = lambda _verb, _path, _body: None
        # Adds what the server would, to a new or changed object.
        self.defaults: Callable[[dict[str, Any]], None] = lambda _item: None

    def serve(self, group_version: str, *kinds: tuple[str, str, bool]) -> None:
        """Know kinds as (kind, plural, namespaced)."""
        path = f"/apis/{group_version}" if "/" in group_version else f"/api/{group_version}"
        resources = [{"kind": kind, "name": name, "namespaced": inside} for kind, name, inside in kinds]
        self.kinds.setdefault(path, []).extend(resources)

    def changes(self) -> list[tuple[str, str]]:
        """Return the requests that were more than a look."""
        return [entry for entry in self.asked if entry[0] != "GET"]

    def _ask(self, verb: str, path: str, query: Mapping[str, str], body: Any = None) -> None:
        self.asked.append((f"{verb} dry" if query.get("dryRun") else verb, path))
        self.before(verb, path, body)

    def _listed(self, path: str) -> Optional[dict[str, Any]]:
        found = [item for key, item in self.objects.items() if key.rpartition("/")[0] == path]
        return {"items": deepcopy(found)} if found else None

    def get(self, path: str, **query: str) -> Optional[dict[str, Any]]:
        self._ask("GET", path, query)
        if path in self.kinds:
            return {"resources": deepcopy(self.kinds[path])}
        if path in self.objects:
            return deepcopy(self.objects[path])
        return self._listed(path)

    def text(self, path: str, **query: str) -> str:
        raise KubeError(f"GET {path}: no log", 404)

    def create(self, path: str, body: Mapping[str, Any], **query: str) -> dict[str, Any]:
        self._ask("POST", path, query, body)
        return self._store(f"{path}/{body['metadata']['name']}", deepcopy(dict(body)), query, new=True)

    def patch(self, path: str, body: Mapping[str, Any], **query: str) -> dict[str, Any]:
        self._ask("PATCH", path, query, body)
        if path not in self.objects:
            raise KubeError(f"PATCH {path}: 404 not found", 404, "not found")
        old = self.objects[path]
        wanted = body.get("metadata", {}).get("resourceVersion")
        if wanted and wanted != old["metadata"]["resourceVersion"]:
            raise KubeError(f"PATCH {path}: 409 conflict", 409, "the object has been modified")
        return self._store(path, merge(old, body), query)

    def delete(self, path: str, **query: str) -> None:
        self._ask("DELETE", path, query)
        if not query.get("dryRun"):
            self.objects.pop(path, None)

    def _store(
        self, path: str, item: dict[str, Any], query: Mapping[str, str], new: bool = False
    ) -> dict[str, Any]:
        if new and path in self.objects:
            raise KubeError(f"POST {path}: 409 already exists", 409, "already exists")
        self.defaults(item)
        old = self.objects.get(path)
        version = (old or {}).get("metadata", {}).get("resourceVersion")
        item.setdefault("metadata", {})["resourceVersion"] = version
        if item != old:
            self.version += 1
            item["metadata"]["resourceVersion"] = str(self.version)
        if not query.get("dryRun"):
            self.objects[path] = item
        return deepcopy(item)
