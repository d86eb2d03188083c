# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a machine has to let in, and the commands that make its own firewall do so."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, collapse_addresses, ip_address, ip_network
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.flows import (
    CONTROLLER,
    PEOPLE,
    PODS,
    flows_to,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Host,
    Site,
    parse_ip,
)

__all__ = ["KEPT_IN", "Opening", "commands", "openings"]

# Of iptables, and of nftables, ours to be found again.
COMMENT = "ironbinder"
DOCKER_BRIDGE = "docker0"
FIREWALLD_POLICY = "ironbinder-pods"
# What is permanent does nothing until then.
RELOAD = "firewall-cmd --reload"
PROTOCOL_NUMBERS = {"icmp": "1", "ipip": "4", "gre": "47", "esp": "50"}
# Where each tool's rules have to be written as well, to be there after a restart.
KEPT_IN = {
    "nftables": "what loads the table when the machine starts, such as /etc/nftables.conf",
    "iptables": "what loads the rules when the machine starts, such as netfilter-persistent save",
}


@dataclass(frozen=True)
class Opening:
    """What is let in: `sources` are addresses and networks, none for everybody; `ports` none for the whole protocol."""

    sources: tuple[str, ...]
    protocol: str
    ports: tuple[int, ...]


def _is_network(text: str) -> bool:
    try:
        return isinstance(ip_network(text), IPv4Network)
    except ValueError:  # a name that leads nowhere
        return False


def _sorted(addresses: Iterable[str]) -> tuple[str, ...]:
    def key(text: str) -> tuple[int, int, str]:
        found = parse_ip(text)
        return (0, int(ip_address(str(found))), "") if found else (1, 0, text)

    return tuple(sorted(dict.fromkeys(addresses), key=key))


def openings(site: Site, host: Host, known: Mapping[str, Sequence[str]]) -> list[Opening]:
    """Give what one machine has to let in.

    Args:
        site: the site.
        host: the machine.
        known: addresses from which others talk to it, by their name; `controller` for the controller's. Those of the inventory
            count where nothing is known.

    Returns:
        One opening for each protocol and set of sources. A source without an address is left out.
    """
    found: dict[tuple[tuple[str, ...], str], set[int]] = {}
    for flow in flows_to(site, host.name):
        sources: list[str] = []
        for source in flow.sources:
            if source == PODS:
                sources.append(site.text("site_pod_subnet"))
            elif source in (CONTROLLER, PEOPLE):
                sources += known.get(source, ())
            else:
                for other in site.members(source):
                    if other.name != host.name:
                        sources += known.get(other.name) or [other.address]
        told = () if PEOPLE in flow.sources else _sorted(text for text in sources if _is_network(text))
        if told or PEOPLE in flow.sources:
            found.setdefault((told, flow.protocol), set()).update(flow.ports)
    # What everybody may is not said of anybody again.
    return [
        Opening(sources, protocol, tuple(sorted(ports)))
        for (sources, protocol), ports in found.items()
        if not sources or not ports or not ports <= found.get(((), protocol), set())
    ]


def _braced(entries: Sequence[Any]) -> str:
    return str(entries[0]) if len(entries) == 1 else f"{{ {', '.join(map(str, entries))} }}"


def _nft(
    chain: Mapping[str, Any], let_in: Sequence[Opening], forwards: Sequence[str], builds: bool
) -> list[str]:
    """Rules at the head of the admin's own chain: its drop is final, whatever another table accepts."""
    rules = ["ct state established,related accept"]
    if chain["hook"] == "input":
        rules.append("iifname lo accept")
        for entry in let_in:
            source = f"ip saddr {_braced(entry.sources)} " if entry.sources else ""
            what = (
                f"{entry.protocol} dport {_braced(entry.ports)}"
                if entry.ports
                else f"meta l4proto {entry.protocol}"
            )
            rules.append(f"{source}{what} accept")
    else:
        for network in forwards:
            rules += [f"ip saddr {network} accept", f"ip daddr {network} accept"]
        rules += [f"iifname {DOCKER_BRIDGE} accept"] if builds and forwards else []
    place = f"{chain['family']} {chain['table']} {chain['chain']}"
    return [f"nft insert rule {place} {rule} comment {COMMENT}" for rule in rules]


