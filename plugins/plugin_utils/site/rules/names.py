# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about what nodes are called and where they are found: their names, addresses and name servers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from ipaddress import IPv4Address, ip_interface

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Host,
    Site,
    as_list,
    as_mapping,
    as_text,
    parse_ip,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.nodes import own_address
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule

# A node's name is a DNS-1123 subdomain, https://kubernetes.io/docs/concepts/architecture/nodes/#node-name-uniqueness,
# and the value of its label kubernetes.io/hostname, which has 63 characters at most.
NODE_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
NAME_LENGTH = 63


def _better(name: str) -> str:
    """The nearest name that Kubernetes takes."""
    labels = re.sub(r"[^a-z0-9.-]", "-", name.lower())[:NAME_LENGTH].split(".")
    return ".".join(label.strip("-") for label in labels if label.strip("-")) or "worker1"


@rule("node-name-malformed", ERROR, "A node's name is none that Kubernetes takes.", acceptable=False)
def node_name_malformed(site: Site) -> Iterator[Problem]:
    for host in site.nodes:
        if not NODE_NAME.fullmatch(host.name) or len(host.name) > NAME_LENGTH:
            yield Problem(
                "the node would get this name, and Kubernetes takes lower-case letters, digits, hyphens and dots only, "
                f"{NAME_LENGTH} characters at most",
                f"rename it in hosts.yml, such as {_better(host.name)}",
                "inventory_hostname",
                host.name,
            )


@rule(
    "node-address-unresolved",
    ERROR,
    "A node's name leads the controller to no IPv4 address.",
    acceptable=False,
)
def node_address_unresolved(site: Site) -> Iterator[Problem]:
    for host in site.nodes:
        fault = as_text(host.resolved.get("error"))
        if fault:
            yield Problem(
                f"is {host.address[:80]}, which gives the controller no address for the nodes: {fault[:120]}",
                "put the name into DNS or the controller's /etc/hosts, or set site_node_address of this host",
                "ansible_host",
                host.name,
            )


@rule("node-address-is-a-name", ERROR, "A node's site_node_address is a name.", acceptable=False)
def node_address_is_a_name(site: Site) -> Iterator[Problem]:
    for host in site.nodes:
        text = own_address(host.variables)
        if text and parse_ip(text) is None:
            known = ", ".join(str(address) for address in _addresses(host) if not address.is_loopback)
            yield Problem(
                f"is {text[:80]!r}, and kubelets, routes and /etc/hosts need an address",
                f"write the address itself{f', one of {known}' if known else ''}; only ansible_host may be a name",
                "site_node_address",
                host.name,
            )


def _addresses(host: Host) -> list[IPv4Address]:
    """Every IPv4 address of the machine, on whatever interface."""
    found = []
    for entry in as_list(host.facts.get("interfaces")):
        try:
            address = ip_interface(as_text(as_mapping(entry).get("cidr"))).ip
        except ValueError:
            continue
        if isinstance(address, IPv4Address):
            found.append(address)
    return found


@rule(
    "node-address-not-its-own",
    ERROR,
    "A node's address is on none of the machine's interfaces.",
    acceptable=False,
)
def node_address_not_its_own(site: Site) -> Iterator[Problem]:
    holders = Counter(host.address for host in site.hosts.values())
    for host in site.seen("head", "workers"):
        address, own = parse_ip(host.address), _addresses(host)
        # An address that two hosts claim is duplicate-address's, a loopback one node-address-unusable's.
        if not isinstance(address, IPv4Address) or holders[host.address] > 1 or address.is_loopback:
            continue
        real = [entry for entry in own if not entry.is_loopback]
        if real and address not in own:
            given = "" if own_address(host.variables) else as_text(host.variables.get("ansible_host"))
            told = f"{given[:80]} is {address}, which" if given and given != host.address else f"{address}"
            yield Problem(
                f"{told} is not on the machine; it has {', '.join(map(str, real))}",
                f"set site_node_address of this host to the one that other nodes reach, such as {real[0]}",
                "site_node_address",
                host.name,
            )


@rule(
    "resolver-loopback-only",
    ERROR,
    "A machine's name servers are the machine itself, which pods cannot reach.",
)
def resolver_loopback_only(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers"):
        told = as_mapping(host.probe.get("resolver"))
        # The kubelet of a node that has joined was told once where to look.
        if told.get("loopback") is True and told.get("usable") is False and not host.joined:
            yield Problem(
                "/etc/resolv.conf names servers on the machine itself, and no other file names one that pods can reach",
                "name a server that others reach in /etc/resolv.conf, or in /run/systemd/resolve/resolv.conf by way of "
                "systemd-resolved",
                "",
                host.name,
            )
