# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The hubs of a site: defaults filled in and every URL computed, in this one place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site, as_int, as_text
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.pool import (
    parse_pool,
    pool_address,
    pool_ranges,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.ranges import IPRange
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.sign_in import auth_of, callback_url
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.urls import host_of

__all__ = [
    "FIRST_NODE_PORT",
    "HUB_LABEL",
    "NODE_PORT_RANGE",
    "QUOTAS",
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
# What a hub may be told of its own share of the site's sessions and builds.
QUOTAS = ("total_quota", "per_repo_quota", "parallel_builds")
# A hub's name, namespace and release. Helm's releases have 53 characters at most.
HUB_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?")


class HubError(ValueError):
    """A hub that cannot be resolved. Its text names the hub, the key and the remedy."""


@dataclass(frozen=True)
class Hub:
    """One BinderHub with its JupyterHub, every value known.

    Paths start and end with a slash. URLs end with one, but for `public_url`, which is scheme and host. `floating_ip` is where
    the hub's `proxy-public` service listens; `node_port` is where BinderHub listens on every node. `auth` is how people sign in,
    and `callback_url` what their provider is told of it.

    What is empty is the site's: `tls_certificate_file` and `tls_key_file`, `chart_version`, keys of `verify` (provider, spec,
    timeout_seconds), and quotas that are None, of which 0 is no quota.
    """

    name: str
    namespace: str
    release: str
    public_url: str
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
    tls_certificate_file: str = ""
    tls_key_file: str = ""
    chart_version: str = ""
    total_quota: int | None = None
    per_repo_quota: int | None = None
    parallel_builds: int | None = None
    verify: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    secret_values: Mapping[str, Any] = field(default_factory=dict)


def hub_keys() -> list[str]:
    """Name the keys that an entry of `site_hubs` may have."""
    computed = {"name", "binder_url", "hub_url", "hub_url_local", "callback_url"}
    return [entry.name for entry in fields(Hub) if entry.name not in computed]


def _public_urls(hubs: Mapping[str, Mapping[str, Any]], public_url: str) -> dict[str, str]:
    """Give each hub's own public URL, else the site's, in one form."""
    return {name: (as_text(hub.get("public_url")) or public_url).rstrip("/") for name, hub in hubs.items()}


def _first_there(name: str, urls: Mapping[str, str]) -> bool:
    """Whether a hub is the first of all at its host, as the proxy groups them, however the URL is spelled."""
    hosts = {other: host_of(url) or url.lower() for other, url in urls.items()}
    return next(other for other, host in hosts.items() if host == hosts[name]) == name


def _settings(
    name: str, urls: Mapping[str, str], given: Mapping[str, Any], address: Callable[[int], str]
) -> dict[str, Any]:
    """Fill in a hub's defaults. A key without a value counts as not given."""
    index = list(urls).index(name)
    # The first hub of a host has the short paths, so that a site with one hub never has to name any.
    parent = "/" if _first_there(name, urls) else f"/{name}/"
    return {
        "namespace": name,
        "release": name,
        "tls_certificate_file": "",
        "tls_key_file": "",
        "chart_version": "",
        **dict.fromkeys(QUOTAS),
        "verify": {},
        "binder_base_url": f"{parent}binderhub/",
        "hub_base_url": f"{parent}jupyterhub/",
        "node_port": FIRST_NODE_PORT + index,
        "shared_volume": {},
        "user_volumes": {},
        "values": {},
        "secret_values": {},
        **{key: value for key, value in given.items() if value is not None},
        "public_url": urls[name],
        "floating_ip": as_text(given.get("floating_ip")) or address(index),
        "auth": auth_of(given.get("auth")),
    }


def site_hubs(site: Site) -> dict[str, dict[str, Any]]:
    """Give the settings of every hub as far as they can be read: the keys of `site_hubs`, each with a value.

    Nothing has to be right: `floating_ip` is `` where the pool has no address left.
    """
    ranges, urls = pool_ranges(site), _public_urls(site.hubs, site.text("site_public_url"))
    hubs = {
        name: _settings(name, urls, hub, lambda place: pool_address(ranges, place))
        for name, hub in site.hubs.items()
    }
    for hub in hubs.values():
        # One number, however it is written.
        hub["node_port"] = as_int(hub["node_port"]) or hub["node_port"]
    return hubs


def _resolve(name: str, given: Mapping[str, Any], urls: Mapping[str, str], pool: Sequence[IPRange]) -> Hub:
    unknown = sorted(set(given) - set(hub_keys()))
    if unknown:
        raise HubError(f"site_hubs.{name} has unknown keys {', '.join(unknown)}: use {', '.join(hub_keys())}")
    settings = _settings(name, urls, given, lambda place: pool_address(pool, place))
    if not settings["floating_ip"]:
        raise HubError(
            f"site_hubs.{name} has no address left in site_floating_pool, which holds "
            f"{sum(entry.size for entry in pool)}: enlarge the pool, or drop the hub"
        )
    settings["node_port"] = int(settings["node_port"])
    for key in QUOTAS:
        settings[key] = None if settings.get(key) is None else int(settings[key])
    hub_url = urls[name] + settings["hub_base_url"]
    return Hub(
        name=name,
        binder_url=urls[name] + settings["binder_base_url"],
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
        public_url: scheme and host of the external proxy, without a path; of hubs that name none of their own.
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
    urls = _public_urls({name: given or {} for name, given in hubs.items()}, public_url)
    resolved = [_resolve(name, given or {}, urls, pool) for name, given in hubs.items()]
    # Not `asdict`: it copies, and Ansible's own lazy mappings refuse to be copied.
    return {hub.name: {entry.name: getattr(hub, entry.name) for entry in fields(hub)} for hub in resolved}
