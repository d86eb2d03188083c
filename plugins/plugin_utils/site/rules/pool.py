# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about the floating pool, and about who takes which of its addresses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Address,
    Site,
    as_mapping,
    as_text,
    parse_ip,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.pool import PoolError, parse_pool
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule

POOL = "site_floating_pool"


def pool_ranges(value: Any) -> list[tuple[Address, Address]]:
    """Give the pool's ranges as (lowest, highest), none where it cannot be read."""
    try:
        return [(ip_address(str(entry[0])), ip_address(str(entry[-1]))) for entry in parse_pool(value)]
    except (PoolError, ValueError, TypeError):
        return []


def _holds(low: Address, high: Address, address: Address | None) -> bool:
    return address is not None and address.version == low.version and int(low) <= int(address) <= int(high)


def _in_pool(site: Site, address: Address | None) -> bool:
    return any(_holds(low, high, address) for low, high in pool_ranges(site.values.get(POOL)))


@rule("pool-malformed", ERROR, "The floating pool is no address, range or CIDR, or is reversed.")
def pool_malformed(site: Site) -> Iterator[Problem]:
    value = site.values.get(POOL)
    if POOL not in site.values or value in ("", [], None):
        return
    if not isinstance(value, (str, list, tuple)):
        yield Problem(f"is {str(value)[:60]!r}, no text", "write it as 192.0.2.10-192.0.2.12", POOL)
        return
    try:
        parse_pool(value)
    except (PoolError, ValueError, TypeError) as error:
        problem, _, remedy = str(error).partition(": ")
        yield Problem(problem, remedy or "write it as 192.0.2.10-192.0.2.12", POOL)


@rule("pool-not-ipv4", ERROR, "The floating pool holds IPv6 addresses.")
def pool_not_ipv4(site: Site) -> Iterator[Problem]:
    for low, high in pool_ranges(site.values.get(POOL)):
        if low.version != 4:
            yield Problem(
                f"{low}-{high} is IPv6, which this release does not announce", "use IPv4 addresses", POOL
            )


@rule("pool-ranges-overlap", ERROR, "Two ranges of the floating pool share addresses.")
def pool_ranges_overlap(site: Site) -> Iterator[Problem]:
    ranges = sorted(
        (low.version, int(low), int(high), str(low)) for low, high in pool_ranges(site.values.get(POOL))
    )
    for (version, _, high, first), (next_version, low, _, second) in zip(ranges, ranges[1:]):
        if version == next_version and low <= high:
            yield Problem(
                f"the ranges that begin at {first} and at {second} overlap",
                "list every address once; MetalLB refuses the pool otherwise",
                POOL,
            )


def _networks_of_nodes(site: Site) -> dict[str, list[Any]]:
    return {host.name: host.networks for host in site.seen("head", "workers") if host.networks}


@rule("pool-outside-nodes-subnet", ERROR, "The floating pool is outside of the nodes' networks.")
def pool_outside_nodes_subnet(site: Site) -> Iterator[Problem]:
    networks = list(
        dict.fromkeys(entry for entries in _networks_of_nodes(site).values() for entry in entries)
    )
    if not networks:
        return
    for low, high in pool_ranges(site.values.get(POOL)):
        if low.version == 4 and not any(low in entry and high in entry for entry in networks):
            yield Problem(
                f"{low}-{high} lies in none of the nodes' networks ({', '.join(map(str, networks[:4]))}), "
                "so no neighbour ever asks a node for it",
                "choose free addresses of the nodes' own network",
                POOL,
            )


@rule("pool-overlaps-host", ERROR, "The floating pool holds an address that a machine has.")
def pool_overlaps_host(site: Site) -> Iterator[Problem]:
    for host in site.hosts.values():
        own = [parse_ip(host.address), *(interface.ip for interface in host.interfaces)]
        taken = next((address for address in own if _in_pool(site, address)), None)
        if taken is not None:
            yield Problem(
                f"holds {taken}, the address of {host.name}", "take it out of the pool", POOL, host.name
            )


