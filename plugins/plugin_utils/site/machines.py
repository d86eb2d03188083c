# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every address that a machine of the site is known to have: the inventory's, and those of its facts. And what hangs on one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Address
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    as_list,
    as_mapping,
    as_text,
    parse_ip,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.nodes import ADDRESS_VARIABLES
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.resolve import (
    resolve_names,
    resolved_nodes,
)

__all__ = ["ETHERNET_MTU", "interface_mtu", "machine_addresses"]

# Where nothing better is known.
ETHERNET_MTU = 1500

# What pods and containers hang on comes and goes with them, and so after the first run. Its addresses are the ranges of
# pods, or of Docker. kube-proxy's own holds addresses of services.
OF_PODS = re.compile(
    r"cni.*|docker.*|br-[0-9a-f]{12}|veth.*|cali.*|vxlan\.calico|tunl.*|flannel.*|kube-.*|nodelocaldns"
)


def _interface(facts: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Give what is known of an interface, whose fact has _ in place of what a variable's name cannot have."""
    return as_mapping(facts.get(re.sub(r"[-:.]", "_", name)))


def _of_interface(facts: Mapping[str, Any], name: str) -> list[str]:
    told = _interface(facts, name)
    entries = [told.get("ipv4"), *as_list(told.get("ipv4_secondaries"))]
    return [as_text(as_mapping(entry).get("address")) for entry in entries]


def _of_facts(facts: Mapping[str, Any]) -> list[str]:
    names = [as_text(name) for name in as_list(facts.get("interfaces"))]
    passed = {address for name in names if OF_PODS.fullmatch(name) for address in _of_interface(facts, name)}
    return [
        text for text in map(as_text, as_list(facts.get("all_ipv4_addresses"))) if text and text not in passed
    ]


def _of_inventory(machines: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Its own address, and the one that Ansible reaches it at; a name that only SSH knows is not asked for on the nodes."""
    reached = [as_text(variables.get(ADDRESS_VARIABLES[-1])).strip() for variables in machines.values()]
    answers = resolve_names(reached)
    return [
        *resolved_nodes(machines).values(),
        *(answers[text].address if text in answers else text for text in reached),
    ]


def machine_addresses(machines: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Give all IPv4 addresses of machines, and names of those that lead to none here.

    Args:
        machines: variables of each, by name. Of `ansible_facts` its addresses are read, where facts were gathered.

    Returns:
        The addresses, the lowest first, then the names: the same in each run. No loopback, and nothing that hangs on pods.
    """
    texts = _of_inventory(machines)
    for variables in machines.values():
        facts = variables.get("ansible_facts")
        # Not as_mapping, which would have Ansible look at each fact of each machine.
        texts += _of_facts(facts) if isinstance(facts, Mapping) else []
    told = {text: parse_ip(text) for text in texts if text}
    addresses = sorted(
        {found for found in told.values() if isinstance(found, IPv4Address) and not found.is_loopback}
    )
    return [*map(str, addresses), *sorted(text for text, found in told.items() if found is None)]


def interface_mtu(facts: Mapping[str, Any], address: str) -> int:
    """Give the largest packet, in bytes, of the interface that holds an address.

    That is the way by which packets without an overlay go from node to node. The interface of the default route may be another
    one: a management network, or jumbo frames for storage.

    Args:
        facts: Ansible's facts of the machine.
        address: IPv4 address of the machine.

    Returns:
        Its MTU; of an address that no interface holds, as where it is translated on the way, the default route's, and 1500
        where that is not known either.
    """
    wanted = parse_ip(address)
    for name in map(as_text, as_list(facts.get("interfaces"))):
        mtu = _interface(facts, name).get("mtu")
        if wanted and mtu and wanted in map(parse_ip, filter(None, _of_interface(facts, name))):
            return int(mtu)
    return int(as_mapping(facts.get("default_ipv4")).get("mtu") or ETHERNET_MTU)
