# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Whether an address is one of those that a list of addresses and networks means."""

from __future__ import annotations

DOCUMENTATION = r"""
name: within_networks
short_description: Ask whether a list of addresses and networks holds an address
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Knows IPv4 and IPv6. An address of one is in no network of the other.
positional: networks
options:
  _input:
    description: An address, with the zone of a link or without.
    type: str
    required: true
  networks:
    description: Addresses and networks, such as V(192.0.2.9) and V(2001:db8::/32). Any other text is an error.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Show whether an admin may come in
  ansible.builtin.debug:
    msg: "{{ '192.0.2.9' | ironbinder.platform.within_networks(['192.0.2.0/24']) }}"
"""

RETURN = r"""
_value:
  description: Whether one of them holds it.
  type: bool
"""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from ansible.errors import AnsibleFilterError


def within_networks(address: str, networks: Sequence[str]) -> bool:
    """Return whether one of `networks` holds `address`."""
    try:
        found = ip_address(str(address).partition("%")[0])
        # All of them are read, so that a wrong one shows behind the right one, too.
        known = [ip_network(str(entry)) for entry in networks]
    except ValueError as error:
        raise AnsibleFilterError(f"within_networks: {error}") from error
    return any(found in network for network in known)


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"within_networks": within_networks}
