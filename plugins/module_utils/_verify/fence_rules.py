# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What each place may reach: the promise of the fences, as a table. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional, Union

__all__ = ["CONTROLS", "FENCED", "KINDS", "Kind", "Origin", "Target", "expected", "opened"]

# Places whose connections are judged. `other` is a session of a hub's namespace that has no hub of its own to name.
FENCED = ("session", "build", "run", "other", "unknown")
# Places that prove that a target is alive: a pod of a namespace without a fence, a core pod, a node, the proxy, and a machine
# that tries its own address, where a firewall lets few others in.
CONTROLS = ("control", "core", "node", "proxy", "machine")


@dataclass(frozen=True)
class Kind:
    """What a target is.

    `allowed` names the places that need it, `free` those that may reach it and need not; every other fenced place must not.
    `own` limits both to pods of the target's own hub, `only` says who is judged at all. Without `provable` no place can show
    that it is alive; with `handshake` a handshake shows it, where a pod of this cluster is behind the address and no gateway on
    the way. `local` targets differ from node to node. `look` says where to look when a fence does not hold.
    """

    title: str
    allowed: frozenset[str] = frozenset()
    free: frozenset[str] = frozenset()
    own: bool = False
    only: frozenset[str] = frozenset()
    provable: bool = True
    handshake: bool = False
    local: bool = False
    look: str = "the rule that drops private networks"


_PEOPLE = frozenset({"session", "build", "run", "other"})
_PODS = frozenset({"session", "build", "other", "core"})
_NODE = "the rule that drops what goes to the machine itself (hook input) and to other nodes (hook forward)"
_POD = "the rule that drops what goes to other pods (hook forward), after kube-proxy has chosen one"
_BRIDGE = "table bridge ironbinder_guard, and net.bridge.bridge-nf-call-iptables: pods of one node meet on its bridge"

KINDS = {
    "api": Kind("API server", frozenset({"core"}), look=_NODE),
    "kubelet": Kind("kubelet", look=_NODE),
    "etcd": Kind("etcd", look=_NODE),
    "node_service": Kind("service of a node", look=_NODE),
    "gateway": Kind("own node, by the bridge's address", local=True, look=_NODE),
    "ssh": Kind("SSH", look=_NODE),
    "node_port": Kind(
        "NodePort", frozenset({"proxy"}), look="the rule before kube-proxy's DNAT that lets only the proxy in"
    ),
    "hub_address": Kind("floating address of the hub", frozenset({"session", "proxy"}), own=True, look=_POD),
    # Nobody has to ask it, a proxy as little as others.
    "other_node_port": Kind("NodePort of another service", handshake=True, look=_NODE),
    "floating": Kind("another floating address", handshake=True, look=_POD),
    "public_url": Kind("public URL", _PEOPLE | {"core", "proxy"}),
    "hub_api": Kind("hub's API", frozenset({"session", "core"}), own=True, look=_POD),
    # Sessions are given the service; that its pod is behind it is no secret and no need.
    "hub_api_pod": Kind(
        "hub's API, its pod", frozenset({"core"}), free=frozenset({"session"}), own=True, look=_POD
    ),
    "proxy_api": Kind("proxy's admin API", frozenset({"core"}), own=True, handshake=True, look=_POD),
    "hub_service": Kind("internal service of the hub", handshake=True, look=_POD),
    "session_port": Kind("another session", frozenset({"core"}), own=True, look=_BRIDGE),
    # The hub asks its port by TCP and IPv4; by any other way nobody has to.
    "session_other": Kind("another session, not by its port", look=_BRIDGE),
    "cluster_service": Kind("internal service of the cluster", handshake=True, look=_POD),
    "dns": Kind("cluster DNS", _PODS),
    "resolver": Kind("own name server", _PEOPLE | {"core"}, local=True),
    # Docker hands it to RUN steps; pods ask the cluster's.
    "name_server": Kind("name server of the nodes", frozenset({"run"})),
    "registry": Kind("registry"),
    "mirror": Kind("mirror", frozenset({"build", "run"})),
    "unassigned": Kind(
        "service address that nobody has", provable=False, look="the rule for the service range"
    ),
    "host_network": Kind(
        "RUN --network=host",
        only=frozenset({"run"}),
        provable=False,
        look="builder.entitlements of /etc/docker/daemon.json, where network-host may be, and not",
    ),
    "internet": Kind("Internet", _PEOPLE),
    "mail": Kind("mail", look="the rule for site_guard_denied_ports"),
    "metadata": Kind("metadata", look="the rule that drops link-local addresses"),
    "private": Kind("private network"),
    "ipv6": Kind("IPv6", look="the rules of IPv6: off, or fenced like IPv4"),
}


