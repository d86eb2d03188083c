# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Check the whole site on the controller, before anything is changed."""

from __future__ import annotations

import json
import os
import sys
import time
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.ironbinder.platform.plugins.module_utils._base.files import write_atomically
from ansible_collections.ironbinder.platform.plugins.plugin_utils.run.process import is_of_run, is_over

# What the rules need beyond Ansible's own needs, see requirements.txt.
LIBRARIES = ("netaddr", "jsonschema", "cryptography", "packaging", "yaml")
OPTIONS = {
    "probe_variable": {"type": "str", "default": "preflight_probe"},
    "ports_variable": {"type": "str", "default": "preflight_ports"},
    "facts_variable": {"type": "str", "default": "preflight_facts"},
    "report_file": {"type": "path"},
    "refuse": {"type": "bool", "default": True},
    "strict": {"type": "bool", "default": False},
    "settled": {"type": "list", "elements": "str", "default": []},
}


class ActionModule(ActionBase):
    """Collects the site, looks at what the controller can see, and runs the rules."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Give the findings; fail where they refuse the run."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(argument_spec=OPTIONS)
        try:
            _import_libraries()
            report = check(self._loader, self._templar, task_vars or {}, options)
        except ImportError as error:
            return {**result, "failed": True, "msg": _lacking(error)}
        except (AnsibleError, OSError, yaml.YAMLError) as error:
            told = f"the site could not be read, so nothing was checked: {' '.join(str(error).split())}"
            return {**result, "failed": True, "msg": told}
        result |= {"changed": False, **report}
        if report["error_count"] or (options["strict"] and report["warning_count"]):
            result |= {"failed": True, "msg": report["table"]} if options["refuse"] else {}
        if options["report_file"] and not self._task.check_mode:
            try:
                text = json.dumps(report, indent=2, sort_keys=True) + "\n"
                write_atomically(Path(options["report_file"]), text, mode=0o644)
            except OSError as error:
                told = f"the report could not be written to {options['report_file']}: {error}"
                result |= {"failed": True, "msg": told}
        return result


def check(loader: Any, templar: Any, task_vars: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Look at the site, and give the report. Raises ImportError where the controller lacks a library."""
    # Not above: a library that is missing shall be a sentence, and not a plugin that cannot be loaded.
    from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.certificates import (  # noqa: PLC0415
        is_usable,
    )
    from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.chart_schema import (  # noqa: PLC0415
        look_at_hub_values,
    )
    from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.check import (  # noqa: PLC0415
        check_site,
    )
    from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.controller_view import (  # noqa: PLC0415
        look,
    )
    from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.downloads import (  # noqa: PLC0415
        download,
        fetch,
        manifest_status,
    )
    from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.dropped_values import (  # noqa: PLC0415
        dropped_values,
    )
    from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.inventory import (  # noqa: PLC0415
        collect,
    )
    from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.mirror_images import (  # noqa: PLC0415
        look_at_mirror,
    )
    from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site  # noqa: PLC0415
    from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.named_twice import (  # noqa: PLC0415
        hubs_named_twice,
    )
    from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.providers import (  # noqa: PLC0415
        callback_lines,
    )
    from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.values import (  # noqa: PLC0415
        SiteValues,
    )

    values = SiteValues(loader, templar, task_vars)
    names = {part: options[f"{part}_variable"] for part in ("facts", "probe", "ports")}
    data = {"clock": time.time(), "settled": options["settled"], **collect(values, names)}
    site = Site.from_data(data)
    # Apart from the data for the rules: it may hold an account.
    proxies = values.find("site_http_proxy_environment", default={})
    data["controller"] = seen = look(site, get=partial(fetch, environment=proxies))
    trusted = [path for path, told in seen["ca_files"].items() if is_usable(told)]
    # The data for the rules have no values of hubs; these are looked at here, and not kept.
    seen["hub_values"] = look_at_hub_values(
        site, values.find("site_hubs"), seen, lambda url: download(url, trusted, proxies)
    )
    seen["dropped_values"] = dropped_values(site, values.find("site_hubs"), proxies)
    seen["images"] = look_at_mirror(
        values.find,
        lambda url: download(url, trusted, proxies),
        lambda url: manifest_status(url, trusted, proxies),
    )
    seen["passable_locks"] = _passable_locks(site)
    place = task_vars.get("inventory_dir")
    seen["hubs_named_twice"] = hubs_named_twice(Path(str(place))) if place else []
    report = check_site(data).as_data()
    return {**report, "table": "\n".join([*callback_lines(site), report["table"]])}


def _passable_locks(site: Any) -> list[str]:
    """Ids of locks that keep nobody out: of this run, and of runs of this controller that are over."""
    holders = [head.probe.get("site_lock") for head in site.seen("head")]
    found = [holder for holder in holders if isinstance(holder, dict) and isinstance(holder.get("pid"), int)]
    return [str(holder.get("id")) for holder in found if is_over(holder) or is_of_run(holder, os.getppid())]


def _import_libraries() -> None:
    """Name all libraries that are missing at once."""
    missing = []
    for name in LIBRARIES:
        try:
            import_module(name)
        except ImportError:
            missing.append(name)
    if missing:
        raise ImportError(name=", ".join(missing))


def _lacking(error: ImportError) -> str:
    return (
        f"Python packages are missing on the controller for {sys.executable}: {error.name or error}. "
        "Install what Ironbinder needs there: pip install -r requirements.txt"
    )
