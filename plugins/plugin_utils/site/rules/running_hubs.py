# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about hubs that run already: none moves because another one came or went, and none is forgotten.

What a head tells of them is documented in `_machine/hub_facts.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.hubs import site_hubs
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Host,
    Site,
    as_list,
    as_mapping,
    as_text,
    parse_ip,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.pool import holds, pool_set
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule

# What a hub gets by its place in site_hubs, unless it names it.
BY_PLACE = ("floating_ip", "node_port", "binder_base_url", "hub_base_url")


def _running(site: Site) -> Iterator[tuple[Host, dict[str, Mapping[str, Any]]]]:
    """Give the first head that knows what runs, with the hubs by their namespace."""
    for head in site.seen("head"):
        told = as_mapping(head.probe.get("cluster"))
        hubs = [as_mapping(entry) for entry in as_list(told.get("hubs"))]
        if hubs:
            yield head, {as_text(hub.get("namespace")): hub for hub in hubs}
            return


def _words(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}: {value}" for key, value in values.items())


@rule(
    "hub-would-move",
    ERROR,
    "A hub that runs would get another address, port or path, because of its place in site_hubs.",
)
def hub_would_move(site: Site) -> Iterator[Problem]:
    for head, running in _running(site):
        for name, hub in site_hubs(site).items():
            now = running.get(as_text(hub["namespace"]), {})
            # What the inventory names is meant, and what a hub is not known to have is new.
            moved = {
                key: now[key]
                for key in BY_PLACE
                if now.get(key) and hub[key] and site.hubs[name].get(key) is None
                if str(now[key]) != str(hub[key])
            }
            # An address that the pool no longer has cannot be kept.
            if not holds(pool_set(site), parse_ip(moved.get("floating_ip"))):
                moved.pop("floating_ip", None)
            if moved:
                yield Problem(
                    f"runs with {_words(moved)}, and its place in site_hubs would give it "
                    f"{_words({key: hub[key] for key in moved})}",
                    f"write below it what it has: {_words(moved)}; or the new values, where it is to move",
                    f"site_hubs.{name}",
                    head.name,
                )


@rule("hub-not-in-inventory", WARNING, "A hub of this site runs, and site_hubs does not have it.")
def hub_not_in_inventory(site: Site) -> Iterator[Problem]:
    known = {as_text(hub["namespace"]) for hub in site_hubs(site).values()}
    for head, running in _running(site):
        for namespace, hub in running.items():
            # One that nobody marked is somebody else's, see site_guard_other_hubs.
            name = as_text(hub.get("name"))
            if name and namespace not in known:
                at = f", and holds {hub['floating_ip']}" if as_text(hub.get("floating_ip")) else ""
                yield Problem(
                    f"the hub {name} runs in the namespace {namespace}{at}; no run touches it, and nobody reaches it",
                    f"put it back (namespace: {namespace}), or put it back and remove it: playbooks/remove_hub.yml -e hub={name}",
                    f"site_hubs.{name}",
                    head.name,
                )