@dataclass(frozen=True)
class Target:
    """Something that answers: an address (or `gateway`, `resolver`), a port, and how to speak to it.

    `hub` is the hub it belongs to, "" for none; `query` a name to ask a name server for; `says` a text in its answer, where
    somebody on the way might answer in its place. `expect` overrides the kind's expectation by place, or place@node; None is
    not judged.
    """

    name: str
    kind: str
    address: str
    port: int
    protocol: str = "tcp"
    talk: str = "any"
    hub: str = ""
    query: str = "localhost"
    says: str = ""
    expect: Mapping[str, Optional[bool]] = field(default_factory=dict)

    @property
    def provable(self) -> bool:
        """Whether a place can show that it is alive: where a site names an unassigned address, a listener says that it is it."""
        return KINDS[self.kind].provable or (self.kind == "unassigned" and bool(self.says))

    @property
    def local(self) -> bool:
        """Whether it is another machine or interface from each node."""
        return KINDS[self.kind].local

    @property
    def is_ipv6(self) -> bool:
        """Whether it can be reached by IPv6 only."""
        return ":" in self.address


@dataclass(frozen=True)
class Origin:
    """A place from which targets are tried: what it is, of which hub, on which node."""

    role: str
    hub: str = ""
    node: str = ""

    @property
    def column(self) -> str:
        """Its column in the report: places that differ in the node only are judged together."""
        return f"{self.role} {self.hub}".strip()


def _ports(entry: Mapping[str, Any]) -> Iterable[range]:
    for given in entry.get("ports") or ["0-65535"]:
        first, _, last = str(given).partition("-")
        yield range(int(first), int(last or first) + 1)


def opened(
    networks: Sequence[Union[str, Mapping[str, Any]]], target: Target, resolved: Mapping[str, Sequence[str]]
) -> bool:
    """Tell whether a site opened a target by `site_session_allowed_networks` or `site_build_allowed_networks`.

    Args:
        networks: a CIDR or address, or {network: CIDR | host: name, ports: [443, "8000-8100"], protocol: tcp|udp}.
        target: whose address is one, not a name.
        resolved: addresses of the names in `networks`.
    """
    try:
        address = ipaddress.ip_address(target.address.partition("%")[0])
    except ValueError:
        return False
    protocol = "tcp" if target.protocol == "tcp" else "udp"
    for given in networks:
        entry = {"network": given} if isinstance(given, str) else given
        if entry.get("protocol", protocol) != protocol or not any(
            target.port in ports for ports in _ports(entry)
        ):
            continue
        texts = [entry["network"]] if entry.get("network") else resolved.get(str(entry.get("host")), [])
        if any(address in ipaddress.ip_network(str(text), strict=False) for text in texts):
            return True
    return False


def expected(
    target: Target,
    origin: Origin,
    networks: Mapping[str, Sequence[Union[str, Mapping[str, Any]]]],
    resolved: Mapping[str, Sequence[str]],
) -> Optional[bool]:
    """Tell whether a place has to reach a target (True), must not (False), or is not judged (None).

    Args:
        networks: what the site opened, by `session` and `build`.
    """
    kind, role = KINDS[target.kind], origin.role
    # A session of a second hub is a pod of another hub to the first one's services.
    foreign = kind.own and (not origin.hub or origin.hub != target.hub)
    if kind.only and role not in kind.only:
        return None
    for place in (f"{role}@{origin.node}", role):
        if place in target.expect:
            return target.expect[place]
    wanted = role in kind.allowed and not foreign
    if role in kind.free and not foreign:
        return None
    if role in CONTROLS:
        # They are asked for what they need and else only show that a target is alive.
        return True if wanted else None
    site = networks.get(
        {"session": "session", "other": "session", "build": "build", "run": "build"}.get(role, ""), []
    )
    return wanted or opened(site, target, resolved)
