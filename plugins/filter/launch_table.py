# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ansible's door to `launch_table`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: launch_table
short_description: Show the proofs of several hubs side by side
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Gives one line for each hub, with its phases, or with the cause where it has no proof.
options:
  _input:
    description: Names of the hubs.
    type: list
    elements: str
    required: true
  health:
    description: Results of M(ironbinder.platform.binderhub_health), from a loop over these names.
    type: list
    elements: dict
    required: true
  launches:
    description: Results of M(ironbinder.platform.binder_launch), likewise.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what came of each hub
  ansible.builtin.debug:
    msg: "{{ ['binder', 'private'] | ironbinder.platform.launch_table(health=health.results, launches=launches.results) }}"
"""

RETURN = r"""
_value:
  description: A title, and a line for each hub.
  type: str
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site import launch_table as _table


def launch_table(hubs: Any, health: Any, launches: Any) -> str:
    """Map the errors of `_table.launch_table` to Ansible's."""
    try:
        return _table.launch_table(hubs, health, launches)
    except (AttributeError, TypeError) as error:
        raise AnsibleFilterError(f"launch_table: {error}") from error


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"launch_table": launch_table}
