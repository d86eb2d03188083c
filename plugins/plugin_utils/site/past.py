# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What several rules have to know of machines with a past. Facts are those of `_machine/past.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Host,
    Site,
    as_list,
    as_mapping,
    as_text,
)

__all__ = ["flag_at", "foreign_docker", "own_names", "past_of"]


def past_of(host: Host, part: str) -> Mapping[str, Any]:
    """Give one part of what a machine was, empty where nobody has looked."""
    return as_mapping(as_mapping(host.probe.get("past")).get(part))


def flag_at(site: Site, host: Host, variable: str) -> bool:
    """Give a switch as one host has it: its own value, else the site's."""
    value = host.variables.get(variable, site.values.get(variable))
    return value is True or as_text(value).lower() in ("yes", "on", "true", "1")


def foreign_docker(host: Host) -> str:
    """Name a Docker that Ironbinder did not install, and what runs in it; empty where there is none."""
    told = past_of(host, "docker")
    packages = as_mapping(told.get("packages"))
    if not packages or told.get("ours") is not False:
        return ""
    names = " and ".join(f"{name} {version}" for name, version in packages.items())
    containers = [as_mapping(entry) for entry in as_list(told.get("containers"))]
    back = [as_text(entry.get("name")) for entry in containers if entry.get("restarts") is True]
    gone = [as_text(entry.get("name")) for entry in containers if entry.get("restarts") is not True]
    runs = [f"{', '.join(back)} (starts again by its policy)"] if back else []
    runs += [f"{', '.join(gone)} (stays stopped)"] if gone else []
    doing = f"runs {' and '.join(runs)}" if runs else "no container runs"
    return f"{names}, in which {doing}"


def own_names(host: Host) -> frozenset[str]:
    """What a machine calls itself, in short and in full."""
    return frozenset(as_text(host.facts.get(fact)) for fact in ("hostname", "nodename", "fqdn")) - {""}
