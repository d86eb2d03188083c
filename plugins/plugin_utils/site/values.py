# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The values of a site contract, one by one, so that a broken one does not hide the others."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible.utils.vars import load_extra_vars
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.nodes import (
    ADDRESS_VARIABLES,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.resolve import resolved_nodes

__all__ = ["SITE_ROLE", "SiteValues", "load_yaml", "plain"]

SITE_ROLE = Path(__file__).parents[3] / "roles" / "site"
LOCALHOST = "localhost"


def plain(value: Any) -> Any:
    """Copy a value of Ansible's into Python's own types."""
    if isinstance(value, Mapping):
        return {
            key if isinstance(key, (int, bool, type(None))) else str(key): plain(item)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return int(value) if isinstance(value, int) else float(value)
    return str(value)


def load_yaml(loader: DataLoader, path: Path, templates: bool = False) -> Any:
    """Read a YAML file, decrypted; its templates are our own and may be computed if `templates`."""
    # ansible-core 2.19 computes only what it is told to trust; earlier ones have no such switch.
    trusted = (
        {"trusted_as_template": True}
        if "trusted_as_template" in inspect.signature(loader.load_from_file).parameters
        else {}
    )
    return loader.load_from_file(str(path), cache="none", **(trusted if templates else {}))


class SiteValues:
    """The contract's values for the whole site (`localhost`) or one host."""

    def __init__(self, loader: DataLoader, templar: Any, task_vars: Mapping[str, Any]) -> None:
        self.loader = loader
        self.templar = templar
        self.task_vars = task_vars
        self._raw: dict[str, Mapping[str, Any]] = {}

    @cached_property
    def specs(self) -> Mapping[str, Any]:
        """Options of the site role's argument specs: the contract's names and types."""
        return dict(
            load_yaml(self.loader, SITE_ROLE / "meta" / "argument_specs.yml")["argument_specs"]["contract"][
                "options"
            ]
        )

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """The contract's defaults, not computed."""
        found: dict[str, Any] = {}
        for path in sorted((SITE_ROLE / "defaults" / "main").glob("*.yml")):
            found |= load_yaml(self.loader, path, templates=True)
        return found

    @property
    def groups(self) -> dict[str, list[str]]:
        """Hosts by group."""
        return {str(name): [str(host) for host in hosts] for name, hosts in self.task_vars["groups"].items()}

    def raw(self, host: str = LOCALHOST) -> Mapping[str, Any]:
        """What the inventory gives a host, not computed."""
        if host not in self._raw:
            given = self.task_vars["hostvars"].raw_get(host)
            self._raw[host] = given if isinstance(given, Mapping) else {}
        return self._raw[host]

    def get(self, variable: str, host: str = LOCALHOST) -> Any:
        """Compute one value. Raises whatever Ansible raises; see `find`."""
        raw = self.raw(host)
        source = raw if variable in raw else self.defaults
        if variable not in source:
            return None
        around = {
            "inventory_dir": self.task_vars.get("inventory_dir"),
            "hostvars": self.task_vars["hostvars"],
            "groups": self.task_vars["groups"],
        }
        names = {**self.defaults, **{key: value for key, value in around.items() if value is not None}, **raw}
        return plain(self.templar.copy_with_new_env(available_variables=names).template(source[variable]))

    def find(self, variable: str, host: str = LOCALHOST, default: Any = "") -> Any:
        """Compute one value, `default` where it cannot be."""
        try:
            value = self.get(variable, host)
        except Exception:  # `errors` of the check reports it
            return default
        return default if value is None else value

    @cached_property
    def extra(self) -> frozenset[str]:
        """Names of the variables that were given with -e, which win over everything."""
        return frozenset(load_extra_vars(self.loader))

    def own(self, host: str) -> list[str]:
        """Names of the contract that are set for this host in another way than for the whole site."""
        here, site = self.raw(host), self.raw()
        return [
            name for name in self.specs if name in here and (name not in site or here[name] != site[name])
        ]

    def node_address(self, host: str) -> str:
        """The address other nodes use, `` where it is still to be filled in or cannot be computed."""
        given = [key for key in ADDRESS_VARIABLES if key in self.raw(host)]
        return resolved_nodes({host: {key: self.find(key, host, default=None) for key in given}})[host]
