# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A site as the rules see it.

Everything here was typed by a person or sent by a machine, so nothing has to have the right type.
Accessors give a harmless value of the right type instead; `wrong-type` reports the wrong one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, ip_address, ip_interface
from typing import Any, Union
from urllib.parse import SplitResult, urlsplit

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.nodes import (
    NODE_GROUPS,
    builds_on,
    node_address,
    node_purposes,
)

__all__ = ["Host", "Site", "as_int", "as_list", "as_mapping", "as_text", "look_up", "parse_ip", "split_url"]

Address = Union[IPv4Address, IPv6Address]

# Interfaces that a previous run of Ironbinder, Docker or a pod network made. Their addresses say
# nothing about the machine's own networks. Docker names a bridge after its network's id: any other br-* is the machine's.
OWN_INTERFACES = re.compile(
    r"(?:cni|cbr|cali|flannel|kube|nodelocaldns|tunl|veth|vxlan|docker).*|br-[0-9a-f]{12}|lo\d*"
)


def as_text(value: Any) -> str:
    """Give text as it is, stripped; anything else as nothing."""
    return value.strip() if isinstance(value, str) else ""


def as_mapping(value: Any) -> Mapping[str, Any]:
    """Give a mapping with its text keys; anything else as an empty one."""
    return (
        {key: item for key, item in value.items() if isinstance(key, str)}
        if isinstance(value, Mapping)
        else {}
    )


def look_up(values: Any, way: str) -> Any:
    """Follow a dotted way through mappings; None where it ends early."""
    for key in way.split("."):
        values = as_mapping(values).get(key)
    return values


def as_list(value: Any) -> list[Any]:
    """Give a list; a single text as a list of one; anything else as an empty one."""
    if isinstance(value, str):
        return [value] if value.strip() else []
    return list(value) if isinstance(value, (list, tuple)) else []


def as_int(value: Any, default: int = 0) -> int:
    """Give a whole number, also from digits in text; anything else as `default`."""
    if isinstance(value, bool):
        return default
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 19:
        return int(value)
    return value if isinstance(value, int) else default


def parse_ip(value: Any) -> Address | None:
    """Read an address; None when it is not one."""
    try:
        return ip_address(as_text(value))
    except ValueError:
        return None


def split_url(value: Any) -> SplitResult | None:
    """Split a URL; None when it cannot be (a bad port, a broken bracket)."""
    try:
        parts = urlsplit(as_text(value))
        _ = parts.port, parts.hostname
    except ValueError:
        return None
    return parts


@dataclass(frozen=True)
class Host:
    """One host of the inventory.

    `state` is `seen` (facts and probe are there), `unreachable`, `failed` (it answered, but the
    facts or the probe did not work), `unaddressed` (no address to ask yet) or `unasked`.
    `resolved` is {address} or {error} of a node that is reached by name, see `site/resolve.py`.
    """

    name: str
    groups: frozenset[str] = frozenset()
    variables: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    probe: Mapping[str, Any] = field(default_factory=dict)
    state: str = "unasked"
    message: str = ""
    resolved: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seen(self) -> bool:
        """Whether facts were gathered."""
        return self.state == "seen"

    @property
    def connects_locally(self) -> bool:
        """Whether Ansible uses no network to reach this host."""
        return self.variables.get("ansible_connection") == "local"

    @cached_property
    def address(self) -> str:
        """The address other nodes use, `` where it is still to be filled in; of a name what it leads to."""
        return as_text(self.resolved.get("address")) or node_address(self.variables, self.name)

    @property
    def joined(self) -> bool:
        """Whether a kubelet of this cluster already lives here."""
        return as_mapping(self.probe.get("kubernetes")).get("joined") is True

    @property
    def contained(self) -> bool:
        """Whether the machine is a container, as in the lab."""
        return as_text(self.facts.get("virtualization_type")) in (
            "docker",
            "podman",
            "container",
            "containerd",
            "lxc",
        )

    @cached_property
    def interfaces(self) -> list[IPv4Interface]:
        """Addresses with networks of the machine's own interfaces."""
        found = []
        for entry in as_list(self.facts.get("interfaces")):
            name, cidr = as_text(as_mapping(entry).get("name")), as_text(as_mapping(entry).get("cidr"))
            try:
                interface = ip_interface(cidr)
            except ValueError:
                continue
            if isinstance(interface, IPv4Interface) and not OWN_INTERFACES.fullmatch(name):
                found.append(interface)
        return found

    @cached_property
    def networks(self) -> list[IPv4Network]:
        """The machine's own networks."""
        return [interface.network for interface in self.interfaces if interface.network.prefixlen < 32]

    @cached_property
    def macs(self) -> frozenset[str]:
        """Hardware addresses of all interfaces, in lower case."""
        entries = [as_mapping(entry) for entry in as_list(self.facts.get("interfaces"))]
        return frozenset(as_text(entry.get("mac")).lower() for entry in entries) - {""}

    @cached_property
    def listening(self) -> dict[int, str]:
        """Listening TCP ports with the name of their process, `` where it could not be seen."""
        entries = [as_mapping(entry) for entry in as_list(self.probe.get("listening"))]
        return {as_int(entry.get("port")): as_text(entry.get("process")) for entry in entries}


