# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The public URL of a site, and the addresses behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Site,
    as_list,
    as_mapping,
    parse_ip,
    split_url,
)

__all__ = ["PUBLIC_URL", "known_name", "public_addresses", "public_host"]

PUBLIC_URL = "site_public_url"


def public_host(site: Site) -> str:
    """Host of the public URL, `` where there is none to read."""
    parts = split_url(site.text(PUBLIC_URL))
    return (parts.hostname or "") if parts and parts.scheme in ("http", "https") else ""


def known_name(site: Site, host: str) -> Mapping[str, Any]:
    """What the controller's name server says of a name: `addresses` or `error`."""
    return as_mapping(as_mapping(site.controller.get("names")).get(host))


def public_addresses(site: Site) -> list[str]:
    """Addresses of the public URL's host, as far as the controller knows them."""
    host = public_host(site)
    if parse_ip(host):
        return [host]
    return [address for address in as_list(known_name(site, host).get("addresses")) if parse_ip(address)]
