# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about hubs that run already: none moves because another one came or went, and none is forgotten.

What a head tells of them is documented in `_machine/hub_facts.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
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


# Of what the cluster has only one.
CLUSTERS = ("floating_ip", "node_port", "release")


def _running(site: Site) -> Iterator[tuple[Host, dict[str, Mapping[str, Any]]]]:
    """Give the first head that knows what runs, with the hubs by their namespace."""
    for head in site.seen("head"):
        told = as_mapping(head.probe.get("cluster"))
        hubs = [as_mapping(entry) for entry in as_list(told.get("hubs"))]
        if hubs:
            yield head, {as_text(hub.get("namespace")): hub for hub in hubs}
            return


def _moved(
    site: Site, name: str, hub: Mapping[str, Any], running: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Give what a hub has, and would not have any more because of its place."""
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
    return moved


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
            moved = _moved(site, name, hub, running)
            if moved:
                yield Problem(
                    f"runs with {_words(moved)}, and its place in site_hubs would give it "
                    f"{_words({key: hub[key] for key in moved})}",
                    f"write below it what it has: {_words(moved)}; or the new values, where it is to move",
                    f"site_hubs.{name}",
                    head.name,
                )


def _same(wanted: Any, has: Any) -> bool:
    """Whether both are one address, port or name, as number or as text."""
    return bool(has) and str(wanted).strip() == str(has)


def _theirs(
    site: Site, name: str, namespace: str, running: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Give what a hub wants and the one that runs in another namespace has, and does not give up before."""
    hubs = site_hubs(site)
    own, other = hubs[name], running[namespace]
    known = {as_text(hub["namespace"]): entry for entry, hub in hubs.items()}
    taken = {key: other[key] for key in CLUSTERS if _same(own[key], other.get(key))}
    if namespace not in known:
        return taken
    # What stays where it is, is wanted by two of the inventory; and what moves by its place is told of already.
    heir = known[namespace]
    port = taken.get("node_port")
    keeps = port is None or _same(hubs[heir]["node_port"], port)
    # Addresses find their way, and the first of two releases is refused a port that the second still has.
    if keeps or site.hubs[heir].get("node_port") is None or list(hubs).index(heir) < list(hubs).index(name):
        return {}
    return {"node_port": port}


@rule(
    "hub-takes-what-runs",
    ERROR,
    "A hub would get an address, a port or a release that another hub has, which runs.",
    acceptable=False,
)
def hub_takes_what_runs(site: Site) -> Iterator[Problem]:
    for head, running in _running(site):
        for name, hub in site_hubs(site).items():
            moved = _moved(site, name, hub, running)
            for namespace, other in running.items():
                if namespace == as_text(hub["namespace"]):
                    continue
                # What it would get by its place alone is told of already.
                taken = {
                    key: value
                    for key, value in _theirs(site, name, namespace, running).items()
                    if key not in moved
                }
                if taken:
                    yield Problem(
                        f"would get {_words(taken)}, which {_whose(other)} (namespace {namespace}) has",
                        _way_out(name, other, taken, site.hubs),
                        f"site_hubs.{name}",
                        head.name,
                    )


def _whose(hub: Mapping[str, Any]) -> str:
    name = as_text(hub.get("name"))
    return f"the hub {name}" if name else "somebody else's hub"


def _way_out(name: str, other: Mapping[str, Any], taken: Mapping[str, Any], hubs: Collection[str]) -> str:
    theirs = as_text(other.get("name"))
    if theirs == name:
        return f"write namespace: {other['namespace']}, where it runs; or remove it there first"
    others = f"write below it other values of {', '.join(taken)}"
    if not theirs:
        return others
    if theirs in hubs:
        return f"{others}; or write those of {theirs} alone, run once, and then these"
    return f"{others}; or put the other back, and remove it if it is to go: playbooks/remove_hub.yml -e hub={theirs}"


@rule(
    "hub-namespace-taken",
    ERROR,
    "The namespace of a hub has another hub or another release.",
    acceptable=False,
)
def hub_namespace_taken(site: Site) -> Iterator[Problem]:
    for head, running in _running(site):
        for name, hub in site_hubs(site).items():
            namespace, wanted = as_text(hub["namespace"]), as_text(hub["release"])
            now = running.get(namespace, {})
            theirs, release = as_text(now.get("name")), as_text(now.get("release"))
            # A hub may get another name, as long as it is the same release.
            if (release and release != wanted) or (not release and theirs and theirs != name):
                has = f"{_whose(now)}, as release {release}" if release else _whose(now)
                key = "release" if site.hubs[name].get("release") is not None else "namespace"
                known = site.hubs[name].get(key) is not None
                yield Problem(
                    f"the namespace {namespace} has {has}, and this one would be the release {wanted} beside it",
                    (f"write release: {release}, if it is the same hub; or " if release else "")
                    + "give it a namespace of its own",
                    f"site_hubs.{name}" + (f".{key}" if known else ""),
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
