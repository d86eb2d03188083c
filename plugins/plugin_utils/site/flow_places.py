# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""At which address a port of a machine is used: its own as a node, or the one that a name of the site leads to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Site,
    as_list,
    as_mapping,
    as_text,
    parse_ip,
    split_url,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.ports import public_port, registry_at
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.resolve import Answer, resolve_names

__all__ = ["EXTRA_HOSTS", "places"]

EXTRA_HOSTS = "site_extra_hosts"


def _extra(site: Site, name: str) -> str:
    """Give the address that the site itself gives a name, `` where it gives none."""
    for address, names in as_mapping(site.values.get(EXTRA_HOSTS)).items():
        if name in map(as_text, as_list(names)):
            return as_text(address)
    return ""


def places(
    site: Site,
    address: Callable[[str], str],
    owned: Callable[[str], Collection[str]],
    find: Callable[[Iterable[str]], Mapping[str, Answer]] = resolve_names,
) -> Callable[[str, int], str]:
    """Give what tells the address at which a port of a machine is to be tried.

    Nodes use the registry by `site_registry_host` and the proxy by `site_public_url`. A machine that is no node may have an
    address for its admins besides, which nodes have no way to.

    Args:
        site: groups and values, with site_extra_hosts.
        address: gives a machine's address as a node, `` where it has none.
        owned: gives the addresses that a machine is known to have, none where nobody looked.
        find: finds the addresses of names.

    Returns:
        A function of machine and port. It gives `` where the name leads elsewhere, as to what balances load or translates
        addresses: then nobody uses this machine's own.
    """
    url = split_url(site.text("site_public_url"))
    names = {
        "registry": (registry_at(site)[1], registry_at(site)[0]),
        "proxy": (public_port(site), (url.hostname if url else "") or ""),
    }
    told: dict[str, str] = {}

    def leads_to(name: str) -> str:
        if name not in told:
            given = name if parse_ip(name) else _extra(site, name)
            told[name] = given or find([name]).get(name, Answer()).address
        return told[name]

    def place(target: str, port: int) -> str:
        for group, (used, name) in names.items():
            # Who is a node as well is tried as one at the ports of nodes.
            if name and used == port and target in site.groups.get(group, ()):
                there, known = leads_to(name), owned(target)
                if there and known:
                    return there if there in known else ""
        return address(target)

    return place
