# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The largest packet on the way from node to node."""

from __future__ import annotations

DOCUMENTATION = r"""
name: interface_mtu
short_description: Give the MTU of the interface that holds an address
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Of an address that no interface holds, the MTU of the default route's, and 1500 where that is not known either.
options:
  _input:
    description: Ansible's facts of a machine.
    type: dict
    required: true
  address:
    description: IPv4 address of the machine.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show how large a packet to another node may be
  ansible.builtin.debug:
    msg: "{{ ansible_facts | ironbinder.platform.interface_mtu(site_node_address) }}"
"""

RETURN = r"""
_value:
  description: The MTU in bytes.
  type: int
"""

from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.machines import interface_mtu


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"interface_mtu": interface_mtu}
