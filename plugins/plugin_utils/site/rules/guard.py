# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about what sessions and builds reach: who fences them, and what the site opens and closes."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.fences import (
    BUILDS,
    DENIED,
    SESSIONS,
    FenceError,
    Opening,
    guard_enabled,
    parse_denied,
    parse_opening,
    parse_port,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.hubs import site_hubs
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Site,
    as_list,
    as_mapping,
    as_text,
    parse_ip,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.pool import pool_ranges
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.urls import known_name

ENABLED, PROVIDER = "site_guard_enabled", "site_pod_network_provider"
DENIED_PORTS = "site_guard_denied_ports"
CLIENTS = "site_guard_node_port_clients"
LINK_LOCAL = IPv4Network("169.254.0.0/16")
# Policies that the official chart asks for unless its values say otherwise.
CHART_POLICIES = (
    "jupyterhub.hub.networkPolicy.enabled",
    "jupyterhub.proxy.chp.networkPolicy.enabled",
    "jupyterhub.singleuser.networkPolicy.enabled",
)


def _entries(site: Site) -> Iterator[tuple[str, Any]]:
    """Each entry that opens something, by variable and place."""
    for variable in (SESSIONS, BUILDS):
        for number, entry in enumerate(as_list(site.values.get(variable))):
            yield f"{variable}[{number}]", entry


def _openings(site: Site) -> Iterator[tuple[str, Opening]]:
    """Those that can be read; `fence-entry-malformed` reports the others."""
    for place, entry in _entries(site):
        try:
            yield place, parse_opening(entry)
        except FenceError:
            continue


def _opened(site: Site, opening: Opening) -> list[IPv4Network]:
    if opening.network is not None:
        return [opening.network]
    return [
        entry for text in as_list(known_name(site, opening.host).get("addresses")) for entry in _range(text)
    ]


def _range(value: Any) -> list[IPv4Network]:
    """Read an address or a network; nothing where it is none, which the rules about ranges and addresses report."""
    try:
        return [IPv4Network(as_text(value))]
    except ValueError:
        return []


def _cluster(site: Site) -> Iterator[tuple[str, str, list[IPv4Network]]]:
    """What nothing may open: in words, the host that it is, and its addresses."""
    yield "the API server", "", _range(site.values.get("site_api_address"))
    for host in site.nodes:
        yield f"node {host.name}", host.name, _range(host.address)
    yield "the range of pods", "", _range(site.values.get("site_pod_subnet"))
    yield "the range of services", "", _range(site.values.get("site_service_subnet"))
    for name, hub in site_hubs(site).items():
        yield f"the floating address of the hub {name}", "", _range(hub["floating_ip"])
    pool = [entry for told in pool_ranges(site) for cidr in told.cidrs() for entry in _range(str(cidr))]
    yield "the floating addresses", "", pool
    yield "metadata of clouds, at link-local addresses", "", [LINK_LOCAL]


@rule(
    "fence-entry-malformed",
    ERROR,
    "What a site opens for sessions or builds cannot be read.",
    acceptable=False,
)
def fence_entry_malformed(site: Site) -> Iterator[Problem]:
    for place, entry in _entries(site):
        try:
            parse_opening(entry)
        except FenceError as error:
            yield Problem(error.observed, error.remedy, place)


@rule("fence-denied-malformed", ERROR, "What a site closes cannot be read.", acceptable=False)
def fence_denied_malformed(site: Site) -> Iterator[Problem]:
    for variable, parse in ((DENIED, parse_denied), (DENIED_PORTS, parse_port)):
        for number, entry in enumerate(as_list(site.values.get(variable))):
            try:
                parse(entry)
            except FenceError as error:
                yield Problem(error.observed, error.remedy, f"{variable}[{number}]")


@rule(
    "fence-opens-cluster", ERROR, "What a site opens for sessions or builds contains a part of the cluster."
)
def fence_opens_cluster(site: Site) -> Iterator[Problem]:
    for place, opening in _openings(site):
        opened = _opened(site, opening)
        for what, host, addresses in _cluster(site):
            inside = [entry for entry in addresses if any(entry.overlaps(part) for part in opened)]
            if inside:
                yield Problem(
                    f"{opening.network or opening.host} contains {what} ({inside[0]})",
                    "name what is meant without it: the guard keeps the cluster closed whatever a site opens, and a session "
                    "needs no more of it than its hub",
                    place,
                    host,
                )
                break


@rule("fence-host-unresolved", ERROR, "A host that a site opens for sessions or builds has no address.")
def fence_host_unresolved(site: Site) -> Iterator[Problem]:
    for place, opening in _openings(site):
        fault = as_text(known_name(site, opening.host).get("error")) if opening.host else ""
        if fault:
            yield Problem(
                f"{opening.host}: {fault}",
                "correct the name, or name its network: {network: 192.0.2.7, ports: [443]}",
                place,
            )


