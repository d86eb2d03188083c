# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ansible's door to `plugin_utils/site/certificates.py`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: certificate_problem
short_description: Say why a server could not use a certificate with a key
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Reads both, and compares their public keys and the certificate's last day.
positional: key
options:
  _input:
    description: PEM text with the certificate and its chain, leaf first.
    type: str
    required: true
  key:
    description: PEM text of the key, without a passphrase.
    type: str
    required: true
requirements:
  - The Python library cryptography on the controller.
"""

EXAMPLES = r"""
- name: Refuse a pair that does not belong together
  ansible.builtin.assert:
    that: (certificate | ironbinder.platform.certificate_problem(key)) == ''
  vars:
    certificate: "{{ lookup('ansible.builtin.file', 'site.crt') }}"
    key: "{{ lookup('ansible.builtin.file', 'site.key') }}"
"""

RETURN = r"""
_value:
  description: One sentence; empty where all is well.
  type: str
"""

import time
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.certificates import pair_problem


def certificate_problem(certificate: Any, key: Any) -> str:
    """Judge a pair by the controller's clock."""
    try:
        return pair_problem(str(certificate), str(key), time.time())
    except ImportError as error:
        raise AnsibleFilterError(f"certificate_problem: {error}") from error


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"certificate_problem": certificate_problem}
