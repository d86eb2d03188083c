# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a site opens for sessions and builds, entry by entry, and the rules of nftables that this makes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_network
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site, as_list

__all__ = [
    "BUILDS",
    "DENIED",
    "SESSIONS",
    "FenceError",
    "Opening",
    "guard_enabled",
    "nft_rules",
    "opened_hosts",
    "parse_denied",
    "parse_opening",
    "parse_port",
]

SESSIONS, BUILDS = "site_session_allowed_networks", "site_build_allowed_networks"
DENIED = "site_guard_denied_networks"
KEYS = ("network", "host", "ports", "protocol")
PROTOCOLS = ("tcp", "udp")
EXAMPLE = 'write it as 192.0.2.0/24, or as {network: 192.0.2.0/24, ports: [443, "8000-8100"]}'
HOST = re.compile(r"(?=.{1,253}$)(?!\d+(\.\d+)*$)[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")


class FenceError(ValueError):
    """An entry that cannot be used: `observed` says what it is, and `remedy` what would be right."""

    def __init__(self, observed: str, remedy: str = EXAMPLE) -> None:
        super().__init__(f"{observed}: {remedy}")
        self.observed, self.remedy = observed, remedy


@dataclass(frozen=True)
class Opening:
    """One entry. Either `network` or `host` is set. Without `ports` all are meant, and without `protocol` every one."""

    network: IPv4Network | None
    host: str
    ports: tuple[tuple[int, int], ...]
    protocol: str


def parse_port(value: Any) -> tuple[int, int]:
    """Read a port, or "first-last". Raises FenceError."""
    text = str(value).strip()
    first, dash, last = (part.strip() for part in text.partition("-"))
    numbers = [first, last] if dash else [first, first]
    if isinstance(value, bool) or not all(re.fullmatch(r"[0-9]{1,5}", number) for number in numbers):
        raise FenceError(f"{text[:40]!r} is no port", 'write it as 443 or "8000-8100"')
    low, high = map(int, numbers)
    if low not in range(1, 65536) or high not in range(1, 65536):
        raise FenceError(f"{text} is no port", "ports are 1 to 65535")
    if low > high:
        raise FenceError(f"{text} is reversed", f'write it as "{last}-{first}"')
    return low, high


def _network(value: Any) -> IPv4Network:
    try:
        found = ip_network(value.strip() if isinstance(value, str) else value)
    except ValueError as error:
        raise FenceError(f"{str(value)[:60]!r} is no address and no network ({error})") from error
    if not isinstance(found, IPv4Network):
        raise FenceError(f"{found} is IPv6, which neither pods nor builds have", "write an IPv4 network")
    return found


def parse_opening(entry: Any) -> Opening:
    """Read an entry of `site_session_allowed_networks` or `site_build_allowed_networks`. Raises FenceError."""
    given = {"network": entry} if isinstance(entry, str) else entry
    if not isinstance(given, Mapping):
        raise FenceError(f"is {str(entry)[:60]!r}, which is neither text nor a mapping")
    unknown = sorted(str(key) for key in given if key not in KEYS)
    if unknown:
        raise FenceError(f"has the unknown key {', '.join(unknown)[:60]}", f"use {', '.join(KEYS)}")
    if ("network" in given) == ("host" in given):
        raise FenceError("names not exactly one of network and host")
    host = given.get("host", "")
    if "host" in given and not (isinstance(host, str) and HOST.fullmatch(host)):
        raise FenceError(f"{str(host)[:60]!r} is no host name", "write a name, or network with an address")
    protocol = given.get("protocol", "tcp" if given.get("ports") else "")
    if protocol not in (*PROTOCOLS, ""):
        raise FenceError(f"has the protocol {str(protocol)[:20]!r}", f"use {' or '.join(PROTOCOLS)}")
    ports = given.get("ports")
    if not isinstance(ports, (list, tuple, type(None))):
        raise FenceError(f"has the ports {str(ports)[:40]!r}", 'write a list: [443, "8000-8100"]')
    return Opening(
        _network(given["network"]) if "network" in given else None,
        host,
        tuple(parse_port(port) for port in ports or ()),
        protocol,
    )


def nft_rules(entries: Sequence[Any], prefix: str) -> tuple[list[str], dict[str, list[str]]]:
    """Write the rules that let packets to these entries through.

    Args:
        entries: as the site writes them.
        prefix: begins the names of the sets that hold the addresses of host names.

    Returns:
        Rules of nftables, one a line, and {set: [host name]}.

    Raises:
        FenceError: an entry cannot be used.
    """
    rules, sets = [], {}
    for number, entry in enumerate(entries, 1):
        opening = parse_opening(entry)
        target = str(opening.network)
        if opening.network is None:
            sets[f"{prefix}{number}"] = [opening.host]
            target = f"@{prefix}{number}"
        if opening.ports:
            spans = (str(low) if low == high else f"{low}-{high}" for low, high in opening.ports)
            rules += [f"ip daddr {target} {opening.protocol} dport {span} accept" for span in spans]
        else:
            only = f" meta l4proto {opening.protocol}" if opening.protocol else ""
            rules.append(f"ip daddr {target}{only} accept")
    return rules, sets


def parse_denied(value: Any) -> IPv4Network:
    """Read an entry of `site_guard_denied_networks`, or of `site_guard_node_port_clients`. Raises FenceError."""
    return _network(value)


def guard_enabled(site: Site) -> bool:
    """Whether the guard is wanted; where nothing is said, with the provider that enforces no policies."""
    if site.values.get("site_guard_enabled") is None:
        return site.text("site_pod_network_provider") == "routed"
    return site.flag("site_guard_enabled")


def opened_hosts(site: Site) -> list[str]:
    """Name the hosts that a site opens by name."""
    found = []
    for variable in (SESSIONS, BUILDS):
        for entry in as_list(site.values.get(variable)):
            try:
                found.append(parse_opening(entry).host)
            except FenceError:  # the rule fence-entry-malformed reports it
                continue
    return sorted({host for host in found if host})
