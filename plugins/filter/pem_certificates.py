# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ansible's door to `machine.pem.certificates`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: pem_certificates
short_description: Split PEM text into its certificates
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Gives each certificate once, with its first and last line. What else stands in the text is left out.
options:
  _input:
    description: Text of one PEM file or of several.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Count the site's CAs
  ansible.builtin.debug:
    msg: "{{ lookup('ansible.builtin.file', 'site-ca.pem') | ironbinder.platform.pem_certificates | length }}"
"""

RETURN = r"""
_value:
  description: Certificates in the order of the text.
  type: list
  elements: str
"""

from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.machine.pem import certificates


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"pem_certificates": certificates}
