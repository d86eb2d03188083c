# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ansible's door to `fences.nft_rules`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: guard_rules
short_description: Write the rules of nftables that open networks for sessions or builds
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Turns entries such as C(site_session_allowed_networks) into rules. A host name becomes a set, which is filled on the node.
options:
  _input:
    description: >-
      Addresses and networks, or mappings with C(network) or C(host), C(ports) and C(protocol).
    type: list
    elements: raw
    required: true
  prefix:
    description: Begins the names of the sets.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show what is opened for sessions
  ansible.builtin.debug:
    msg: "{{ [{'host': 'git.example.org', 'ports': [443]}] | ironbinder.platform.guard_rules(prefix='session_host_') }}"
"""

RETURN = r"""
_value:
  description: C(rules), one a line, and C(sets), the host names of each set.
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.fences import FenceError, nft_rules


def guard_rules(entries: Any, prefix: str) -> dict[str, Any]:
    """Map the errors of `nft_rules` to Ansible's."""
    try:
        rules, sets = nft_rules(entries, prefix)
    except FenceError as error:
        raise AnsibleFilterError(f"guard_rules: {error}") from error
    return {"rules": rules, "sets": sets}


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"guard_rules": guard_rules}
