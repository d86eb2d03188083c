# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A site's floating pool in MetalLB's words."""

from __future__ import annotations

DOCUMENTATION = r"""
name: metallb_addresses
short_description: Write a pool of addresses as MetalLB reads it
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - MetalLB wants ranges and CIDRs; a site may name single addresses too. A CIDR stays one, all else becomes a range.
  - A pool that is empty or cannot be read is an error with its remedy.
options:
  _input:
    description: Ranges (C(a-b)), single addresses and CIDRs.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Show the pool
  ansible.builtin.debug:
    msg: "{{ ['192.0.2.10', '192.0.2.16/30'] | ironbinder.platform.metallb_addresses }}"
"""

RETURN = r"""
_value:
  description: The same for C(spec.addresses) of an C(IPAddressPool), in the same order.
  type: list
  elements: str
  sample: [192.0.2.10-192.0.2.10, 192.0.2.16/30]
"""

from collections.abc import Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.pool import PoolError, parse_pool


def metallb_addresses(pool: Sequence[str]) -> list[str]:
    """Return ranges and CIDRs."""
    try:
        ranges = parse_pool(pool)
    except PoolError as error:
        raise AnsibleFilterError(
            f"metallb_address_pool: {error}. Set site_floating_pool to the addresses that MetalLB may hold, all of the "
            "nodes' network and used by nothing else"
        ) from error
    written = []
    for text, addresses in zip([pool] if isinstance(pool, str) else pool, ranges):
        low, high = addresses[0], addresses[-1]
        written.append(text.strip() if "/" in text else f"{low}-{high}")
    return written


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"metallb_addresses": metallb_addresses}
