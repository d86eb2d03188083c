# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about the ranges of pods, services, nodes and Docker."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from itertools import islice
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Host,
    Site,
    as_text,
    parse_ip,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.ranges import (
    IPAddress,
    IPNetwork,
    spanning_cidr,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule

# What Docker gives its default bridge when nobody says otherwise.
DOCKER_BRIDGE = "172.17.0.0/16"
# kube-controller-manager gives each node a /24 of the pods' range.
NODE_PREFIX = 24
# kube-apiserver refuses a services' range of more than 20 bits; ten hubs need some hundred services.
SERVICE_PREFIXES = range(12, 25)
RANGES = {"site_pod_subnet": "pods", "site_service_subnet": "services"}


def _network(value: Any) -> IPNetwork | None:
    """Read a network in CIDR form, None where it is none or has host bits."""
    try:
        # netaddr takes 10/8 and networks with host bits, too.
        return IPNetwork(str(ip_network(as_text(value)))) if "/" in as_text(value) else None
    except ValueError:
        return None


def _overlap(first: IPNetwork | None, second: IPNetwork | None) -> bool:
    # Of two networks that share an address, one lies inside of the other.
    return first is not None and second is not None and (first in second or second in first)


def _own_networks(host: Host) -> list[IPNetwork]:
    """Give the machine's networks, with its address where none of them holds it."""
    own = [IPNetwork(str(entry)) for entry in host.networks]
    address = parse_ip(host.address)
    if address is not None and not any(IPAddress(str(address)) in entry for entry in own):
        own.append(IPNetwork(str(address)))
    return own


@rule("subnet-malformed", ERROR, "The range of pods or services is no network in CIDR form.")
def subnet_malformed(site: Site) -> Iterator[Problem]:
    for variable, what in RANGES.items():
        value = site.values.get(variable)
        if _network(value) is None and variable in site.values:
            yield Problem(
                f"{str(value)[:60]!r} is no network: host bits are set, or the form is wrong",
                f"write the range of {what} as 10.244.0.0/16",
                variable,
            )


@rule("subnets-overlap", ERROR, "The ranges of pods and services overlap.")
def subnets_overlap(site: Site) -> Iterator[Problem]:
    pods, services = (_network(site.values.get(variable)) for variable in RANGES)
    if _overlap(pods, services):
        yield Problem(
            f"{pods} overlaps site_service_subnet {services}",
            "choose ranges that share no address",
            "site_pod_subnet",
        )


@rule("subnet-overlaps-docker", ERROR, "The range of pods or services overlaps Docker's own bridge.")
def subnet_overlaps_docker(site: Site) -> Iterator[Problem]:
    for variable, what in RANGES.items():
        network = _network(site.values.get(variable))
        if _overlap(network, IPNetwork(DOCKER_BRIDGE)):
            yield Problem(
                f"{network} overlaps {DOCKER_BRIDGE}, which Docker gives to its containers on every node",
                f"choose another range for {what}, such as 10.244.0.0/16",
                variable,
            )


@rule("subnet-overlaps-node", ERROR, "The range of pods or services overlaps a machine's network.")
def subnet_overlaps_node(site: Site) -> Iterator[Problem]:
    for variable, what in RANGES.items():
        network = _network(site.values.get(variable))
        told = set()
        for host in site.machines:
            for entry in _own_networks(host):
                if _overlap(network, entry) and entry not in told:
                    told.add(entry)
                    yield Problem(
                        f"{network} overlaps the machine's {entry}, so {what} and machines would take each other's traffic",
                        f"choose a range for {what} that no machine uses",
                        variable,
                        host.name,
                    )


@rule("nodes-overlap-docker", ERROR, "A machine's network overlaps Docker's own bridge.")
def nodes_overlap_docker(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers"):
        for entry in host.networks:
            if _overlap(IPNetwork(str(entry)), IPNetwork(DOCKER_BRIDGE)):
                yield Problem(
                    f"its network {entry} overlaps {DOCKER_BRIDGE}, which Docker takes for its bridge",
                    "renumber the network, or give Docker another range with bip in daemon.json before this run",
                    "",
                    host.name,
                )
                break


@rule("pod-subnet-too-small", ERROR, "The range of pods does not hold a /24 for each node.")
def pod_subnet_too_small(site: Site) -> Iterator[Problem]:
    network = _network(site.values.get("site_pod_subnet"))
    nodes = len(site.nodes)
    if network is None or network.version != 4 or not nodes:
        return
    holds = sum(1 for _ in islice(network.subnet(NODE_PREFIX), nodes))
    if holds < nodes:
        each = IPNetwork("0.0.0.0/0").subnet(NODE_PREFIX)
        needed = spanning_cidr(list(islice(each, max(2, nodes)))).prefixlen
        yield Problem(
            f"{network} holds a /{NODE_PREFIX} for {holds} of {nodes} nodes",
            f"use at least a /{needed}; it cannot be changed once the cluster runs",
            "site_pod_subnet",
        )


@rule(
    "service-subnet-size", ERROR, "The range of services has a size that the API server refuses or outgrows."
)
def service_subnet_size(site: Site) -> Iterator[Problem]:
    network = _network(site.values.get("site_service_subnet"))
    if network is not None and network.version == 4 and network.prefixlen not in SERVICE_PREFIXES:
        size = "too small" if network.prefixlen > SERVICE_PREFIXES[-1] else "larger than kube-apiserver takes"
        yield Problem(
            f"{network} is {size}",
            f"use a /{SERVICE_PREFIXES[0]} to a /{SERVICE_PREFIXES[-1]}, such as 10.96.0.0/12",
            "site_service_subnet",
        )


@rule("subnet-not-ipv4", ERROR, "The range of pods or services is IPv6, which no provider here serves yet.")
def subnet_not_ipv4(site: Site) -> Iterator[Problem]:
    for variable in RANGES:
        network = _network(site.values.get(variable))
        if network is not None and network.version != 4:
            yield Problem(f"{network} is IPv6", "use an IPv4 range", variable)


@rule(
    "routed-needs-one-network",
    ERROR,
    "The routed pod network needs all nodes on one network, and they are not.",
)
def routed_needs_one_network(site: Site) -> Iterator[Problem]:
    nodes = list(site.seen("head", "workers"))
    if site.text("site_pod_network_provider") != "routed" or len(nodes) < 2:
        return
    first = parse_ip(nodes[0].address)
    networks = [entry for entry in nodes[0].networks if first is not None and first in entry]
    for host in nodes[1:]:
        address = parse_ip(host.address)
        if networks and address is not None and not any(address in entry for entry in networks):
            yield Problem(
                f"{address} is outside of {networks[0]}, the network of {nodes[0].name}",
                "put the nodes on one network, or set site_pod_network_provider to calico",
                "site_pod_network_provider",
                host.name,
            )
