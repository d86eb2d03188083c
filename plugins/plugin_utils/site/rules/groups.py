# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about groups and hosts: who is there, once, and answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Host,
    Site,
    as_text,
    parse_ip,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.nodes import address_variable
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.spelling import closest

REQUIRED_GROUPS = {"head": "the machine that runs the control plane", "proxy": "the external NGINX"}
GROUPS = ("head", "workers", "proxy", "registry", "mirror")
EXCLUSIVE = (("head", "workers"), ("workers", "proxy"), ("head", "proxy"))


@rule("group-missing", ERROR, "The inventory lacks a group that every site needs.", acceptable=False)
def group_missing(site: Site) -> Iterator[Problem]:
    for group, what in REQUIRED_GROUPS.items():
        if group not in site.groups:
            yield Problem(
                f"there is no group {group}",
                f"add the group {group} with {what} to hosts.yml",
                f"groups.{group}",
            )


@rule("group-empty", ERROR, "A group that every site needs has no host.", acceptable=False)
def group_empty(site: Site) -> Iterator[Problem]:
    for group, what in REQUIRED_GROUPS.items():
        if group in site.groups and not site.groups[group]:
            yield Problem(f"the group {group} is empty", f"put {what} into it", f"groups.{group}")


@rule("group-misspelt", WARNING, "A group has nearly the name of one of Ironbinder's groups.")
def group_misspelt(site: Site) -> Iterator[Problem]:
    for group in site.groups:
        guess = closest(group, GROUPS) if group not in (*GROUPS, "all", "ungrouped") else ""
        if guess and guess not in site.groups:
            yield Problem(
                f"the group {group} is not used by any stage", f"did you mean {guess}?", f"groups.{group}"
            )


@rule("no-workers", WARNING, "No workers: the head runs people's sessions and builds too.")
def no_workers(site: Site) -> Iterator[Problem]:
    if site.groups.get("head") and not site.groups.get("workers"):
        yield Problem(
            "there are no workers, so a heavy session can slow the control plane down",
            "add machines to the group workers, or accept it for a small site",
            "groups.workers",
        )


@rule("host-in-exclusive-groups", ERROR, "A host is in two groups that exclude each other.")
def host_in_exclusive_groups(site: Site) -> Iterator[Problem]:
    for host in site.hosts.values():
        for first, second in EXCLUSIVE:
            if {first, second} <= host.groups:
                yield Problem(
                    f"is in {first} and in {second}",
                    "leave it in one of the two groups",
                    f"groups.{first}",
                    host.name,
                )


@rule("even-heads", ERROR, "An even number of heads.", acceptable=False)
def even_heads(site: Site) -> Iterator[Problem]:
    heads = site.groups.get("head", ())
    if heads and len(heads) % 2 == 0:
        yield Problem(
            f"the group head has {len(heads)} hosts: an even number of etcd members survives no more faults than one fewer",
            "keep one head, and make the others workers",
            "groups.head",
        )


@rule(
    "several-heads",
    ERROR,
    "More than one head: this release makes one control plane.",
    acceptable=False,
)
def several_heads(site: Site) -> Iterator[Problem]:
    heads = site.groups.get("head", ())
    if len(heads) > 1 and len(heads) % 2 == 1:
        yield Problem(
            f"the group head has {len(heads)} hosts: {', '.join(heads)}",
            "keep one head, and make the others workers",
            "groups.head",
        )


def _shared(hosts: Iterable[Host], key: Callable[[Host], str]) -> Iterator[tuple[str, list[str]]]:
    """Give every non-empty key that several hosts have, with their names."""
    holders: dict[str, list[str]] = {}
    for host in hosts:
        holders.setdefault(key(host), []).append(host.name)
    return ((value, names) for value, names in holders.items() if value and len(names) > 1)


@rule("duplicate-address", ERROR, "Two inventory names stand for one address.")
def duplicate_address(site: Site) -> Iterator[Problem]:
    def address(host: Host) -> str:
        local = host.connects_locally or host.address in ("localhost", "127.0.0.1", "::1")
        return "" if local else host.address

    for value, names in _shared(site.hosts.values(), address):
        yield Problem(
            f"{' and '.join(names)} all have the address {value}",
            "give each machine its own address; one machine in two groups is one name in both",
            address_variable(site.hosts[names[-1]].variables),
            names[-1],
        )


@rule("address-missing", ERROR, "A host has no address to reach it by yet.", acceptable=False)
def address_missing(site: Site) -> Iterator[Problem]:
    for host in site.hosts.values():
        if not host.address:
            yield Problem("has no address", "fill in ansible_host in hosts.yml", "ansible_host", host.name)


@rule("node-address-unusable", ERROR, "A node's address cannot be used by other nodes.")
def node_address_unusable(site: Site) -> Iterator[Problem]:
    for host in site.nodes:
        address = parse_ip(host.address)
        if address and (
            address.is_loopback or address.is_unspecified or address.is_multicast or address.is_link_local
        ):
            yield Problem(
                f"has the address {address}, which other machines cannot use",
                "set site_node_address to its address on the nodes' network",
                "site_node_address",
                host.name,
            )


@rule("duplicate-hostname", ERROR, "Two machines have one hostname.")
def duplicate_hostname(site: Site) -> Iterator[Problem]:
    for value, names in _shared(site.seen(*GROUPS), lambda host: as_text(host.facts.get("hostname")).lower()):
        yield Problem(
            f"{' and '.join(names)} all call themselves {value}",
            "give each machine its own name: hostnamectl set-hostname NAME",
            "",
            names[-1],
        )


@rule("duplicate-machine-id", ERROR, "Two machines have one machine-id, as clones do.")
def duplicate_machine_id(site: Site) -> Iterator[Problem]:
    for value, names in _shared(site.seen(*GROUPS), lambda host: as_text(host.probe.get("machine_id"))):
        yield Problem(
            f"{' and '.join(names)} share the machine-id {value[:8]}...",
            "on the clone: rm /etc/machine-id && systemd-machine-id-setup, then reboot",
            "",
            names[-1],
        )
