# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""List on the controller what a site fetches."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.ironbinder.platform.plugins.module_utils._base.files import write_atomically
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.artifact_list import (
    render,
    site_artifacts,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.downloads import download
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.mirror_images import (
    hubs_by_chart,
    images_of_hubs,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    as_list,
    as_mapping,
    as_text,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.values import SiteValues

OPTIONS = {"file": {"type": "path"}}


class ActionModule(ActionBase):
    """Reads the contract and the chart, and asks nothing else."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Give the list, and write it where it was asked for."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(argument_spec=OPTIONS)
        try:
            values = SiteValues(self._loader, self._templar, task_vars or {})
            repositories, unseen = _repositories(values)
            hubs, unread = _hubs(values)
            found, notes = site_artifacts(
                lambda variable: as_text(values.find(variable)),
                hubs,
                repositories,
                hubs_by_chart(values.find),
            )
            notes = [*unseen, *unread, *notes]
            told = {"artifacts": [asdict(entry) for entry in found], "notes": notes}
            if options["file"] and not self._task.check_mode:
                text = json.dumps(told, indent=2, sort_keys=True) + "\n"
                write_atomically(Path(options["file"]), text, mode=0o644)
        except (AnsibleError, OSError, yaml.YAMLError) as error:
            said = f"the site could not be read or its list not written: {' '.join(str(error).split())}"
            return {**result, "failed": True, "msg": said}
        return {**result, "changed": False, **told, "table": render(found, notes)}


def _repositories(values: SiteValues) -> tuple[list[Any], list[str]]:
    """Give the apt repositories of all nodes, and which nodes did not say what system they run."""
    nodes = dict.fromkeys(values.groups.get("head", []) + values.groups.get("workers", []))
    found: list[Any] = []
    silent = []
    for host in nodes:
        entries = as_list(values.find("site_apt_repositories", host, default=[]))
        found += entries
        if not entries:
            silent.append(host)
    notes = [f"packages of {', '.join(silent)}, whose system is not known: nobody answers there"]
    return found, notes if silent else []


def _hubs(values: SiteValues) -> tuple[dict[str, str], list[str]]:
    """Give the images of all hubs, and why they are not known."""
    trusted = [
        str(path) for path in as_list(values.find("site_ca_files", default=[])) if Path(path).is_file()
    ]
    environment = as_mapping(values.find("site_http_proxy_environment", default={}))
    get = partial(download, ca_files=trusted, environment=environment)
    # The mirror may be what the list is for: then the chart is read where its project has it.
    return images_of_hubs(values.find, get, upstream_too=True)
