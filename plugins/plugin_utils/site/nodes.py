# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the inventory says of a node: its address, and what it is for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = [
    "ADDRESS_VARIABLES",
    "CONTROL_PLANE",
    "DEDICATED",
    "NODE_GROUPS",
    "PREFER",
    "PURPOSES",
    "PURPOSE_LABEL",
    "REQUIRE",
    "WORKER_MEMORY_MB",
    "address_variable",
    "builds_on",
    "node_address",
    "node_purposes",
    "own_address",
    "purpose_affinity",
    "purpose_of",
]

NODE_GROUPS = ("head", "workers")
# What a node's address comes from, the first that is set.
ADDRESS_VARIABLES = ("site_node_address", "ansible_host")
# `core` runs the hubs, `user` runs people's sessions and builds.
PURPOSES = ("core", "user")
# A worker that runs one session of 1 GiB beside a build.
WORKER_MEMORY_MB = 1900
PURPOSE_LABEL = "hub.jupyter.org/node-purpose"
# Key of the taint that keeps a node to one purpose, and what some clouds have in its place; charts tolerate both.
# https://z2jh.jupyter.org/en/stable/administrator/optimization.html#using-available-nodes-efficiently-the-user-scheduler
DEDICATED = ("hub.jupyter.org/dedicated", "hub.jupyter.org_dedicated")
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
# How pods follow the label.
PREFER, REQUIRE = "prefer", "require"


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


def builds_on(purposes: Sequence[Any], selector: Mapping[str, Any]) -> bool:
    """Say whether builds may run on a node, which then has Docker; the contract's `site_node_builds` says the same.

    Args:
        purposes: what the node is for.
        selector: labels of the nodes that build. Others than the purpose's do not tell.
    """
    return "user" in purposes or selector.get(PURPOSE_LABEL) != "user"


def purpose_of(purposes: Sequence[Any]) -> Any:
    """Give the one value of a node's label: `user` where it has both, as sessions are the larger part; None for none."""
    return "user" if "user" in purposes else next(iter(purposes), None)


def purpose_affinity(purposes: Iterable[Sequence[Any]]) -> str:
    """Say whether pods can be required to keep to nodes of their purpose.

    Args:
        purposes: what each node of the cluster is for.

    Returns:
        `require` where a node has the label `core` and another has `user`, else `prefer`.
    """
    labels = {purpose_of(entry) for entry in purposes}
    return REQUIRE if labels >= set(PURPOSES) else PREFER