def _iptables(chain: Mapping[str, Any], let_in: Sequence[Opening], forwards: Sequence[str]) -> list[str]:
    name, comment = chain["chain"], f"-m comment --comment {COMMENT} -j ACCEPT"
    rules = ["-m conntrack --ctstate ESTABLISHED,RELATED"]
    if chain["hook"] == "input":
        rules.append("-i lo")
        for entry in let_in:
            source = f"-s {','.join(entry.sources)} " if entry.sources else ""
            ports = f" -m multiport --dports {','.join(map(str, entry.ports))}" if entry.ports else ""
            rules.append(f"{source}-p {entry.protocol}{ports}")
    else:
        rules += [f"{way} {network}" for network in forwards for way in ("-s", "-d")]
    return [f"iptables -I {name} {rule} {comment}" for rule in rules]


def _together(sources: Sequence[str]) -> list[str]:
    """Tell sources by as few networks as hold them and nobody else, for tools that take one a rule."""
    networks = collapse_addresses(IPv4Network(source) for source in sources)
    return [str(network).removesuffix("/32") for network in networks]


def _ufw(let_in: Sequence[Opening]) -> list[str]:
    """Ahead of the admin's own rules, since the first that fits decides. It lets what is established and lo in by itself."""
    found = []
    for entry in let_in:
        ports = f" port {','.join(map(str, entry.ports))}" if entry.ports else ""
        # It knows few protocols by name.
        protocol = f"proto {entry.protocol} " if entry.ports else ""
        for source in _together(entry.sources) or ("any",):
            found.append(f"ufw prepend allow {protocol}from {source} to any{ports}")
    return found


def _firewalld_input(zone: str, let_in: Sequence[Opening]) -> list[str]:
    permanent = "firewall-cmd --permanent"
    found = []
    for entry in let_in:
        opened = [f'port port="{port}" protocol="{entry.protocol}"' for port in entry.ports] or [
            f'protocol value="{PROTOCOL_NUMBERS.get(entry.protocol, entry.protocol)}"'
        ]
        for source in _together(entry.sources) or ("",):
            of = f' source address="{source}"' if source else ""
            for what in opened:
                rule = f'rule family="ipv4"{of} {what} accept'
                found.append(f"{permanent} --zone={zone} --add-rich-rule={shlex.quote(rule)}")
    return [*found, RELOAD]


def _firewalld_forward(forwards: Sequence[str]) -> list[str]:
    """Pods are a source that is trusted, as the guard fences them, and a policy forwards to them from everywhere."""
    if not forwards:
        return []
    permanent = "firewall-cmd --permanent"
    return [
        *(f"{permanent} --zone=trusted --add-source={network}" for network in forwards),
        f"{permanent} --new-policy={FIREWALLD_POLICY}",
        f"{permanent} --policy={FIREWALLD_POLICY} --add-ingress-zone=ANY",
        f"{permanent} --policy={FIREWALLD_POLICY} --add-egress-zone=trusted",
        f"{permanent} --policy={FIREWALLD_POLICY} --set-target=ACCEPT",
        RELOAD,
    ]


def commands(
    chains: Iterable[Mapping[str, Any]],
    zone: str,
    let_in: Sequence[Opening],
    forwards: Sequence[str],
    builds: bool,
) -> list[str]:
    """Write the commands that open chains of one machine, in the words of the tool that keeps each.

    Args:
        chains: as `firewall_facts` tells them: tool, family, table, chain, hook.
        zone: firewalld's default zone.
        let_in: what the machine has to let in.
        forwards: networks of pods that it has to forward for, none on a machine that is no node.
        builds: whether builds run here, whose RUN steps are on Docker's bridge.

    Returns:
        Lines that root's shell takes as they are, each once. None where the tool needs none for these chains.
    """
    found: dict[str, None] = {}
    for chain in chains:
        found.update(dict.fromkeys(_of_chain(chain, zone, let_in, forwards, builds)))
    if RELOAD in found:
        found[RELOAD] = found.pop(RELOAD)
    return list(found)


def _of_chain(
    chain: Mapping[str, Any], zone: str, let_in: Sequence[Opening], forwards: Sequence[str], builds: bool
) -> list[str]:
    tool = chain["tool"]
    if tool == "firewalld":
        return _firewalld_input(zone, let_in) if chain["hook"] == "input" else _firewalld_forward(forwards)
    if tool == "ufw":
        # Pods are let through ahead of its chain, by what role pod_network adds.
        return _ufw(let_in) if chain["hook"] == "input" else []
    return _iptables(chain, let_in, forwards) if tool == "iptables" else _nft(chain, let_in, forwards, builds)
