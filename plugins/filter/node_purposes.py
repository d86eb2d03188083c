# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ansible's door to `nodes.node_purposes`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: node_purposes
short_description: Give what a node is for
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - The head runs the hubs (C(core)), the workers run people's sessions and builds (C(user)). On a cluster without workers the
    head does both.
options:
  _input:
    description: Name of a host.
    type: str
    required: true
  groups:
    description: Ansible's C(groups).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what this node is for
  ansible.builtin.debug:
    msg: "{{ inventory_hostname | ironbinder.platform.node_purposes(groups) }}"
"""

RETURN = r"""
_value:
  description: C(core), C(user), or both.
  type: list
  elements: str
"""

from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.nodes import node_purposes


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"node_purposes": node_purposes}
