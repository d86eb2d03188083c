# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the sets of the table have to hold: what the site says, names looked up, and what this machine is connected to."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, collapse_addresses, summarize_address_range
from pathlib import Path
from typing import Any, Optional

from ironbinder_guard.config import Config
from ironbinder_guard.records import read_json, write_json

# A name server that shares load gives other addresses each time, and pods keep the old ones for a while.
ADDRESS_LIVES_SECONDS = 3600
# Docker names the bridges of its networks after their ids. Any other br-* is the machine's own.
DOCKER_BRIDGE = re.compile(r"br-[0-9a-f]{12}")
RESOLV_CONF = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")
DAEMON_JSON = "/etc/docker/daemon.json"


def networks(text: str) -> Optional[list[IPv4Network]]:
    """Read an address, a network or "first-last"; None for a host name."""
    first, dash, last = (part.strip() for part in text.partition("-"))
    try:
        if dash:
            return list(summarize_address_range(IPv4Address(first), IPv4Address(last)))
        return [IPv4Network(text.strip(), strict=False)]
    except ValueError:
        return None


def written(found: Iterable[IPv4Network]) -> list[str]:
    """Write networks as nft lists them: no overlap, the lowest first, an address without its /32."""
    return [
        str(entry.network_address if entry.prefixlen == 32 else entry)
        for entry in sorted(collapse_addresses(found))
    ]


def connected(text: str) -> list[IPv4Network]:
    """Give the networks that this machine is on, from /proc/net/route: what it reaches without a gateway."""
    found = []
    for line in text.splitlines()[1:]:
        parts = line.split()
        if len(parts) > 7 and int(parts[2], 16) == 0 and int(parts[7], 16):
            target, mask = (
                IPv4Address(int.from_bytes(bytes.fromhex(parts[place]), "little")) for place in (1, 7)
            )
            found.append(IPv4Network(f"{target}/{mask}"))
    return found


def nameservers(resolv_confs: Iterable[str], daemon_json: str) -> list[IPv4Network]:
    """Give the name servers that Docker hands to containers: its own, else the first file's that are not on loopback."""
    try:
        told = json.loads(daemon_json or "{}").get("dns") or []
    except (ValueError, AttributeError):
        told = []
    found = [entry for text in told if isinstance(text, str) for entry in networks(text) or []]
    for text in resolv_confs:
        servers = re.findall(r"(?m)^\s*nameserver\s+([0-9.]+)\s*$", text)
        usable = [entry for server in servers for entry in networks(server) or [] if not entry.is_loopback]
        if usable:
            return found + usable
    return found


def docker_bridge() -> str:
    """Name the bridge that Docker is told to use, `` where it makes its own."""
    try:
        told = json.loads(_text(DAEMON_JSON) or "{}").get("bridge")
    except (ValueError, AttributeError):
        return ""
    return told if isinstance(told, str) else ""


def _text(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def _ask(name: str) -> list[str]:
    try:
        return [
            str(entry[4][0]) for entry in socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_STREAM)
        ]
    except OSError:
        return []


class Names:
    """Addresses of host names, remembered for an hour."""

    def __init__(self, path: str, ask: Callable[[str], list[str]] = _ask) -> None:
        self.path = path
        self.ask = ask
        self.unwritten: Optional[dict[str, dict[str, float]]] = None

    def known(self, name: str) -> list[IPv4Network]:
        """Give what is remembered."""
        return [IPv4Network(address) for address in self._all().get(name, {})]

    def look_up(self, names: Iterable[str], now: Optional[float] = None) -> None:
        """Ask for all names and remember. A name that does not resolve keeps what it has."""
        moment = time.time() if now is None else now
        before, after = self._all(), {}
        for name in names:
            # /etc/hosts of a machine names the machine itself so: what nobody else means by it.
            told = (address for address in self.ask(name) if not IPv4Address(address).is_loopback)
            fresh = dict.fromkeys(told, moment)
            # Where nobody answers, an old address is better than none.
            kept = {
                address: seen
                for address, seen in before.get(name, {}).items()
                if not fresh or moment - seen < ADDRESS_LIVES_SECONDS
            }
            after[name] = {**kept, **fresh}
        if after != before:
            # In memory first: a full /run is no reason to forget.
            self.unwritten = after
            write_json(self.path, after)
            self.unwritten = None

    def _all(self) -> dict[str, dict[str, float]]:
        found = self.unwritten or read_json(self.path)
        return found if isinstance(found, dict) else {}


def host_names(config: Config) -> list[str]:
    """Name what the sets have by name."""
    return sorted({entry for told in config.sets.values() for entry in told if networks(entry) is None})


def wanted_sets(config: Config, names: Names, hub_api: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Give the elements of every set of the table, written as nft lists them.

    Args:
        config: what the site says.
        names: addresses of host names.
        hub_api: addresses of the service `hub`, by namespace.
    """
    found = {
        name: [entry for text in told for entry in networks(text) or names.known(text)]
        for name, told in config.sets.items()
    }
    found["internal"] = found.get("internal", []) + connected(_text("/proc/net/route"))
    found["nameservers"] = nameservers(map(_text, RESOLV_CONF), _text(DAEMON_JSON))
    # kubeadm gives the cluster's name server the tenth address.
    found["cluster_dns"] = [IPv4Network(IPv4Network(config.service_subnet)[10])]
    for namespace, hub in config.hubs.items():
        found[f"hub_api_{hub.name}"] = [
            entry for text in hub_api.get(namespace, []) for entry in networks(text) or []
        ]
    sets = {name: written(told) for name, told in found.items()}
    links = [
        path.name for path in Path("/sys/class/net").glob("br-*") if not DOCKER_BRIDGE.fullmatch(path.name)
    ]
    return {**sets, "own_bridges": sorted(f'"{name}"' for name in links)}


def listed(elements: Iterable[Any]) -> list[str]:
    """Write a set's elements, as nft's JSON has them, the way `wanted_sets` does."""
    found, others = [], []
    for entry in elements:
        if isinstance(entry, dict) and "prefix" in entry:
            text = f"{entry['prefix']['addr']}/{entry['prefix']['len']}"
        elif isinstance(entry, dict) and "range" in entry:
            text = "-".join(entry["range"])
        else:
            text = str(entry)
        known = networks(text)
        if known is None:
            others.append(f'"{text}"')
        else:
            found += known
    return written(found) + sorted(others)
