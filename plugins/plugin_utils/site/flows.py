# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Who talks to whom in a site, and at which ports: one list, for preflight, for role firewall and for the guide."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.hubs import FIRST_NODE_PORT, site_hubs
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Site,
    as_int,
    as_list,
    as_text,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.nodes import NODE_GROUPS
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.ports import (
    api_port,
    public_port,
    registry_at,
)

__all__ = [
    "CONTROLLER",
    "PEOPLE",
    "PODS",
    "POD_NETWORK_PORTS",
    "VARIABLES",
    "Attempt",
    "Flow",
    "attempts",
    "expected",
    "flow_table",
    "flows",
    "flows_to",
    "parse_pod_network_port",
]

# Who is no machine of the inventory.
CONTROLLER, PEOPLE, PODS = "controller", "people", "pods"
ETCD = (2379, 2380)
KUBELET = 10250
# Memberlist of MetalLB's speakers: https://metallb.universe.tf/#requirements
SPEAKERS = 7946
POD_NETWORK_PORTS = "site_pod_network_ports"
# What the list is made of; an action that has no whole site reads these.
VARIABLES = (
    "site_api_port",
    "site_hubs",
    "site_floating_pool",
    "site_kubernetes_client_host",
    "site_pod_network_provider",
    "site_pod_subnet",
    "site_public_url",
    "site_registry_host",
    "site_registry_plain_http_enabled",
    POD_NETWORK_PORTS,
)
# Of a flow among all nodes each tries the heads and a few nodes after it; together they try every node.
PEERS_AFTER = 2


