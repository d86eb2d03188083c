# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ansible's door to `machine.apt_proxy`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: apt_proxy
short_description: Tell apt of a proxy
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Gives the text of a file for C(/etc/apt/apt.conf.d). Without a proxy it is empty.
options:
  _input:
    description: Variables of the environment, as the filter P(ironbinder.platform.proxy_environment#filter) gives them.
    type: dict
    required: true
  mark:
    description: What stands in the first line.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show what apt is told
  ansible.builtin.debug:
    msg: "{{ {'http_proxy': 'http://proxy.example.org:3128'} | ironbinder.platform.apt_proxy(mark='Managed by us') }}"
"""

RETURN = r"""
_value:
  description: The text.
  type: str
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.machine.apt_proxy import apt_configuration


def apt_proxy(environment: Mapping[str, str], mark: str) -> str:
    """Return the text of apt's configuration."""
    return apt_configuration(environment, mark)


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"apt_proxy": apt_proxy}
