# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about the floating pool, and about who takes which of its addresses."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.hubs import site_hubs
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Site,
    as_mapping,
    as_text,
    parse_ip,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.pool import (
    POOL,
    PoolError,
    holds,
    overlapping,
    parse_pool,
    pool_ranges,
    pool_set,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.ranges import IPRange
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule


@rule(
    "pool-malformed",
    ERROR,
    "The floating pool is no address, range or CIDR, or is reversed.",
    acceptable=False,
)
def pool_malformed(site: Site) -> Iterator[Problem]:
    value = site.values.get(POOL)
    if POOL not in site.values or value in ("", [], None):
        return
    if not isinstance(value, (str, list, tuple)):
        yield Problem(f"is {str(value)[:60]!r}, no text", "write it as 192.0.2.10-192.0.2.12", POOL)
        return
    try:
        parse_pool(value)
    except PoolError as error:
        problem, _, remedy = str(error).partition(": ")
        yield Problem(problem, remedy or "write it as 192.0.2.10-192.0.2.12", POOL)


def _shown(entry: IPRange) -> str:
    return f"{entry[0]}-{entry[-1]}"


@rule("pool-not-ipv4", ERROR, "The floating pool holds IPv6 addresses.")
def pool_not_ipv4(site: Site) -> Iterator[Problem]:
    for entry in pool_ranges(site):
        if entry.version != 4:
            yield Problem(
                f"{_shown(entry)} is IPv6, which this release does not announce", "use IPv4 addresses", POOL
            )


@rule("pool-ranges-overlap", ERROR, "Two ranges of the floating pool share addresses.")
def pool_ranges_overlap(site: Site) -> Iterator[Problem]:
    for entry in overlapping(pool_ranges(site)):
        yield Problem(
            f"{_shown(entry)} has addresses that an entry before it has too",
            "list every address once; MetalLB refuses the pool otherwise",
            POOL,
        )


def _networks_of_nodes(site: Site) -> list[IPv4Network]:
    """Give the networks of all nodes, each once."""
    return list(dict.fromkeys(entry for host in site.seen("head", "workers") for entry in host.networks))


@rule("pool-outside-nodes-subnet", ERROR, "The floating pool is outside of the nodes' networks.")
def pool_outside_nodes_subnet(site: Site) -> Iterator[Problem]:
    networks = _networks_of_nodes(site)
    if not networks:
        return
    for entry in pool_ranges(site):
        ends = [parse_ip(str(entry[0])), parse_ip(str(entry[-1]))]
        if entry.version == 4 and not any(all(end in network for end in ends) for network in networks):
            yield Problem(
                f"{_shown(entry)} lies in none of the nodes' networks ({', '.join(map(str, networks[:4]))}), "
                "so no neighbour ever asks a node for it",
                "choose free addresses of the nodes' own network",
                POOL,
            )


@rule("pool-overlaps-host", ERROR, "The floating pool holds an address that a machine has.")
def pool_overlaps_host(site: Site) -> Iterator[Problem]:
    pool = pool_set(site)
    for host in site.hosts.values():
        own = [parse_ip(host.address), *(interface.ip for interface in host.interfaces)]
        taken = next((address for address in own if holds(pool, address)), None)
        if taken is not None:
            yield Problem(
                f"holds {taken}, the address of {host.name}", "take it out of the pool", POOL, host.name
            )


@rule("pool-holds-network-edge", ERROR, "The floating pool holds a network's own or its broadcast address.")
def pool_holds_network_edge(site: Site) -> Iterator[Problem]:
    pool, told = pool_set(site), set()
    for network in _networks_of_nodes(site):
        for address in (network.network_address, network.broadcast_address):
            if network.prefixlen < 31 and address not in told and holds(pool, address):
                told.add(address)
                yield Problem(
                    f"holds {address}, the first or last address of {network}",
                    "take it out of the pool",
                    POOL,
                )


@rule("pool-holds-gateway", ERROR, "The floating pool holds the nodes' gateway.")
def pool_holds_gateway(site: Site) -> Iterator[Problem]:
    pool, told = pool_set(site), set()
    for host in site.seen("head", "workers"):
        gateway = parse_ip(host.facts.get("gateway"))
        if gateway not in told and holds(pool, gateway):
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
    pool, told = pool_set(site), set()
    for host in site.seen("head", "workers"):
        for address, mac in as_mapping(host.probe.get("arp")).items():
            stranger = as_text(mac).lower()
            known = stranger in ours or address in told
            if stranger and not known and holds(pool, parse_ip(address)):
                told.add(address)
                yield Problem(
                    f"{address} already answers, from hardware address {stranger}",
                    "find that machine (arp -n, the switch), or take the address out of the pool",
                    POOL,
                    host.name,
                )


@rule("pool-too-small", ERROR, "The floating pool has fewer addresses than there are hubs.", acceptable=False)
def pool_too_small(site: Site) -> Iterator[Problem]:
    size = sum(entry.size for entry in pool_ranges(site))
    without = [name for name, hub in site_hubs(site).items() if not hub["floating_ip"]]
    if size and without:
        yield Problem(
            f"holds {size} address{'' if size == 1 else 'es'} for {len(site.hubs)} hubs: none is left for {', '.join(without)}",
            "enlarge the pool, or give these hubs a free floating_ip of it",
            POOL,
        )


@rule("hub-address-outside-pool", ERROR, "A hub asks for a floating address that is not in the pool.")
def hub_address_outside_pool(site: Site) -> Iterator[Problem]:
    pool = pool_set(site)
    for name, hub in site.hubs.items():
        given = as_text(hub.get("floating_ip"))
        if given and pool and not holds(pool, parse_ip(given)):
            yield Problem(
                f"{given[:60]} is not in site_floating_pool",
                "use an address of the pool, or drop floating_ip and get the next free one",
                f"site_hubs.{name}.floating_ip",
            )


@rule("api-address-in-pool", ERROR, "The API's address is one of the floating pool.")
def api_address_in_pool(site: Site) -> Iterator[Problem]:
    address = parse_ip(site.text("site_api_address"))
    holders = [host for host in site.nodes if parse_ip(host.address) == address]
    if not holders and holds(pool_set(site), address):
        yield Problem(
            f"{address} is in the floating pool, which MetalLB gives to hubs, and not before the API answers",
            "use the address of the head, or of a load balancer of your own",
            "site_api_address",
        )