@dataclass(frozen=True)
class Flow:
    """Who opens connections to whom.

    Args:
        sources: groups of the inventory, `controller`, `people` or `pods`.
        targets: groups of the inventory.
        protocol: `tcp`, `udp`, or a protocol of IP without ports, such as `ipip`.
        ports: of the targets; none where the protocol has none.
        why: what it is for, a few words.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    protocol: str
    ports: tuple[int, ...]
    why: str


class Attempt(NamedTuple):
    """What one machine tries: a port of another."""

    target: str
    protocol: str
    port: int


def parse_pod_network_port(entry: Any) -> tuple[str, tuple[int, ...]]:
    """Read an entry of `site_pod_network_ports`, "4789/udp" or "ipip": its protocol and port. Raises ValueError."""
    text = as_text(entry).lower()
    port, _, protocol = text.rpartition("/")
    if port.isdecimal() and protocol in ("tcp", "udp") and 0 < int(port) < 65536:
        return protocol, (int(port),)
    if port or not re.fullmatch(r"[a-z]{2,10}", protocol) or protocol in ("tcp", "udp"):
        raise ValueError(f'{text[:40]!r} is neither a port, as "4789/udp", nor a protocol of IP, as "ipip"')
    return protocol, ()


def _pod_network(site: Site) -> Iterator[tuple[str, tuple[int, ...]]]:
    for entry in as_list(site.values.get(POD_NETWORK_PORTS)):
        try:
            yield parse_pod_network_port(entry)
        except ValueError:  # the rule pod-network-port-malformed reports it
            continue


def flows(site: Site) -> list[Flow]:
    """Give everything that machines of a site have to let in, from its contract and its groups alone.

    What pods send each other between nodes has no port of a machine: with the provider `routed` it is forwarded as it is,
    and every node has to forward from and to `site_pod_subnet`.
    """
    client = site.text("site_kubernetes_client_host") or "localhost"
    outside = (CONTROLLER,) if client not in site.groups.get("head", ()) else ()
    api = (api_port(site),)
    node_ports = sorted(
        {as_int(hub.get("node_port"), FIRST_NODE_PORT) for hub in site_hubs(site).values()} - {0}
    )
    return [
        Flow((*NODE_GROUPS, *outside), ("head",), "tcp", api, "join; kubelets and this run ask the API"),
        Flow((PODS,), ("head",), "tcp", api, "name servers, hubs and BinderHub ask the API"),
        Flow(("head",), ("head",), "tcp", ETCD, "etcd of several heads"),
        Flow(("head",), NODE_GROUPS, "tcp", (KUBELET,), "logs of builds and sessions"),
        Flow(NODE_GROUPS, NODE_GROUPS, "tcp", (SPEAKERS,), "who holds the floating addresses"),
        Flow(NODE_GROUPS, NODE_GROUPS, "udp", (SPEAKERS,), "who holds the floating addresses"),
        *(
            Flow(NODE_GROUPS, NODE_GROUPS, protocol, ports, "pods to pods, where a provider wraps them")
            for protocol, ports in _pod_network(site)
        ),
        Flow(("proxy",), NODE_GROUPS, "tcp", tuple(node_ports), "BinderHub, at its node port"),
        Flow((*NODE_GROUPS, *outside), ("registry",), "tcp", (registry_at(site)[1],), "images"),
        # Nodes use the public URL as it is written; where that is https, port 80 sends people's browsers there.
        Flow((PEOPLE,), ("proxy",), "tcp", tuple(sorted({80, public_port(site)})), "the hubs"),
        Flow(NODE_GROUPS, ("proxy",), "tcp", (public_port(site),), "the public URL, of builds and sessions"),
    ]


def flows_to(site: Site, host: str) -> list[Flow]:
    """Give what one machine has to let in, without what only it itself would send."""
    return [
        flow
        for flow in flows(site)
        if any(host in site.groups.get(group, ()) for group in flow.targets)
        and any(source not in site.groups or set(site.groups[source]) - {host} for source in flow.sources)
    ]


def _members(site: Site, groups: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(name for group in groups for name in site.groups.get(group, ())))


def _beside(site: Site, host: str, steps: range) -> list[str]:
    nodes = _members(site, NODE_GROUPS)
    place = nodes.index(host)
    return [nodes[(place + step) % len(nodes)] for step in steps]


def _targets(site: Site, flow: Flow, host: str) -> list[str]:
    """Name the machines that one machine tries for a flow: all, but of a flow among all nodes the heads and a few."""
    if flow.sources == flow.targets == NODE_GROUPS:
        targets = [*site.groups.get("head", ()), *_beside(site, host, range(1, PEERS_AFTER + 1))]
    else:
        targets = _members(site, flow.targets)
    return [name for name in dict.fromkeys(targets) if name != host]


def _callers(site: Site, flow: Flow, host: str) -> list[str]:
    """Name those who try one machine for a flow: the same the other way round."""
    if flow.sources == flow.targets == NODE_GROUPS and host not in site.groups.get("head", ()):
        callers = _beside(site, host, range(-PEERS_AFTER, 0))
    else:
        callers = [*_members(site, flow.sources), *([CONTROLLER] if CONTROLLER in flow.sources else [])]
    return [name for name in dict.fromkeys(callers) if name != host]


def attempts(site: Site, host: str) -> list[Attempt]:
    """Give the ports of other machines that a machine tries, or the controller. Protocols without ports cannot be tried."""
    found: dict[Attempt, None] = {}
    for flow in flows(site):
        if host == CONTROLLER and CONTROLLER in flow.sources:
            targets = _members(site, flow.targets)
        elif host in _members(site, flow.sources):
            targets = _targets(site, flow, host)
        else:
            continue
        for target in targets:
            found.update(dict.fromkeys(Attempt(target, flow.protocol, port) for port in flow.ports))
    return list(found)


def expected(site: Site, host: str) -> dict[tuple[str, int], list[str]]:
    """Give the ports of a machine that others try, as {(protocol, port): who does}."""
    found: dict[tuple[str, int], dict[str, None]] = {}
    for flow in flows(site):
        if host in _members(site, flow.targets):
            callers = dict.fromkeys(_callers(site, flow, host))
            for port in flow.ports if callers else ():
                found.setdefault((flow.protocol, port), {}).update(callers)
    return {port: list(callers) for port, callers in found.items()}


def flow_table(site: Site) -> str:
    """Write the list as a table of Markdown, for the guide."""
    rows = []
    for flow in flows(site):
        ports = "-".join(map(str, flow.ports)) if flow.ports == ETCD else ", ".join(map(str, flow.ports))
        what = f"{ports} {flow.protocol}".strip()
        rows.append(f"| {', '.join(flow.sources)} | {', '.join(flow.targets)} | {what} | {flow.why} |")
    return "\n".join(["| from | to | port | for |", "|---|---|---|---|", *rows])