@dataclass(frozen=True)
class Site:
    """A whole site.

    Args:
        values: the contract's variables as the whole site sees them.
        specs: `options` of the site role's argument specs, by variable.
        given: names of site-wide variables that the inventory itself sets.
        errors: [{variable, host, message}] of values that could not be computed.
        unknown: [{variable, host}] of variables in the contract's name space that it does not have.
        renamed: [{variable, host}] of role variables that the contract now has under another name.
        secrets: what `_secret_facts` says, never a secret.
        controller: what was observed on the controller: names, TLS files, the chart.
        clock: controller's time in seconds when the check began.
        rules: every rule with whether its finding may be accepted; only where findings are judged.
        found: ids of the rules that have found something; likewise.
        settled: ids of rules whose findings the caller is about to settle.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    specs: Mapping[str, Any] = field(default_factory=dict)
    given: frozenset[str] = frozenset()
    errors: Sequence[Mapping[str, str]] = ()
    unknown: Sequence[Mapping[str, str]] = ()
    renamed: Sequence[Mapping[str, str]] = ()
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    hosts: Mapping[str, Host] = field(default_factory=dict)
    secrets: Mapping[str, Any] = field(default_factory=dict)
    controller: Mapping[str, Any] = field(default_factory=dict)
    clock: float = 0.0
    rules: Mapping[str, bool] = field(default_factory=dict)
    found: frozenset[str] = frozenset()
    settled: frozenset[str] = frozenset()

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Site:
        """Read a site from plain data, as JSON carries it. Never raises on odd data."""
        groups = {
            name: [host for host in as_list(hosts) if isinstance(host, str)]
            for name, hosts in as_mapping(data.get("groups")).items()
        }
        member_of: dict[str, set[str]] = {}
        for group, names in groups.items():
            for name in names:
                member_of.setdefault(name, set()).add(group)
        given = as_mapping(data.get("hosts"))
        hosts = {}
        for name in [*given, *(name for name in member_of if name not in given)]:
            entry = as_mapping(given.get(name))
            hosts[name] = Host(
                name=name,
                groups=frozenset(member_of.get(name, ())),
                variables=as_mapping(entry.get("variables")),
                facts=as_mapping(entry.get("facts")),
                probe=as_mapping(entry.get("probe")),
                state=as_text(entry.get("state")) or "unasked",
                message=as_text(entry.get("message")),
                resolved=as_mapping(entry.get("resolved")),
            )
        clock = data.get("clock")
        return cls(
            values=as_mapping(data.get("values")),
            specs=as_mapping(data.get("specs")),
            given=frozenset(name for name in as_list(data.get("given")) if isinstance(name, str)),
            errors=[as_mapping(entry) for entry in as_list(data.get("errors"))],
            unknown=[as_mapping(entry) for entry in as_list(data.get("unknown"))],
            renamed=[as_mapping(entry) for entry in as_list(data.get("renamed"))],
            groups=groups,
            hosts=hosts,
            secrets=as_mapping(data.get("secrets")),
            controller=as_mapping(data.get("controller")),
            clock=float(clock) if isinstance(clock, (int, float)) else 0.0,
            settled=frozenset(name for name in as_list(data.get("settled")) if isinstance(name, str)),
        )

    def text(self, variable: str) -> str:
        """Give a site-wide value as text, `` where it is not text."""
        return as_text(self.values.get(variable))

    def flag(self, variable: str) -> bool:
        """Give a site-wide switch; yes, on and true count as text too."""
        value = self.values.get(variable)
        return value is True or as_text(value).lower() in ("yes", "on", "true", "1")

    def members(self, *groups: str) -> list[Host]:
        """Hosts of the groups, each once, in the inventory's order."""
        names = dict.fromkeys(name for group in groups for name in self.groups.get(group, ()))
        return [self.hosts[name] for name in names]

    @cached_property
    def nodes(self) -> list[Host]:
        """Heads and workers."""
        return self.members(*NODE_GROUPS)

    def purposes(self, host: Host) -> list[Any]:
        """What a node is for: as the inventory says, else by its groups."""
        given = host.variables.get("site_node_purposes")
        return node_purposes(host.name, self.groups) if given is None else as_list(given)

    def builds_on(self, host: Host) -> bool:
        """Whether builds may run on a node, as far as the selector tells."""
        return builds_on(self.purposes(host), as_mapping(self.values.get("site_build_node_selector")))

    @cached_property
    def machines(self) -> list[Host]:
        """Every host that a stage changes."""
        return self.members("head", "workers", "proxy", "registry")

    def seen(self, *groups: str) -> Iterator[Host]:
        """Hosts of the groups whose facts are known."""
        return (host for host in self.members(*groups) if host.seen)

    @cached_property
    def hubs(self) -> Mapping[str, Mapping[str, Any]]:
        """`site_hubs` as far as it can be read."""
        return {name: as_mapping(hub) for name, hub in as_mapping(self.values.get("site_hubs")).items()}

    @property
    def uses_mirror(self) -> bool:
        """Whether artefacts come from a mirror."""
        return self.text("artifact_source") == "mirror"
