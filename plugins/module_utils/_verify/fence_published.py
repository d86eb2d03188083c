# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a cluster publishes beside its hubs: floating addresses and NodePorts of everybody's services. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Optional

from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_facts import (
    Cluster,
    Facts,
    Json,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_rules import Target

__all__ = ["PUBLIC", "namespaces", "published_targets"]

# The chart's services of the public proxy. By their pods they are what sessions reach at the hub's floating address.
PUBLIC = frozenset({"proxy-public", "proxy-http"})
_WEB = frozenset({80, 443})


def _is_published(service: Json) -> bool:
    return service.get("spec", {}).get("type") in ("LoadBalancer", "NodePort")


def namespaces(facts: Facts, services: Iterable[Json]) -> list[str]:
    """Name the namespaces whose endpoints are asked for: those of hubs, and of what is published."""
    hubs = [settings["namespace"] for settings in facts.hubs.values()]
    return list(
        dict.fromkeys([*hubs, *(one["metadata"]["namespace"] for one in services if _is_published(one))])
    )


def _nodes(cluster: Cluster, service: Json) -> Sequence[str]:
    """Choose where a NodePort is tried: a node with sessions and a head, for the way to the own node and to another one."""
    key = (service["metadata"]["namespace"], service["metadata"]["name"])
    if service["spec"].get("externalTrafficPolicy") == "Local":
        # On other nodes nothing answers.
        return sorted(cluster.homes.get(key, set()) & set(cluster.nodes))[:1]
    return sorted({*cluster.session_nodes[:1], *cluster.heads[:1]})


def published_targets(facts: Facts, cluster: Cluster) -> Iterable[Target]:
    """Return the floating addresses and NodePorts that no hub has, of services with a pod that is ready."""
    floating = {settings["floating_ip"] for settings in facts.hubs.values()}
    node_ports = {int(settings["node_port"]) for settings in facts.hubs.values()}
    hubs = {settings["namespace"] for settings in facts.hubs.values()}
    for service in cluster.services:
        namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
        spec = service.get("spec", {})
        ports = [port for port in spec.get("ports") or [] if port.get("protocol", "TCP") == "TCP"]
        if not _is_published(service) or not ports or not cluster.endpoints.get((namespace, name)):
            continue
        given = service.get("status", {}).get("loadBalancer", {}).get("ingress") or []
        # A hub of somebody else may be among them, whose own sessions may reach it.
        expect: dict[str, Optional[bool]] = {"other": None} if namespace == facts.other_namespace else {}
        for address in [entry["ip"] for entry in given if entry.get("ip")]:
            for port in [port["port"] for port in ports if (address, port["port"]) not in _webs(floating)][
                :1
            ]:
                title = f"floating address of {namespace}/{name}"
                yield Target(title, "floating", address, port, expect=expect)
        if not facts.guard_enabled and namespace in hubs and name in PUBLIC:
            continue
        for port in [port["nodePort"] for port in ports if port.get("nodePort")]:
            for node in _nodes(cluster, service) if port not in node_ports else []:
                title = f"NodePort {port} of {namespace}/{name} on {node}"
                yield Target(title, "other_node_port", cluster.nodes[node], port, expect=expect)


def _webs(addresses: Iterable[str]) -> set[tuple[str, int]]:
    return {(address, port) for address in addresses for port in _WEB}
