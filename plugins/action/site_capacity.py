# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Count on the controller how many sessions and builds a site bears, and write down what follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.ironbinder.platform.plugins.module_utils._base.files import write_atomically
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.capacity import SitePlan, plan_site
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.capacity_site import (
    Seen,
    seen_nodes,
    session_of,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.capacity_table import render
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.capacity_values import (
    FILE_NAME,
    NAMES,
    ForeignFileError,
    Value,
    capacity_values,
    file_text,
    own_values,
    set_elsewhere,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.inventory import collect
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.values import SiteValues, load_yaml

OPTIONS = {
    "probe_variable": {"type": "str", "default": "preflight_probe"},
    "facts_variable": {"type": "str", "default": "preflight_facts"},
    "write": {"type": "bool", "default": True},
}


class CapacityError(ValueError):
    """The capacity cannot be counted. Its text says why, and what to do."""


class ActionModule(ActionBase):
    """Collects the site as preflight does, plans it, and has the file say so."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Give the plan, and what the file says of it."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(argument_spec=OPTIONS)
        try:
            return result | self._count(SiteValues(self._loader, self._templar, task_vars or {}), options)
        except (CapacityError, ForeignFileError) as error:
            told = str(error)
        except (AnsibleError, OSError, yaml.YAMLError) as error:
            told = f"the site could not be read or its file not written: {' '.join(str(error).split())}"
        return {**result, "failed": True, "msg": told}

    def _count(self, values: SiteValues, options: dict[str, Any]) -> dict[str, Any]:
        names = {"facts": options["facts_variable"], "probe": options["probe_variable"]}
        site = Site.from_data(collect(values, names))
        seen = seen_nodes(site)
        _refuse_what_is_not_seen(site, seen)
        path = _file(values)
        own = own_values(path, lambda file: load_yaml(self._loader, file))
        elsewhere = set_elsewhere(
            {name: values.find(name, default=None) for name in NAMES if name in values.raw()},
            own,
            path,
            lambda file: load_yaml(self._loader, file),
        )
        plan = plan_site(
            seen.machines,
            session_of(site),
            max(1, len(site.hubs)),
            elsewhere.get("site_max_pods") or None,
        )
        found = capacity_values(plan, seen.inotify)
        text = file_text(value for value in found if value.name not in elsewhere)
        before = path.read_text(encoding="utf-8") if path.is_file() else ""
        changed = options["write"] and before != text
        if changed and not self._task.check_mode:
            write_atomically(path, text, mode=0o644)
        return {
            "changed": changed,
            "diff": {
                "before": before,
                "after": text if options["write"] else before,
                "before_header": str(path),
                "after_header": str(path),
            },
            "table": render(plan, found, elsewhere),
            **_told(plan, found, path),
        }


def _told(plan: SitePlan, found: Sequence[Value], path: Path) -> dict[str, Any]:
    return {
        "file": str(path),
        "values": {value.name: value.number for value in found},
        "sessions": plan.sessions,
        "session": asdict(plan.session),
        "nodes": {
            node.machine.name: {"sessions": node.sessions, "builds": node.builds, "bound": node.tightest.what}
            for node in plan.nodes
        },
    }


def _file(values: SiteValues) -> Path:
    """Where the file belongs. Raises CapacityError where that is no folder."""
    place = values.task_vars.get("inventory_dir")
    folder = Path(str(place)) / "group_vars" / "all" if place else None
    if folder is None or not folder.is_dir():
        raise CapacityError(
            f"{folder or 'the inventory'} is no folder, and the values are written to its {FILE_NAME}: make an inventory "
            "a folder with group_vars/all/, as `make site NAME=...` does"
        )
    return folder / FILE_NAME


def _refuse_what_is_not_seen(site: Site, seen: Seen) -> None:
    """Raise CapacityError where a node has not been seen: a sum without it would be too small, and be written."""
    if not site.nodes:
        raise CapacityError("the groups head and workers have no host: name the machines in hosts.yml")
    if seen.unknown:
        states = ", ".join(f"{name} ({site.hosts[name].state})" for name in seen.unknown)
        raise CapacityError(
            f"not counted, and nothing written, as these nodes could not be looked at: {states}. "
            "playbooks/preflight.yml says what is wrong with each"
        )
