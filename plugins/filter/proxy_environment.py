# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ansible's door to `http_proxy.environment`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: proxy_environment
short_description: Give the variables of the environment that name a proxy
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - C(http_proxy), C(https_proxy) and C(no_proxy), in lower and in upper case, as programs read the one or the other.
options:
  _input:
    description: What is reached without the proxy, as the filter P(ironbinder.platform.no_proxy#filter) lists it.
    type: list
    elements: str
    required: true
  http:
    description: URL of the proxy for C(http://). Empty for none.
    type: str
    default: ""
  https:
    description: URL of the proxy for C(https://). Empty for none.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Show the variables
  ansible.builtin.debug:
    msg: "{{ ['localhost'] | ironbinder.platform.proxy_environment(http='http://proxy.example.org:3128') }}"
"""

RETURN = r"""
_value:
  description: Values by variable. Empty without a proxy.
  type: dict
"""

from collections.abc import Sequence
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.http_proxy import environment


def proxy_environment(direct: Sequence[str], http: str = "", https: str = "") -> dict[str, str]:
    """Return the variables by name."""
    return environment(http or "", https or "", direct)


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"proxy_environment": proxy_environment}
