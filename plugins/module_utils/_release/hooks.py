# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The objects of a release, and those that Helm makes as hooks and then no longer looks after.

Helm does not look whether an object is still there before a value changes. Hooks it puts into no manifest, and leaves all of them
behind when the release goes. The official JupyterHub chart makes the Secret that sessions pull with this way.
https://helm.sh/docs/topics/charts_hooks/#hook-resources-are-not-managed-with-corresponding-releases
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

try:
    import yaml
except ImportError:  # Ansible itself brings it; only a target without Ansible lacks it
    yaml = None  # type: ignore[assignment]

from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeApi

__all__ = ["Hook", "HookObjects", "ReleaseObject", "hooks_of", "objects_of"]

_MARK = "helm.sh/hook"
_OWNER = "meta.helm.sh/release-name"
# Labels by which charts write down whose an object is.
_RELEASE_LABELS = ("release", "app.kubernetes.io/instance")
# What a chart marks so outlives its release, as `helm uninstall` has it.
_POLICY = "helm.sh/resource-policy"
# With these goes what others made: people's files, or everything of a namespace or of a kind.
_HOLD_MORE = frozenset({"PersistentVolumeClaim", "Namespace", "CustomResourceDefinition"})
# A run that ended may be cleaned up, by its own ttlSecondsAfterFinished for example.
_RUNS = frozenset({"Job", "Pod"})
_UPGRADES = frozenset({"pre-upgrade", "post-upgrade"})


@dataclass(frozen=True)
class ReleaseObject:
    """An object of a release's manifest."""

    kind: str
    name: str
    namespace: str
    api_version: str

    @property
    def lasts(self) -> bool:
        """Whether it has to be there for as long as the release."""
        return self.kind not in _RUNS

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True)
class Hook(ReleaseObject):
    """One hook of one revision. `ran` tells that Helm made it then; the labels are those of its manifest."""

    events: frozenset[str]
    policies: frozenset[str]
    ran: bool
    labels: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def lasts(self) -> bool:
        """Whether its object has to be there for as long as the release, and an upgrade makes it anew."""
        stays = "hook-succeeded" not in self.policies and self.kind not in _RUNS
        return stays and self.ran and bool(self.events & _UPGRADES)

    # A dataclass would write its own.
    __str__ = ReleaseObject.__str__


def objects_of(manifest: str, namespace: str) -> list[ReleaseObject]:
    """Read a release's manifest.

    Args:
        manifest: what `helm get manifest` gives.
        namespace: the release's, for objects that name none.
    """
    found = []
    for document in yaml.load_all(manifest, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        is_list = isinstance(document, dict) and document.get("kind") == "List"
        for item in filter(None, document.get("items") or [] if is_list else [document]):
            metadata = item.get("metadata") or {}
            if item.get("kind") and metadata.get("name"):
                where = str(metadata.get("namespace") or namespace)
                found.append(
                    ReleaseObject(item["kind"], metadata["name"], where, str(item.get("apiVersion", "")))
                )
    return found


def hooks_of(entries: Any, namespace: str) -> list[Hook]:
    """Read the hooks in what `helm status --output json` says.

    They are what `helm get hooks` lists, and beside that when each was run last.

    Args:
        entries: its `hooks`.
        namespace: the release's, for objects that name none.
    """
    return [_hook(entry, namespace) for entry in entries or [] if isinstance(entry, dict)]


def _hook(entry: Mapping[str, Any], namespace: str) -> Hook:
    try:
        manifest = yaml.safe_load(str(entry.get("manifest") or ""))
    except yaml.YAMLError:
        manifest = None
    manifest = manifest if isinstance(manifest, dict) else {}
    metadata = manifest.get("metadata") or {}
    return Hook(
        kind=str(entry.get("kind", "")),
        name=str(entry.get("name", "")),
        namespace=str(metadata.get("namespace") or namespace),
        api_version=str(manifest.get("apiVersion", "")),
        events=frozenset(map(str, entry.get("events") or [])),
        policies=frozenset(map(str, entry.get("delete_policies") or [])),
        ran=(entry.get("last_run") or {}).get("phase") == "Succeeded",
        labels={str(key): str(value) for key, value in (metadata.get("labels") or {}).items()},
    )


class HookObjects:
    """What is in the cluster of a release's objects and hooks."""

    def __init__(self, api: KubeApi, release: str) -> None:
        self._api = api
        self._release = release
        # {apiVersion: {kind: (plural, namespaced)}}
        self._kinds: dict[str, dict[str, tuple[str, bool]]] = {}

    def left(self, hooks: Iterable[Hook]) -> dict[str, str]:
        """Return the objects of `hooks` that exist, are this release's and may go with it, as {what it is: API path}."""
        found = {}
        for hook in hooks:
            path = self._path(hook)
            if path and self._is_ours(hook, self._api.get(path)):
                found[str(hook)] = path
        return found

    def lost(self, objects: Iterable[ReleaseObject]) -> list[str]:
        """Name those of `objects` that have to be there and are not."""
        paths = {str(one): self._path(one) for one in objects if one.lasts}
        return [name for name, path in paths.items() if path and self._api.get(path) is None]

    def remove(self, paths: Sequence[str]) -> None:
        """Delete objects; no error where one is gone already."""
        for path in paths:
            # Without it the API leaves a Job's pods behind.
            self._api.delete(f"{path}?propagationPolicy=Background")

    def _is_ours(self, hook: Hook, item: Optional[Mapping[str, Any]]) -> bool:
        """Whether the object is the hook's, not another of the same name, and not to outlive the release."""
        if hook.kind in _HOLD_MORE:
            return False
        metadata = (item or {}).get("metadata") or {}
        annotations, labels = metadata.get("annotations") or {}, metadata.get("labels") or {}
        if _MARK not in annotations or annotations.get(_OWNER, self._release) != self._release:
            return False
        if str(annotations.get(_POLICY, "")).strip().lower() == "keep":
            return False
        return all(
            labels.get(key, hook.labels[key]) == hook.labels[key]
            for key in _RELEASE_LABELS
            if key in hook.labels
        )

    def _path(self, hook: ReleaseObject) -> str:
        """Return where the API has the object, "" for a kind that the cluster does not know."""
        plural, namespaced = self._kinds_of(hook.api_version).get(hook.kind, ("", False))
        if not plural:
            return ""
        where = f"/namespaces/{hook.namespace}" if namespaced else ""
        return f"{_root(hook.api_version)}{where}/{plural}/{hook.name}"

    def _kinds_of(self, api_version: str) -> dict[str, tuple[str, bool]]:
        if api_version not in self._kinds:
            told = self._api.get(_root(api_version)) if api_version else None
            self._kinds[api_version] = {
                str(entry["kind"]): (str(entry["name"]), bool(entry.get("namespaced")))
                for entry in (told or {}).get("resources") or []
                if "/" not in str(entry.get("name", "/"))
            }
        return self._kinds[api_version]


def _root(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
