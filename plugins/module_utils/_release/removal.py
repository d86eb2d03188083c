# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Take a release away, with the objects of its hooks, and its namespace where that is wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeApi
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.rollout import wait_until_gone
from ansible_collections.ironbinder.platform.plugins.module_utils._release.helm import Helm, Release
from ansible_collections.ironbinder.platform.plugins.module_utils._release.hooks import Hook, HookObjects
from ansible_collections.ironbinder.platform.plugins.module_utils._release.release import Reporter

__all__ = ["Removal", "plan_removal", "remove"]


@dataclass(frozen=True)
class Removal:
    """What is there and has to go. `hook_objects` is {what it is: API path}, `namespace` the path of one or ""."""

    name: str
    release: Optional[Release] = None
    hooks: Sequence[Hook] = ()
    hook_objects: Mapping[str, str] = field(default_factory=dict)
    namespace: str = ""

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


def plan_removal(helm: Helm, connect: Callable[[], KubeApi], name: str, namespace: str) -> Removal:
    """Look at what there is of release `name`; changes nothing.

    Args:
        helm: the release's namespace.
        connect: opens the cluster; called only where there is something to ask it.
        name: the release.
        namespace: the namespace that has to go too, or "".
    """
    # One that Helm remembers as uninstalled has its passwords still, and may have its hooks' objects.
    release = helm.release(name)
    hooks = helm.all_hooks(name) if release else []
    path = f"/api/v1/namespaces/{namespace}" if namespace else ""
    return Removal(
        name,
        release,
        hooks,
        HookObjects(connect(), name).left(hooks) if hooks else {},
        path if path and connect().get(path) is not None else "",
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
