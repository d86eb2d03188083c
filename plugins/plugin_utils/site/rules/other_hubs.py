# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about hubs of somebody else on the same cluster, whose sessions and builds the guard fences alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Address
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.hubs import (
    HUB_LABEL,
    NODE_PORT_RANGE,
    site_hubs,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Site,
    as_int,
    as_mapping,
    as_text,
    parse_ip,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.spelling import closest

OTHERS = "site_guard_other_hubs"


def _is_label(value: Any) -> bool:
    return HUB_LABEL.fullmatch(as_text(value)) is not None


def _is_node_port(value: Any) -> bool:
    return as_int(value) in NODE_PORT_RANGE


def _is_address(value: Any) -> bool:
    return isinstance(parse_ip(value), IPv4Address)


# Every key that such a hub has to have: what is one, and in words.
KEYS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "namespace": (_is_label, "its namespace: lower-case letters, digits and hyphens"),
    "release": (_is_label, "its release in Helm: lower-case letters, digits and hyphens"),
    "node_port": (_is_node_port, f"its node port, from {NODE_PORT_RANGE[0]} to {NODE_PORT_RANGE[-1]}"),
    "floating_ip": (_is_address, "the address of its service proxy-public, such as 192.0.2.12"),
}
EXAMPLE = (
    f"{{namespace: elsewhere, release: elsewhere, node_port: {NODE_PORT_RANGE[-1]}, floating_ip: 192.0.2.12}}"
)


def _others(site: Site) -> Iterator[tuple[str, Any, Any]]:
    """Each with the place where it stands, its name, and what it is."""
    given = site.values.get(OTHERS)
    for name, hub in given.items() if isinstance(given, Mapping) else ():
        yield f"{OTHERS}.{name}", name, hub


@rule(
    "other-hub-malformed", ERROR, "A hub of somebody else cannot be fenced as it is told.", acceptable=False
)
def other_hub_malformed(site: Site) -> Iterator[Problem]:
    for place, name, hub in _others(site):
        if not _is_label(name):
            yield Problem(
                f"{str(name)[:60]!r} is no name for a hub",
                "use lower-case letters, digits and hyphens",
                place,
            )
        if not isinstance(hub, Mapping):
            yield Problem(f"is {str(hub)[:60]!r}, no mapping", f"write it as {EXAMPLE}", place)
            continue
        known = as_mapping(hub)
        strange = [key for key in known if key not in KEYS]
        # What is misspelt is not also missing.
        meant = {key: closest(key, list(KEYS)) for key in strange}
        for key in strange:
            remedy = f"did you mean {meant[key]}?" if meant[key] else f"use {', '.join(KEYS)}"
            yield Problem("is no key of such a hub", remedy, f"{place}.{key}")
        for key, (fits, what) in KEYS.items():
            if known.get(key) is None and key not in meant.values():
                yield Problem("is missing", f"set it to {what}", f"{place}.{key}")
            elif known.get(key) is not None and not fits(known[key]):
                yield Problem(f"is {str(known[key])[:60]!r}", f"set it to {what}", f"{place}.{key}")


@rule(
    "other-hub-taken",
    ERROR,
    "A hub of somebody else has the name, namespace or node port of another.",
    acceptable=False,
)
def other_hub_taken(site: Site) -> Iterator[Problem]:
    own = site_hubs(site)
    keys = ("namespace", "node_port")
    holders = {
        (key, str(hub[key]).strip()): f"the hub {name} of site_hubs"
        for name, hub in own.items()
        for key in keys
    }
    for place, name, hub in _others(site):
        if name in own:
            yield Problem(
                "is a hub of site_hubs, which knows it already", "drop the entry, or rename it", place
            )
        for key in keys:
            value = str(as_mapping(hub).get(key) or "").strip()
            holder = holders.setdefault((key, value), place) if value else place
            if holder != place:
                yield Problem(
                    f"is {value}, which {holder} has",
                    "name the hub's own, or drop the entry",
                    f"{place}.{key}",
                )
