# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about firewalls: those of the machines' admins, what is between them, and role firewall."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_network
from typing import Any, NamedTuple

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.firewall_words import (
    KEPT_IN,
    commands,
    openings,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.flows import (
    POD_NETWORK_PORTS,
    flows_to,
    parse_pod_network_port,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.hubs import site_hubs
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Host,
    Site,
    as_int,
    as_list,
    as_mapping,
    as_text,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.port_plan import ANSWERS
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule

ENABLED = "site_firewall_enabled"
ADMIN_NETWORKS = "site_firewall_admin_networks"
# A listener that was not reached within these may have ended.
REACHED = ("answered", "connected")
MOST_NAMES = 5


def _firewall(host: Host) -> Mapping[str, Any]:
    return as_mapping(host.probe.get("firewall"))


def _chains(host: Host) -> list[Mapping[str, Any]]:
    return [as_mapping(entry) for entry in as_list(_firewall(host).get("chains"))]


def _blocked(attempt: Mapping[str, Any]) -> bool:
    """Whether an attempt says that something keeps packets from a machine, and not only that nobody listens."""
    state = as_text(attempt.get("state"))
    if state.startswith(("timeout", "unreachable")):
        return True
    # Our own listeners were there: something else refused, or answered in their place.
    return attempt.get("proved") is True and state in ("refused", "connected")


def _deaf(host: Host) -> bool:
    """Whether a machine's own rules drop what it is answered, so that its attempts say nothing of others."""
    return any(ANSWERS in as_list(chain.get("dropped")) for chain in _chains(host))


def _lost(host: Host, tried: Iterable[_Tried], site: Site) -> set[str]:
    """Name those who have no route to a machine at all, which no-route-between-nodes reports."""
    found: dict[str, bool] = {}
    for entry in tried:
        peers = as_mapping(site.hosts[entry.by].probe.get("peers")) if entry.by in site.hosts else {}
        states = (entry.attempt.get("state"), peers.get(as_text(entry.attempt.get("address"))))
        lost = all(as_text(state).startswith("unreachable") for state in states)
        found[entry.by] = found.get(entry.by, True) and lost
    return {name for name, lost in found.items() if lost and name != host.name}


class _Tried(NamedTuple):
    """An attempt, with who made it, and whether that machine hears answers at all."""

    by: str
    deaf: bool
    attempt: Mapping[str, Any]

    @property
    def port(self) -> str:
        """As packets are called."""
        return f"{self.attempt.get('protocol')} {self.attempt.get('port')}"


def _all_tried(site: Site) -> dict[str, list[_Tried]]:
    """Give every attempt by the machine that it was made at."""
    found: dict[str, list[_Tried]] = {}
    for host in site.hosts.values():
        deaf = _deaf(host)
        for attempt in map(as_mapping, as_list(host.probe.get("tried"))):
            by = as_text(attempt.get("by")) or host.name
            entry = _Tried(by, deaf and by == host.name, attempt)
            found.setdefault(as_text(attempt.get("target")), []).append(entry)
    return found


def _telling(host: Host, tried: Iterable[_Tried]) -> list[_Tried]:
    """Leave out the attempts that say nothing of a machine: a deaf one's, at what its own rules are not suspected of."""
    suspected = {
        name
        for chain in _chains(host)
        for name in (*as_list(chain.get("dropped")), *as_list(chain.get("unknown")))
    }
    return [
        entry for entry in tried if not entry.deaf or entry.port in suspected or not _blocked(entry.attempt)
    ]


def _names(names: list[str]) -> str:
    told = list(dict.fromkeys(names))
    more = len(told) - MOST_NAMES
    return ", ".join(told[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _why(site: Site, host: Host, protocol: str, port: int) -> str:
    return next(
        (flow.why for flow in flows_to(site, host.name) if flow.protocol == protocol and port in flow.ports),
        "",
    )


def _pairs(tried: Iterable[_Tried]) -> dict[tuple[str, int], list[str]]:
    """Give the ports that do not let in whom they should: {(protocol, port): who}."""
    found: dict[tuple[str, int], list[str]] = {}
    for entry in tried:
        if _blocked(entry.attempt):
            port = (as_text(entry.attempt.get("protocol")), as_int(entry.attempt.get("port")))
            found.setdefault(port, []).append(entry.by)
    return found


def _known(tried: Iterable[_Tried]) -> dict[str, list[str]]:
    """Give the addresses from which others talk to a machine."""
    found: dict[str, list[str]] = {}
    for entry in tried:
        source = as_text(entry.attempt.get("source"))
        if source and source not in found.setdefault(entry.by, []):
            found[entry.by].append(source)
    return found


def _where(chain: Mapping[str, Any]) -> str:
    policy = ", whose policy is drop" if chain.get("policy") == "drop" else ""
    if chain.get("tool") in ("ufw", "firewalld"):
        return str(chain["tool"])
    if chain.get("tool") == "iptables":
        return f"iptables, chain {chain.get('chain')}{policy}"
    return f"nftables, table {chain.get('family')} {chain.get('table')}, chain {chain.get('chain')}{policy}"


def _at_fault(
    host: Host, tried: Iterable[_Tried], names: set[str], node_ports: set[str]
) -> tuple[list[Any], list[str]]:
    """Give the chains that drop what the site needs, and what they drop of that which nobody can try.

    Args:
        host: the machine.
        tried: attempts at it.
        names: ports that did not let somebody in.
        node_ports: those at which pods answer, by now.
    """
    reached = {entry.port for entry in tried if entry.attempt.get("state") in REACHED} - names
    chains, untried = [], []
    for chain in _chains(host):
        dropped = [name for name in as_list(chain.get("dropped")) if name not in reached]
        # Of what was tried and is not judged, every chain that could drop it is suspected. What asks a node port of a cluster
        # that runs is forwarded to a pod.
        unknown = as_list(chain.get("unknown"))
        if (
            dropped
            or names & set(unknown)
            or (chain.get("hook") == "forward" and unknown and names & node_ports)
        ):
            chains.append(chain)
            untried += [name for name in dropped if name not in names]
    return chains, list(dict.fromkeys(untried))


def _commands(site: Site, host: Host, tried: Iterable[_Tried], chains: list[Any]) -> tuple[str, ...]:
    let_in = openings(site, host, _known(tried))
    node = host in site.nodes
    forwards = [site.text("site_pod_subnet")] if node and site.text("site_pod_subnet") else []
    zone = as_text(_firewall(host).get("zone")) or "public"
    return tuple(commands(chains, zone, let_in, forwards, node and site.builds_on(host)))


@rule("port-blocked", ERROR, "A firewall drops what the machines of the site have to say to each other.")
def port_blocked(site: Site) -> Iterator[Problem]:
    all_tried = _all_tried(site)
    hub_ports = {f"tcp {hub.get('node_port')}" for hub in site_hubs(site).values()}
    for host in site.seen("head", "workers", "proxy", "registry"):
        tried = _telling(host, all_tried.get(host.name, ()))
        lost = _lost(host, tried, site)
        tried = [entry for entry in tried if entry.by not in lost]
        pairs = _pairs(tried)
        names = {f"{protocol} {port}" for protocol, port in pairs}
        chains, untried = _at_fault(host, tried, names, hub_ports if host.joined else set())
        # Its own table follows the site when the stage nodes runs.
        if not chains and (not pairs or (_firewall(host).get("own") is True and site.flag(ENABLED))):
            continue
        told = [
            f"{protocol} {port} ({_why(site, host, protocol, port)}) from {_names(names)}"
            for (protocol, port), names in sorted(pairs.items())
        ]
        what = "; ".join([*told, *untried])
        lines = _commands(site, host, tried, chains)
        tools = list(dict.fromkeys(as_text(chain.get("tool")) for chain in chains))
        if lines:
            kept = [f"; write them to {KEPT_IN[tool]}, too" for tool in tools if tool in KEPT_IN]
            yield Problem(
                f"does not let in or through: {what}. It is kept out by {'; '.join(dict.fromkeys(map(_where, chains)))}",
                f"run this on {host.name}{''.join(kept)}",
                "",
                host.name,
                lines,
            )
        else:
            yield Problem(
                f"does not let in: {what}. No rule of its own that was understood drops this",
                "open these in what is between the machines, a firewall or a cloud's security group, and in rules for what "
                "leaves the machines that asked",
                "",
                host.name,
            )


@rule("ports-not-tried", WARNING, "A machine could not try the ports of the others.")
def ports_not_tried(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers", "proxy", "registry"):
        tried = map(as_mapping, as_list(host.probe.get("tried")))
        odd = [entry for entry in tried if as_text(entry.get("state")).startswith("other")]
        said = as_text(host.probe.get("untried"))
        if odd and not said:
            said = f"{odd[0].get('protocol')} {odd[0].get('port')} of {odd[0].get('target')}: {odd[0].get('state')}"
        if said:
            yield Problem(
                f"could not try what the others let in, so that a firewall in its way stays unseen: {said}",
                "put right what it says, and run preflight again",
                "",
                host.name,
            )


@rule("pod-network-port-malformed", ERROR, "An entry of site_pod_network_ports cannot be read.")
def pod_network_port_malformed(site: Site) -> Iterator[Problem]:
    for entry in as_list(site.values.get(POD_NETWORK_PORTS)):
        try:
            parse_pod_network_port(entry)
        except ValueError as error:
            yield Problem(str(error), 'write it as "4789/udp", or "ipip"', POD_NETWORK_PORTS)


@rule("firewall-admin-network-malformed", ERROR, "An entry of site_firewall_admin_networks cannot be read.")
def firewall_admin_network_malformed(site: Site) -> Iterator[Problem]:
    for entry in as_list(site.values.get(ADMIN_NETWORKS)):
        try:
            ip_network(as_text(entry))
        except ValueError as error:
            yield Problem(
                f"no rule of a firewall can say this: {error}",
                "name an address or a network, such as 192.0.2.9, 192.0.2.0/24 or 2001:db8::/32",
                ADMIN_NETWORKS,
            )


@rule(
    "firewall-twice",
    ERROR,
    "Role firewall is wanted on a machine that another firewall keeps.",
    acceptable=False,
)
def firewall_twice(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers", "proxy", "registry"):
        told = _firewall(host)
        active = [name for name, on in (("ufw", told.get("ufw")), ("firewalld", told.get("zone"))) if on]
        if site.flag(ENABLED) and active:
            yield Problem(
                f"{' and '.join(active)} is active there, and would drop what this firewall lets in",
                f"set {ENABLED} to false and keep {active[0]}, whose rules preflight prints; or disable it there",
                ENABLED,
                host.name,
            )


@rule(
    "firewall-left", WARNING, "The table of role firewall is loaded, and the site does not want it any more."
)
def firewall_left(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers", "proxy", "registry"):
        if _firewall(host).get("own") is True and not site.flag(ENABLED):
            yield Problem(
                "inet ironbinder_firewall still drops what it does not know, and no run brings it up to date",
                f"run this on {host.name}, or set {ENABLED}",
                ENABLED,
                host.name,
                ("systemctl disable --now ironbinder-firewall.service",),
            )
