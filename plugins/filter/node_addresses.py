# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The addresses of a site's nodes."""

from __future__ import annotations

DOCUMENTATION = r"""
name: node_addresses
short_description: Give the address of every node
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - A node's address is its C(site_node_address) where the inventory sets one, else its C(ansible_host), else its name.
  - A C(ansible_host) that was left empty is an address still to be filled in, and gives an empty text.
  - A name is resolved once in a run, on the controller.
  - Of several hosts all is looked for once in a run, where no address is a template.
options:
  _input:
    description: Names of hosts.
    type: list
    elements: str
    required: true
  hostvars:
    description: Ansible's C(hostvars).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the addresses
  ansible.builtin.debug:
    msg: "{{ groups.head | ironbinder.platform.node_addresses(hostvars) }}"
"""

RETURN = r"""
_value:
  description: Addresses by host name, in the order of the input.
  type: dict
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.once import addresses_once


def node_addresses(hosts: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return {host: address} for `hosts`."""
    return addresses_once(hosts, hostvars)


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"node_addresses": node_addresses}
