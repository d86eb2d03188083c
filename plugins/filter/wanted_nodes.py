# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Labels and taints of a site's nodes."""

from __future__ import annotations

DOCUMENTATION = r"""
name: wanted_nodes
short_description: Give the labels and taints that every node of a site is to have
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - A node's purposes are its C(site_node_purposes) where the inventory sets them. Else the head has the purpose V(core) and a
    worker V(user); without workers the head has both.
  - The label C(hub.jupyter.org/node-purpose) has one value. A node for both is a user node, because sessions are the larger part,
    and core pods, which only prefer core nodes, go there all the same.
  - A head that is no user node has the taint of control planes, and no other head has it.
  - With O(user_nodes_tainted), nodes that are for users alone have the taint C(hub.jupyter.org/dedicated=user:NoSchedule), which
    sessions and builds tolerate. Without it no user node has a taint of this key and effect; other nodes keep theirs.
options:
  _input:
    description: Ansible's C(groups), of which C(head) and C(workers) are read.
    type: dict
    required: true
  hostvars:
    description: Ansible's C(hostvars).
    type: dict
    required: true
  user_nodes_tainted:
    description: Keep everything but sessions and builds off the nodes that are for users alone.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Label the nodes and wait for them
  ironbinder.platform.cluster_nodes:
    nodes: "{{ groups | ironbinder.platform.wanted_nodes(hostvars) }}"
    kubeconfig: inventories/stfc/.kube/config
"""

RETURN = r"""
_value:
  description: The nodes as M(ironbinder.platform.cluster_nodes) takes them, heads first.
  type: list
  elements: dict
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.nodes import (
    CONTROL_PLANE,
    DEDICATED,
    NODE_GROUPS,
    PURPOSE_LABEL,
    node_purposes,
    purpose_of,
)

CONTROL_PLANE_TAINT = {"key": CONTROL_PLANE, "effect": "NoSchedule"}
USER_TAINT = {"key": DEDICATED[0], "value": "user", "effect": "NoSchedule"}


def _state(present: bool) -> dict[str, str]:
    return {"state": "present" if present else "absent"}


def wanted_nodes(
    groups: Mapping[str, Sequence[str]],
    hostvars: Mapping[str, Mapping[str, Any]],
    user_nodes_tainted: bool = False,
) -> list[dict[str, Any]]:
    """Return what the module `cluster_nodes` takes."""
    found = []
    for name in dict.fromkeys(name for group in NODE_GROUPS for name in groups.get(group) or ()):
        given = hostvars[name].get("site_node_purposes")
        purposes = node_purposes(name, groups) if given is None else given
        label = purpose_of(purposes)
        taints = []
        # Whoever keeps other nodes to one purpose has the same key there, and keeps it.
        if label == "user":
            taints.append({**USER_TAINT, **_state(user_nodes_tainted and "core" not in purposes)})
        if name in (groups.get("head") or ()):
            taints.append({**CONTROL_PLANE_TAINT, **_state(label != "user")})
        found.append({"name": name, "labels": {PURPOSE_LABEL: label}, "taints": taints})
    return found


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"wanted_nodes": wanted_nodes}
