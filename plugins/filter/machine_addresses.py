# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every address of a site's machines."""

from __future__ import annotations

DOCUMENTATION = r"""
name: machine_addresses
short_description: Give all IPv4 addresses of hosts
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Of each host its C(site_node_address), its C(ansible_host), and all addresses of its facts where those were gathered.
  - Loopback and bridges that pods and containers hang on are left out, so that the answer is the same in each run.
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
- name: Show where the proxies come from
  ansible.builtin.debug:
    msg: "{{ groups.proxy | ironbinder.platform.machine_addresses(hostvars) }}"
"""

RETURN = r"""
_value:
  description: Addresses, the lowest first, and names that lead to none.
  type: list
  elements: str
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site import machines


def machine_addresses(hosts: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the addresses of `hosts`."""
    return machines.machine_addresses({host: hostvars[host] for host in hosts})


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"machine_addresses": machine_addresses}
