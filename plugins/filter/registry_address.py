# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ansible's door to `plugin_utils/site/registry.py`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: registry_address
short_description: Split a registry's address into host and port
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Knows names, IPv4 addresses, and IPv6 addresses in brackets, each with or without a port.
positional: plain_http
options:
  _input:
    description: Host or C(host:port), without a scheme.
    type: str
    required: true
  plain_http:
    description: Whether the registry speaks HTTP without TLS. Decides about the port where none is given.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show the port of a registry
  ansible.builtin.debug:
    msg: "{{ ('[2001:db8::1]:5000' | ironbinder.platform.registry_address).port }}"
"""

RETURN = r"""
_value:
  description:
    - C(host), an IPv6 address without its brackets, and C(port), a number, by default 443, or 80 for plain HTTP.
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site import registry


def registry_address(text: Any, plain_http: Any = False) -> dict[str, Any]:
    """Return {host, port}."""
    try:
        host, port = registry.registry_address(str(text), boolean(plain_http))
    except (registry.RegistryAddressError, TypeError) as error:
        raise AnsibleFilterError(f"registry_address: {error}") from error
    return {"host": host, "port": port}


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"registry_address": registry_address}
