# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The hubs of a site: defaults filled in and every URL computed, in this one place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site, as_text
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.pool import (
    parse_pool,
    pool_address,
    pool_ranges,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.ranges import IPRange
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.sign_in import auth_of, callback_url

__all__ = [
    "FIRST_NODE_PORT",
    "HUB_LABEL",
    "NODE_PORT_RANGE",
    "Hub",
    "HubError",
    "hub_keys",
    "resolve_hubs",
    "site_hubs",
]

# BinderHub listens on 8585; its NodePort echoes that.
FIRST_NODE_PORT = 30585
# https://kubernetes.io/docs/concepts/services-networking/service/#type-nodeport
NODE_PORT_RANGE = range(30000, 32768)
# A hub's name, namespace and release. Helm's releases have 53 characters at most.
HUB_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?")


class HubError(ValueError):
    """A hub that cannot be resolved. Its text names the hub, the key and the remedy."""


@dataclass(frozen=True)
class Hub:
    """One BinderHub with its JupyterHub, every value known.

    Paths start and end with a slash. URLs end with one. `floating_ip` is where the hub's
    `proxy-public` service listens; `node_port` is where BinderHub listens on every node. `auth` is how people sign in, and
    `callback_url` what their provider is told of it.
    """

    name: str
    namespace: str
    release: str
    binder_base_url: str
    hub_base_url: str
    binder_url: str
    hub_url: str
    hub_url_local: str
    callback_url: str
    node_port: int
    floating_ip: str
    # As the site gives them; `site/storage.py` reads them.
    shared_volume: Mapping[str, Any] = field(default_factory=dict)
    user_volumes: Mapping[str, Any] = field(default_factory=dict)
    auth: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    secret_values: Mapping[str, Any] = field(default_factory=dict)


def hub_keys() -> list[str]:
    """Name the keys that an entry of `site_hubs` may have."""
    computed = {"name", "binder_url", "hub_url", "hub_url_local", "callback_url"}
    return [entry.name for entry in fields(Hub) if entry.name not in computed]


def _settings(
    name: str, index: int, given: Mapping[str, Any], address: Callable[[int], str]
) -> dict[str, Any]:
    """Fill in a hub's defaults. A key without a value counts as not given."""
    # The first hub has the short paths, so that a site with one hub never has to name any.
    parent = "/" if index == 0 else f"/{name}/"
    return {
        "namespace": name,
        "release": name,
        "binder_base_url": f"{parent}binderhub/",
        "hub_base_url": f"{parent}jupyterhub/",
        "node_port": FIRST_NODE_PORT + index,
        "shared_volume": {},
        "user_volumes": {},
        "values": {},
        "secret_values": {},
        **{key: value for key, value in given.items() if value is not None},
        "floating_ip": given.get("floating_ip") or address(index),
        "auth": auth_of(given.get("auth")),
    }


def site_hubs(site: Site) -> dict[str, dict[str, Any]]:
    """Give the settings of every hub as far as they can be read: the keys of `site_hubs`, each with a value.

    Nothing has to be right: `floating_ip` is `` where the pool has no address left.
    """
    ranges = pool_ranges(site)
    return {
        name: _settings(
            name,
            index,
            {**hub, "floating_ip": as_text(hub.get("floating_ip"))},
            lambda place: pool_address(ranges, place),
        )
        for index, (name, hub) in enumerate(site.hubs.items())
    }


def _resolve(
    name: str, index: int, given: Mapping[str, Any], public_url: str, pool: Sequence[IPRange]
) -> Hub:
    unknown = sorted(set(given) - set(hub_keys()))
    if unknown:
        raise HubError(f"site_hubs.{name} has unknown keys {', '.join(unknown)}: use {', '.join(hub_keys())}")
    settings = _settings(name, index, given, lambda place: pool_address(pool, place))
    if not settings["floating_ip"]:
        raise HubError(
            f"site_hubs.{name} has no address left in site_floating_pool, which holds "
            f"{sum(entry.size for entry in pool)}: enlarge the pool, or drop the hub"
        )
    public = public_url.rstrip("/")
    settings["node_port"] = int(settings["node_port"])
    hub_url = public + settings["hub_base_url"]
    return Hub(
        name=name,
        binder_url=public + settings["binder_base_url"],
        hub_url=hub_url,
        callback_url=callback_url(hub_url),
        hub_url_local=f"http://proxy-public.{settings['namespace']}.svc.cluster.local{settings['hub_base_url']}",
        **settings,
    )


def resolve_hubs(
    hubs: Mapping[str, Mapping[str, Any] | None], public_url: str, floating_pool: str | Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Fill in every hub's defaults and compute its URLs.

    Args:
        hubs: `site_hubs`, {name: {key: value}}; every key is optional, see `hub_keys`.
        public_url: scheme and host of the external proxy, without a path.
        floating_pool: `site_floating_pool`; the n-th hub gets the n-th address unless it names one.

    Returns:
        {name: {every field of Hub}}, in the order of `hubs`.

    Raises:
        PoolError: the pool cannot be read.
        HubError: an unknown key, or more hubs than addresses.
    """
    if not isinstance(hubs, Mapping) or not all(
        isinstance(hub, (Mapping, type(None))) for hub in hubs.values()
    ):
        raise HubError("site_hubs is not a mapping of names to mappings: write `site_hubs: {binder: {}}`")
    pool = parse_pool(floating_pool)
    resolved = (
        _resolve(name, index, given or {}, public_url, pool)
        for index, (name, given) in enumerate(hubs.items())
    )
    # Not `asdict`: it copies, and Ansible's own lazy mappings refuse to be copied.
    return {hub.name: {entry.name: getattr(hub, entry.name) for entry in fields(hub)} for hub in resolved}
