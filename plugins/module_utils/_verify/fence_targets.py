# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a site has that answers, and should not answer everybody. Pure: from what the API and the inventory say."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Optional
from urllib.parse import urlsplit

from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_facts import (
    Cluster,
    Facts,
    Json,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_published import (
    PUBLIC,
    published_targets,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_rules import KINDS, Target

__all__ = [
    "TargetError",
    "given_targets",
    "listener_targets",
    "site_targets",
    "without",
]

LISTENER_PORT = 8888
# https://kubernetes.io/docs/reference/networking/ports-and-protocols/
KUBELET, KUBE_PROXY_HEALTH, ETCD = 10250, 10256, 2379


class TargetError(Exception):
    """A target that cannot be one. Its text names the variable and the remedy."""


def _not_for_pods(facts: Facts, cluster: Cluster) -> dict[str, Optional[bool]]:
    """Expect that no pod without a fence asks BinderHub's NodePort, unless its node may, by whose address its packets leave."""
    if not (facts.guard_enabled and facts.node_port_clients):
        return {}
    texts = [
        text for client in facts.node_port_clients for text in facts.addresses.get(str(client), [str(client)])
    ]
    try:
        networks = [ipaddress.ip_network(text, strict=False) for text in texts]
    except ValueError:
        return {}  # a range, or a name that does not resolve here: nobody knows whom it lets in
    found: dict[str, Optional[bool]] = {"control": False}
    for name, address in cluster.nodes.items():
        if address and any(ipaddress.ip_address(address) in network for network in networks):
            found[f"control@{name}"] = None
    return found


def _not_for_anybody(facts: Facts) -> dict[str, Optional[bool]]:
    """Expect that nobody on a node reaches a service address that nobody has: it would leave for the default gateway."""
    return {"control": False, "node": False} if facts.guard_enabled else {}


def _node_targets(facts: Facts, cluster: Cluster) -> Iterable[Target]:
    for name in cluster.heads:
        address = cluster.nodes[name]
        yield Target(f"API server of {name}", "api", address, facts.api_port, talk="tls")
        yield Target(f"etcd of {name}", "etcd", address, ETCD, talk="tls")
    if facts.api_address not in cluster.nodes.values():
        yield Target("API server by its own address", "api", facts.api_address, facts.api_port, talk="tls")
    for name, address in cluster.nodes.items():
        yield Target(f"kubelet of {name}", "kubelet", address, KUBELET, talk="tls")
        yield Target(f"kube-proxy of {name}", "node_service", address, KUBE_PROXY_HEALTH, talk="http")
        for hub, settings in facts.hubs.items():
            yield Target(
                f"NodePort of {hub} on {name}",
                "node_port",
                address,
                int(settings["node_port"]),
                talk="http",
                hub=hub,
                expect=_not_for_pods(facts, cluster),
            )
    for name, address in facts.machines.items():
        yield Target(f"SSH of {name}", "ssh", address, int(facts.ssh_ports.get(name) or 22), talk="banner")
    yield Target("own node, kubelet", "gateway", "gateway", KUBELET, talk="tls")


def _hub_targets(facts: Facts, cluster: Cluster) -> Iterable[Target]:
    kinds = {"hub": "hub_api", "proxy-api": "proxy_api"}
    for hub, settings in facts.hubs.items():
        prefix = f"{hub}: " if len(facts.hubs) > 1 else ""
        yield Target(
            f"{prefix}floating address", "hub_address", settings["floating_ip"], 80, talk="http", hub=hub
        )
        for service in cluster.services:
            metadata, spec = service["metadata"], service.get("spec", {})
            # By its pods the public proxy is the floating address; its service address is nobody's promise.
            if metadata["namespace"] != settings["namespace"] or metadata["name"] in PUBLIC:
                continue
            kind = kinds.get(metadata["name"], "hub_service")
            ports = [port for port in spec.get("ports") or [] if port.get("protocol", "TCP") == "TCP"]
            places = cluster.endpoints.get((metadata["namespace"], metadata["name"])) or []
            # Without a pod nothing answers there, and without an address it is its pods only.
            if not ports or not places:
                continue
            name = f"{prefix}service {metadata['name']}"
            talk = "any" if kind == "hub_service" else "http"
            if spec.get("clusterIP") not in (None, "", "None"):
                yield Target(name, kind, spec["clusterIP"], ports[0]["port"], talk=talk, hub=hub)
            pod = "hub_api_pod" if kind == "hub_api" else kind
            yield Target(f"{name}, its pod", pod, *places[0], talk=talk, hub=hub)


def _cluster_targets(facts: Facts, cluster: Cluster) -> Iterable[Target]:
    known = {
        (service["metadata"]["namespace"], service["metadata"]["name"]): service
        for service in cluster.services
    }
    api = known.get(("default", "kubernetes"))
    if api:
        yield Target(
            "service kubernetes", "api", api["spec"]["clusterIP"], api["spec"]["ports"][0]["port"], talk="tls"
        )
    dns = known.get(("kube-system", "kube-dns"))
    if dns:
        address, query = dns["spec"]["clusterIP"], "kubernetes.default.svc.cluster.local"
        yield Target("cluster DNS", "dns", address, 53, protocol="dns", query=query)
        yield Target("cluster DNS by TCP", "dns", address, 53, talk="dns", query=query)
        if any(port.get("name") == "metrics" for port in dns["spec"].get("ports") or []):
            yield Target("metrics of cluster DNS", "cluster_service", address, 9153, talk="http")
    if facts.service_subnet:
        used = {service.get("spec", {}).get("clusterIP") for service in cluster.services}
        network = ipaddress.ip_network(facts.service_subnet, strict=False)
        free = next(
            str(address)
            for address in (network.broadcast_address - number for number in range(2, 1000))
            if str(address) not in used
        )
        closed = _not_for_anybody(facts)
        yield Target("unassigned service address", "unassigned", free, 80, talk="http", expect=closed)


def _of_the_site(address: str, facts: Facts) -> bool:
    """Whether an address is the site's own, and not somewhere on the Internet, which sessions may reach."""
    place = ipaddress.ip_address(address)
    return (
        not place.is_global
        or address in facts.machines.values()
        or any(place in ipaddress.ip_network(network, strict=False) for network in facts.denied_networks)
    )


def _outer_targets(facts: Facts) -> Iterable[Target]:
    secure = {"https": 443, "http": 80}
    url = urlsplit(facts.public_url)
    if url.hostname:
        talk = "tls" if url.scheme == "https" else "http"
        port = url.port or secure.get(url.scheme, 443)
        yield Target("public URL", "public_url", url.hostname, port, talk=talk)
        # By an address no name is asked for, and a need is a need.
        query = url.hostname if any(letter.isalpha() for letter in url.hostname) else "localhost"
        yield Target("own name server", "resolver", "resolver", 53, protocol="dns", query=query)
    for kind, where in (("registry", f"//{facts.registry}"), ("mirror", facts.mirror_url)):
        place = urlsplit(where)
        for address in list(facts.addresses.get(place.hostname or "") or [])[:1]:
            if _of_the_site(address, facts):
                yield Target(kind, kind, address, place.port or secure.get(place.scheme, 443))


def site_targets(facts: Facts, cluster: Cluster) -> list[Target]:
    """Return what a site has itself: its machines, its cluster, its hubs, its registry and mirror."""
    return [
        *_node_targets(facts, cluster),
        *_cluster_targets(facts, cluster),
        *_hub_targets(facts, cluster),
        *published_targets(facts, cluster),
        *_outer_targets(facts),
    ]


def listener_targets(hub: str, prefix: str, address: str, ipv6: Sequence[str]) -> list[Target]:
    """Return a pod like a session that answers, by its address and by those of IPv6 that are its own."""
    name = f"{prefix}another session"
    return [
        Target(name, "session_port", address, LISTENER_PORT, hub=hub),
        Target(f"{name} by UDP", "session_other", address, LISTENER_PORT, protocol="udp", hub=hub),
        *(Target(f"{name} by IPv6 {one}", "session_other", one, LISTENER_PORT, hub=hub) for one in ipv6),
    ]


def given_targets(entries: Sequence[Json], facts: Facts) -> list[Target]:
    """Read `site_fence_probe_targets`.

    Raises:
        TargetError: an entry is none.
    """
    names = {entry.name for entry in fields(Target)}
    found = []
    for number, entry in enumerate(entries):
        where = f"site_fence_probe_targets[{number}] ({entry.get('name', 'without a name')})"
        missing = [key for key in ("name", "kind", "address", "port") if not entry.get(key)]
        unknown = sorted(set(entry) - names)
        if missing or unknown:
            wrong = f"lacks {', '.join(missing)}" if missing else f"has unknown keys {', '.join(unknown)}"
            raise TargetError(f"{where} {wrong}: an entry has {', '.join(sorted(names))}")
        if entry["kind"] not in KINDS:
            raise TargetError(f"{where} is of kind {entry['kind']}: use one of {', '.join(sorted(KINDS))}")
        if entry.get("protocol", "tcp") not in ("tcp", "udp", "dns"):
            raise TargetError(f"{where} has protocol {entry['protocol']}: use tcp, udp or dns")
        target = Target(**entry)
        usual = _not_for_anybody(facts) if target.kind == "unassigned" else {}
        expect = {**usual, **target.expect}
        found.append(replace(target, port=int(target.port), address=str(target.address), expect=expect))
    return found


def without(targets: Sequence[Target], skipped: Mapping[str, str]) -> list[Target]:
    """Leave out what the site does not want to be tried.

    Raises:
        TargetError: a name is not that of a target, is there twice, or has no reason.
    """
    names = [target.name for target in targets]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TargetError(
            f"two targets are called {', '.join(twice)}: rename those of site_fence_probe_targets"
        )
    unknown = sorted(set(skipped) - set(names))
    if unknown:
        raise TargetError(
            f"site_fence_probe_skipped names {', '.join(unknown)}, which is no target: they are {', '.join(names)}"
        )
    silent = sorted(name for name, reason in skipped.items() if not str(reason).strip())
    if silent:
        raise TargetError(
            f"site_fence_probe_skipped gives no reason for {', '.join(silent)}: write why that is right here"
        )
    return [target for target in targets if target.name not in skipped]