@rule("pool-holds-network-edge", ERROR, "The floating pool holds a network's own or its broadcast address.")
def pool_holds_network_edge(site: Site) -> Iterator[Problem]:
    told = set()
    for networks in _networks_of_nodes(site).values():
        for network in networks:
            for address in (network.network_address, network.broadcast_address):
                if network.prefixlen < 31 and address not in told and _in_pool(site, address):
                    told.add(address)
                    yield Problem(
                        f"holds {address}, the first or last address of {network}",
                        "take it out of the pool",
                        POOL,
                    )


@rule("pool-holds-gateway", ERROR, "The floating pool holds the nodes' gateway.")
def pool_holds_gateway(site: Site) -> Iterator[Problem]:
    told = set()
    for host in site.seen("head", "workers"):
        gateway = parse_ip(host.facts.get("gateway"))
        if gateway is not None and gateway not in told and _in_pool(site, gateway):
            told.add(gateway)
            yield Problem(
                f"holds {gateway}, the gateway of {host.name}", "take it out of the pool", POOL, host.name
            )


@rule(
    "pool-address-answers",
    ERROR,
    "An address of the floating pool already answers ARP, and no node of ours is it.",
)
def pool_address_answers(site: Site) -> Iterator[Problem]:
    # On a second run MetalLB answers, with the hardware address of one of our nodes.
    ours = frozenset(mac for host in site.nodes for mac in host.macs)
    told = set()
    for host in site.seen("head", "workers"):
        for address, mac in as_mapping(host.probe.get("arp")).items():
            stranger = as_text(mac).lower()
            if (
                stranger
                and stranger not in ours
                and address not in told
                and _in_pool(site, parse_ip(address))
            ):
                told.add(address)
                yield Problem(
                    f"{address} already answers, from hardware address {stranger}",
                    "find that machine (arp -n, the switch), or take the address out of the pool",
                    POOL,
                    host.name,
                )


def _pool_size(site: Site) -> int:
    return sum(int(high) - int(low) + 1 for low, high in pool_ranges(site.values.get(POOL)))


def hub_address(index: int, hub: Mapping[str, Any], site: Site) -> str:
    """Give the floating address of the n-th hub: its own, else the n-th of the pool."""
    if as_text(hub.get("floating_ip")):
        return as_text(hub.get("floating_ip"))
    left = index
    for low, high in pool_ranges(site.values.get(POOL)):
        size = int(high) - int(low) + 1
        if left < size:
            return str(low + left)
        left -= size
    return ""


@rule("pool-too-small", ERROR, "The floating pool has fewer addresses than there are hubs.")
def pool_too_small(site: Site) -> Iterator[Problem]:
    size = _pool_size(site)
    without = [
        name for index, (name, hub) in enumerate(site.hubs.items()) if not hub_address(index, hub, site)
    ]
    if size and without:
        yield Problem(
            f"holds {size} address{'' if size == 1 else 'es'} for {len(site.hubs)} hubs: none is left for {', '.join(without)}",
            "enlarge the pool, or give these hubs a free floating_ip of it",
            POOL,
        )


@rule("hub-address-outside-pool", ERROR, "A hub asks for a floating address that is not in the pool.")
def hub_address_outside_pool(site: Site) -> Iterator[Problem]:
    for name, hub in site.hubs.items():
        given = as_text(hub.get("floating_ip"))
        if given and pool_ranges(site.values.get(POOL)) and not _in_pool(site, parse_ip(given)):
            yield Problem(
                f"{given[:60]} is not in site_floating_pool",
                "use an address of the pool, or drop floating_ip and get the next free one",
                f"site_hubs.{name}.floating_ip",
            )


@rule("api-address-in-pool", ERROR, "The API's address is one of the floating pool.")
def api_address_in_pool(site: Site) -> Iterator[Problem]:
    address = parse_ip(site.text("site_api_address"))
    holders = [host for host in site.nodes if parse_ip(host.address) == address]
    if address is not None and not holders and _in_pool(site, address):
        yield Problem(
            f"{address} is in the floating pool, which MetalLB gives to hubs, and not before the API answers",
            "use the address of the head, or of a load balancer of your own",
            "site_api_address",
        )
