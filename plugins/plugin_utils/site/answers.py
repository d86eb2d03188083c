# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What servers answered to the nodes, each distinct answer once, and how several hosts are named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site, as_mapping

__all__ = ["SILENT", "detail", "seen_from_nodes", "some_hosts", "without_hosts"]

# Ways not to get an answer, as the probe names them.
SILENT = {
    "resolve": "its name does not resolve",
    "refused": "it refuses the connection",
    "timeout": "it does not answer",
    "other": "the connection fails",
}


def some_hosts(names: list[str]) -> str:
    """Name a host, and how many more there are."""
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def without_hosts(names: list[str]) -> str:
    """Write the option of a playbook that leaves hosts out."""
    return f"--limit '{':'.join(f'!{name}' for name in names)}'"


def seen_from_nodes(site: Site, name: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Give each distinct answer that nodes got for the probed URL `name`, with the nodes as text."""
    holders: dict[tuple[str, ...], tuple[Mapping[str, Any], list[str]]] = {}
    for host in site.seen("head", "workers"):
        answer = as_mapping(as_mapping(host.probe.get("urls")).get(name))
        if answer:
            key = tuple(str(answer.get(part)) for part in ("error", "status", "kind"))
            holders.setdefault(key, (answer, []))[1].append(host.name)
    for answer, names in holders.values():
        yield answer, some_hosts(names)


def detail(answer: Mapping[str, Any]) -> str:
    """The answer's own words, short."""
    return " ".join(str(answer.get("detail") or "").split())[:160]
