# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the inventory and the API say of a site, from which its targets are made. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Cluster", "Facts", "Json", "as_cluster"]

Json = Mapping[str, Any]
_HEAD = "node-role.kubernetes.io/control-plane"
_PURPOSE = "hub.jupyter.org/node-purpose"


@dataclass(frozen=True)
class Facts:
    """What the inventory says.

    `hubs` as `resolve_hubs` gives them; `machines` are {name: address} of what has SSH, at `ssh_ports`; `addresses` are those of
    host names, {name: [address]}. `node_port_clients` alone may ask BinderHub's NodePort, [] for everybody; that, and that nobody
    reaches an unassigned address, holds with `guard_enabled`. `other_namespace` is fenced like a hub's and has none.
    """

    hubs: Mapping[str, Json]
    api_address: str = ""
    api_port: int = 6443
    public_url: str = ""
    registry: str = ""
    mirror_url: str = ""
    service_subnet: str = ""
    machines: Mapping[str, str] = field(default_factory=dict)
    ssh_ports: Mapping[str, int] = field(default_factory=dict)
    denied_networks: Sequence[str] = ()
    guard_enabled: bool = False
    node_port_clients: Sequence[str] = ()
    other_namespace: str = ""
    addresses: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Cluster:
    """What the API says: {node: address}, its heads, the nodes that run sessions, all services, endpoints by service.

    `endpoints` are {(namespace, service): [(address, port)]}, `homes` the nodes that have one of them.
    """

    nodes: Mapping[str, str]
    heads: Sequence[str]
    session_nodes: Sequence[str]
    services: Sequence[Json]
    endpoints: Mapping[tuple[str, str], Sequence[tuple[str, int]]]
    homes: Mapping[tuple[str, str], Set[str]] = field(default_factory=dict)


def _ready(node: Json) -> bool:
    conditions = node.get("status", {}).get("conditions") or []
    return any(entry.get("type") == "Ready" and entry.get("status") == "True" for entry in conditions)


def as_cluster(nodes: Sequence[Json], services: Sequence[Json], slices: Sequence[Json]) -> Cluster:
    """Read the API's objects."""
    addresses = {
        node["metadata"]["name"]: next(
            (
                entry["address"]
                for entry in node.get("status", {}).get("addresses") or []
                if entry["type"] == "InternalIP"
            ),
            "",
        )
        for node in nodes
    }
    labels = {node["metadata"]["name"]: node["metadata"].get("labels") or {} for node in nodes}
    able = [
        node["metadata"]["name"]
        for node in nodes
        if _ready(node) and not node.get("spec", {}).get("unschedulable")
    ]
    users = [name for name in able if labels[name].get(_PURPOSE) == "user"]
    if not users:
        # A cluster whose nodes all do everything; a tainted head does not.
        closed = {
            node["metadata"]["name"]
            for node in nodes
            if any(taint.get("effect") == "NoSchedule" for taint in node.get("spec", {}).get("taints") or [])
        }
        users = [name for name in able if name not in closed]
    endpoints: dict[tuple[str, str], list[tuple[str, int]]] = {}
    homes: dict[tuple[str, str], set[str]] = {}
    for entry in slices:
        metadata = entry["metadata"]
        key = (metadata["namespace"], (metadata.get("labels") or {}).get("kubernetes.io/service-name", ""))
        for endpoint in entry.get("endpoints") or []:
            if endpoint.get("conditions", {}).get("ready") is False:
                continue
            for port in entry.get("ports") or []:
                if port.get("protocol", "TCP") == "TCP" and port.get("port"):
                    endpoints.setdefault(key, []).append((endpoint["addresses"][0], port["port"]))
                    homes.setdefault(key, set()).add(endpoint.get("nodeName") or "")
    heads = [name for name in addresses if _HEAD in labels[name]]
    return Cluster(addresses, heads, users, services, endpoints, homes)
