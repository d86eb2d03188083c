# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the inventory says of a node: its address, and what it is for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "ADDRESS_VARIABLES",
    "NODE_GROUPS",
    "PURPOSES",
    "WORKER_MEMORY_MB",
    "address_variable",
    "node_address",
    "node_purposes",
    "own_address",
]

NODE_GROUPS = ("head", "workers")
# What a node's address comes from, the first that is set.
ADDRESS_VARIABLES = ("site_node_address", "ansible_host")
# `core` runs the hubs, `user` runs people's sessions and builds.
PURPOSES = ("core", "user")
# A worker that runs one session of 1 GiB beside a build.
WORKER_MEMORY_MB = 1900


def node_address(variables: Mapping[str, Any], name: str) -> str:
    """Give the address at which other nodes reach a host.

    Args:
        variables: the host's, computed.
        name: its name in the inventory.

    Returns:
        Its `site_node_address`, else its `ansible_host`, else its name. An `ansible_host` that was left
        empty is an address still to be filled in, and not the name: then ``.
    """
    if own_address(variables):
        return own_address(variables)
    reached = variables.get("ansible_host")
    return name if reached is None else str(reached).strip()


def address_variable(variables: Mapping[str, Any]) -> str:
    """Name the variable that a node's address comes from, or would."""
    return ADDRESS_VARIABLES[0] if own_address(variables) else ADDRESS_VARIABLES[1]


def own_address(variables: Mapping[str, Any]) -> str:
    """Give the address that the inventory says other nodes use, `` where it leaves that open."""
    own = variables.get("site_node_address")
    return "" if own is None else str(own).strip()


def node_purposes(name: str, groups: Mapping[str, Sequence[str]]) -> list[str]:
    """Give what a node is for unless the inventory says otherwise: without workers the head does everything."""
    if not groups.get("workers"):
        return list(PURPOSES)
    return ["core"] if name in groups.get("head", ()) else ["user"]