@rule("fence-cuts-dns", ERROR, "RUN steps of builds would have no name server behind the fence.")
def fence_cuts_dns(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers") if guard_enabled(site) else ():
        servers = [as_text(entry) for entry in as_list(host.facts.get("nameservers"))]
        if servers and "user" in site.purposes(host) and not any(map(_is_ipv4, servers)):
            yield Problem(
                f"its name servers are IPv6 only ({', '.join(servers)}), and builds have no IPv6",
                "name a server with an IPv4 address in /etc/resolv.conf, or as dns in Docker's daemon.json",
                "",
                host.name,
            )


def _is_ipv4(text: str) -> bool:
    return isinstance(parse_ip(text), IPv4Address)


@rule("fence-denies-dns", WARNING, "A name server lies in a network that the site closes.")
def fence_denies_dns(site: Site) -> Iterator[Problem]:
    denied = []
    for entry in as_list(site.values.get(DENIED)):
        try:
            denied.append(parse_denied(entry))
        except FenceError:
            continue
    told = set()
    for host in site.seen("head", "workers") if guard_enabled(site) else ():
        for server in as_list(host.facts.get("nameservers")):
            closed = any(entry.overlaps(known) for known in _range(server) for entry in denied)
            if closed and server not in told:
                told.add(server)
                yield Problem(
                    f"the name server {server} is in it: builds reach it at port 53 all the same",
                    "nothing, if that is meant; else give the machines another name server",
                    DENIED,
                    host.name,
                )


@rule(
    "fence-cuts-builder", ERROR, "Builds run in pods of their own, which would not reach the site's registry."
)
def fence_cuts_builder(site: Site) -> Iterator[Problem]:
    address = parse_ip(site.text("site_registry_host").partition(":")[0])
    if not guard_enabled(site) or not isinstance(address, IPv4Address) or address.is_global:
        return
    opened = [_opened(site, opening) for place, opening in _openings(site) if place.startswith(BUILDS)]
    for name, hub in site.hubs.items():
        kind = as_text(as_mapping(hub.get("values")).get("imageBuilderType"))
        if kind in ("dind", "pink") and not any(address in entry for told in opened for entry in told):
            yield Problem(
                f"the hub {name} builds with {kind}, whose pods push to {address} themselves, and nothing opens it for builds",
                f"add {{network: {address}, ports: [...]}} to {BUILDS}",
                BUILDS,
            )


@rule("guard-client-malformed", ERROR, "Who may ask BinderHub at its node port is no address and no network.")
def guard_client_malformed(site: Site) -> Iterator[Problem]:
    for number, entry in enumerate(as_list(site.values.get(CLIENTS)) if guard_enabled(site) else ()):
        if entry == "":  # the address of a proxy host that is still to be filled in
            continue
        try:
            parse_denied(entry)
        except FenceError as error:
            yield Problem(error.observed, "write it as 192.0.2.31 or 192.0.2.0/24", f"{CLIENTS}[{number}]")


@rule("guard-cuts-proxy", ERROR, "The guard would cut a proxy host off from BinderHub's node port.")
def guard_cuts_proxy(site: Site) -> Iterator[Problem]:
    try:
        clients = [parse_denied(entry) for entry in as_list(site.values.get(CLIENTS)) if entry != ""]
    except FenceError:  # guard-client-malformed reports it
        return
    nodes = [address for host in site.nodes if (address := parse_ip(host.address)) is not None]
    for host in site.seen("proxy") if guard_enabled(site) and clients else ():
        # On a network of the nodes nobody translates what it asks from; elsewhere somebody may.
        for network in dict.fromkeys(host.networks):
            own = [entry.ip for entry in host.interfaces if entry.ip in network]
            asked = any(node in network and node not in own for node in nodes)
            if asked and not any(address in entry for entry in clients for address in own):
                yield Problem(
                    f"does not hold {own[0]}, from which {host.name} asks BinderHub at the nodes: the guard would cut it off",
                    f"add {own[0]} to {CLIENTS}",
                    CLIENTS,
                    host.name,
                )


@rule(
    "guard-beside-policies", WARNING, "The guard is wanted where the provider enforces the chart's policies."
)
def guard_beside_policies(site: Site) -> Iterator[Problem]:
    provider = site.text(PROVIDER)
    if guard_enabled(site) and provider not in ("", "routed"):
        yield Problem(
            f"is on, and the provider is {provider}, which does not tell it whose pods are whose",
            "nothing, if it should fence RUN steps of builds and BinderHub's node port only: the chart's policies fence the pods",
            ENABLED,
        )


@rule("guard-drift", WARNING, "The guard of a node is not as it was made.")
def guard_drift(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers") if guard_enabled(site) else ():
        faults = [as_text(entry) for entry in as_list(as_mapping(host.probe.get("guard")).get("faults"))]
        if faults:
            more = f", and {len(faults) - 1} more (ironbinder-guard check)" if len(faults) > 1 else ""
            yield Problem(
                f"{faults[0][:200]}{more}: pods and builds there are not fenced as the site says",
                "this run repairs it; look who did it, and why ironbinder-guard.service did not put it right (journalctl "
                "--unit ironbinder-guard)",
                "",
                host.name,
            )


@rule("sessions-unfenced", WARNING, "Nobody enforces the network policies that the chart asks for by itself.")
def sessions_unfenced(site: Site) -> Iterator[Problem]:
    if guard_enabled(site) or site.text(PROVIDER) != "routed":
        return
    for name, hub in site.hubs.items():
        asked = [way for way in CHART_POLICIES if _look_up(hub.get("values"), way) is not False]
        if asked:
            yield Problem(
                f"is off, and the provider routed ignores the policies of the hub {name} ({', '.join(asked)}): a session "
                "reaches the API server, the nodes, and every private network of the site",
                "leave it on, or set site_pod_network_provider: calico before the cluster is made",
                ENABLED,
            )


def _look_up(values: Any, way: str) -> Any:
    for key in way.split("."):
        values = as_mapping(values).get(key)
    return values
