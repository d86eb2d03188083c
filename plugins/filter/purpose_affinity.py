# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ansible's door to `nodes.purpose_affinity`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: purpose_affinity
short_description: Say whether pods can be required to keep to nodes of their purpose
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Gives V(require) where a node is for the hubs alone and another is for sessions, V(prefer) elsewhere.
  - A node's purposes are its C(site_node_purposes) where the inventory sets them, else what
    P(ironbinder.platform.node_purposes#filter) gives.
options:
  _input:
    description: Ansible's C(groups), of which C(head) and C(workers) are read.
    type: dict
    required: true
  hostvars:
    description: Ansible's C(hostvars).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show how hubs and sessions share this cluster's nodes
  ansible.builtin.debug:
    msg: "{{ groups | ironbinder.platform.purpose_affinity(hostvars) }}"
"""

RETURN = r"""
_value:
  description: V(prefer) or V(require), as C(matchNodePurpose) of the chart.
  type: str
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.nodes import (
    NODE_GROUPS,
    node_purposes,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.nodes import (
    purpose_affinity as affinity_of,
)


def purpose_affinity(groups: Mapping[str, Sequence[str]], hostvars: Mapping[str, Mapping[str, Any]]) -> str:
    """Read each node's purposes, and judge them."""
    names = dict.fromkeys(name for group in NODE_GROUPS for name in groups.get(group) or ())
    given = {name: hostvars[name].get("site_node_purposes") for name in names}
    return affinity_of(
        node_purposes(name, groups) if purposes is None else purposes for name, purposes in given.items()
    )


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"purpose_affinity": purpose_affinity}
