# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Tell the module which ports of other machines to try, and try from the controller what the controller will need."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.ironbinder.platform.plugins.module_utils._net.knock import knock
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.flow_places import places
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.flows import CONTROLLER
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.port_plan import flow_site, tried
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.values import SiteValues, plain


class ActionModule(ActionBase):
    """Fills in the options of the module port_probe."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Try ports from the host, and on the first head's turn from the controller."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        _, options = self.validate_argument_spec(
            argument_spec={
                "probe_variable": {"type": "str", "default": "preflight_probe"},
                "tried": {"type": "list", "elements": "dict"},
            }
        )
        values = SiteValues(self._loader, self._templar, variables)
        host = str(variables["inventory_hostname"])
        site = flow_site(values)

        def probes(name: str) -> Mapping[str, Any]:
            registered = values.raw(name).get(options["probe_variable"])
            found = registered.get("probe") if isinstance(registered, Mapping) else None
            return plain(found) if isinstance(found, Mapping) else {}

        def owned(name: str) -> list[str]:
            facts = values.raw(name).get("ansible_facts")
            told = facts.get("all_ipv4_addresses") if isinstance(facts, Mapping) else None
            return plain(told) if isinstance(told, list) else []

        now, place = time.time(), places(site, values.node_address, owned)
        wanted = options["tried"]
        if wanted is None:
            wanted = tried(site, host, probes, place, now)
        result |= {"changed": False, "tried": []}
        if wanted:
            told = self._execute_module(
                "ironbinder.platform.port_probe", {"name": host, "tried": wanted}, task_vars=task_vars
            )
            result.update(told)
            result.pop("invocation", None)
        if host == next(iter(site.groups.get("head", ())), ""):
            # A node may have an address that only nodes reach; the controller uses the API's.
            api = values.find("site_api_address")
            asked = [
                entry
                for entry in tried(site, CONTROLLER, probes, place, now)
                if entry["target"] != host or entry["address"] == api
            ]
            told_here = [{**entry, "by": CONTROLLER} for entry in knock(CONTROLLER, asked)]
            result["tried"] = [*(result.get("tried") or []), *told_here]
        return result
