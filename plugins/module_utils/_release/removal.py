# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Take a release away, with the objects of its hooks, and its namespace where that is wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.hub_marks import HUB_LABEL
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeApi
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.rollout import wait_until_gone
from ansible_collections.ironbinder.platform.plugins.module_utils._release.helm import Helm, Release
from ansible_collections.ironbinder.platform.plugins.module_utils._release.hooks import Hook, HookObjects
from ansible_collections.ironbinder.platform.plugins.module_utils._release.release import Reporter

__all__ = ["Removal", "plan_removal", "remove", "why_it_stays"]


@dataclass(frozen=True)
class Removal:
    """What is there and has to go. `hook_objects` is {what it is: API path}, `namespace` the path of one or "".

    `note` says why a namespace that was to go stays.
    """

    name: str
    release: Optional[Release] = None
    hooks: Sequence[Hook] = ()
    hook_objects: Mapping[str, str] = field(default_factory=dict)
    namespace: str = ""
    note: str = ""

    @property
    def changed(self) -> bool:
        """Whether there is anything."""
        return self.release is not None or bool(self.namespace)

    def __str__(self) -> str:
        """List it, a line each, for a diff."""
        lines = []
        if self.release:
            lines.append(f"release {self.name}: revision {self.release.revision}, {self.release.status}")
        lines += self.hook_objects
        if self.namespace:
            lines.append(f"Namespace {self.namespace.rpartition('/')[2]}")
        return "".join(f"{line}\n" for line in lines)


def plan_removal(helm: Helm, connect: Callable[[], KubeApi], name: str, namespace: str, hub: str) -> Removal:
    """Look at what there is of release `name`; changes nothing.

    Args:
        helm: the release's namespace.
        connect: opens the cluster; called only where there is something to ask it.
        name: the release.
        namespace: the namespace that has to go too, or "". It goes where it carries the label of `hub`: any other is not the
            hub's alone, or was made before there was a label, and nobody can tell which.
        hub: the hub's name in site_hubs.
    """
    # One that Helm remembers as uninstalled has its passwords still, and may have its hooks' objects.
    release = helm.release(name)
    hooks = helm.all_hooks(name) if release else []
    path = f"/api/v1/namespaces/{namespace}" if namespace else ""
    found = connect().get(path) if path else None
    note = why_it_stays(found, namespace, hub)
    return Removal(
        name,
        release,
        hooks,
        HookObjects(connect(), name).left(hooks) if hooks else {},
        path if found is not None and not note else "",
        note,
    )


def why_it_stays(found: Optional[Mapping[str, Any]], namespace: str, hub: str) -> str:
    """Say why a namespace is not this hub's to delete, "" where it is, or where there is none."""
    if found is None:
        return ""
    told = (found.get("metadata", {}).get("labels") or {}).get(HUB_LABEL, "")
    if told == hub:
        return ""
    why = f"it is the hub {told}'s" if told else f"it has no label {HUB_LABEL}"
    return (
        f"the namespace {namespace} stays, with the sessions, builds and claims in it: {why}, so it may hold more than the hub "
        f"{hub}. Where nobody needs what is in it: kubectl delete namespace {namespace}"
    )


def remove(
    helm: Helm,
    connect: Callable[[], KubeApi],
    todo: Removal,
    *,
    seconds: int,
    clock: Clock,
    reporter: Reporter,
) -> None:
    """Carry `todo` out.

    Helm forgets the release last, so that a run that is ended on the way leaves what names the hooks.

    Raises:
        HelmError, KubeError, RolloutError: something would not go; running this again goes on from there.
    """
    if todo.release:
        with reporter.phase("uninstall"):
            if todo.hooks and todo.release.status != "uninstalled":
                helm.uninstall(todo.name, seconds, keep_history=True)
            if todo.hooks:
                # Asked again: some are made when a release goes.
                objects = HookObjects(connect(), todo.name)
                objects.remove(list(objects.left(todo.hooks).values()))
            helm.uninstall(todo.name, seconds)
    if todo.namespace:
        with reporter.phase("namespace"):
            api = connect()
            api.delete(todo.namespace)
            wait_until_gone(api, todo.namespace, seconds, clock)
