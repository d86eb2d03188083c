# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The address of a node that is reached by name."""

from __future__ import annotations

DOCUMENTATION = r"""
name: resolved_address
short_description: Give the address that a name leads to
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Asks for a name once in a run, on the controller, so that everybody in the run gets the same address.
  - Of several IPv4 addresses it gives the lowest, as name servers change their order.
  - Gives an address as it is, and a name that leads to no IPv4 address too. The stage preflight reports that one.
options:
  _input:
    description: A name or an address.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show the address
  ansible.builtin.debug:
    msg: "{{ ansible_host | ironbinder.platform.resolved_address }}"
"""

RETURN = r"""
_value:
  description: An address, or the name where there is none.
  type: str
"""

from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site import resolve as _resolve


def resolved_address(text: Any) -> str:
    """Give the address of `text`."""
    return _resolve.resolved_address(str(text).strip())


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"resolved_address": resolved_address}
