# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ansible's door to `registry.place`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: registry_place
short_description: Take the host and port of a registry apart
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - A port that is not named is that of the scheme, 443 or 80.
options:
  _input:
    description: Host or C(host:port).
    type: str
    required: true
  plain_http:
    description: Whether the registry speaks plain HTTP.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show the registry's port
  ansible.builtin.debug:
    msg: "{{ ('registry.example.org' | ironbinder.platform.registry_place).port }}"
"""

RETURN = r"""
_value:
  description: C(host) without a port, C(port) as a number, C(scheme), and C(url) with scheme and whatever was given.
  type: dict
"""

from dataclasses import asdict
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.registry import place


def registry_place(host: str, plain_http: bool = False) -> dict[str, Any]:
    """Give the fields of `Place`."""
    if not isinstance(host, str):
        raise AnsibleFilterError(f"registry_place: {host!r} is no text: write host or host:port")
    return asdict(place(host, plain_http))


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"registry_place": registry_place}
