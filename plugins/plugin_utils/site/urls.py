# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The public URLs of a site and its hubs, and the addresses behind them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Site,
    as_list,
    as_mapping,
    as_text,
    parse_ip,
    split_url,
)

__all__ = [
    "PUBLIC_URL",
    "host_addresses",
    "host_of",
    "known_name",
    "public_addresses",
    "public_host",
    "public_hosts",
    "public_urls",
]

PUBLIC_URL = "site_public_url"
# What a browser sends for a host, and goes into NGINX's files as it is. An underscore is no host's, and works.
HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?\.?")


def host_of(url: str) -> str:
    """Host of an http or https URL, a name or an address; `` where there is none to read."""
    parts = split_url(url)
    host = (parts.hostname or "") if parts and parts.scheme in ("http", "https") else ""
    return host if HOST.fullmatch(host) or parse_ip(host) else ""


def public_host(site: Site) -> str:
    """Host of the public URL, `` where there is none to read."""
    return host_of(site.text(PUBLIC_URL))


def public_urls(site: Site) -> dict[str, str]:
    """Every public URL by the variable that sets it: the site's, and those of hubs that have one of their own."""
    own = {f"site_hubs.{name}.public_url": as_text(hub.get("public_url")) for name, hub in site.hubs.items()}
    return {PUBLIC_URL: site.text(PUBLIC_URL), **{variable: url for variable, url in own.items() if url}}


def public_hosts(site: Site) -> dict[str, str]:
    """Every host that people come to, each once, by the variable that names it first."""
    hosts: dict[str, str] = {}
    for variable, url in public_urls(site).items():
        if host_of(url) and host_of(url) not in hosts.values():
            hosts[variable] = host_of(url)
    return hosts


def known_name(site: Site, host: str) -> Mapping[str, Any]:
    """What the controller's name server says of a name: `addresses` or `error`."""
    return as_mapping(as_mapping(site.controller.get("names")).get(host))


def host_addresses(site: Site, host: str) -> list[str]:
    """Addresses of a host, as far as the controller knows them."""
    if parse_ip(host):
        return [host]
    return [address for address in as_list(known_name(site, host).get("addresses")) if parse_ip(address)]


def public_addresses(site: Site, hosts: Iterable[str] | None = None) -> list[str]:
    """Addresses behind the public URL of the site, or behind these hosts, as far as the controller knows them."""
    wanted = [public_host(site)] if hosts is None else hosts
    return [address for host in wanted for address in host_addresses(site, host)]
