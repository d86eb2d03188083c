# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ansible's door to `http_proxy.openings`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: proxy_openings
short_description: Give what the guard has to open so that builds reach a proxy
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Gives entries of the form of C(site_build_allowed_networks), one for each host and port.
options:
  _input:
    description: URLs of proxies, empty ones among them.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Show what is opened
  ansible.builtin.debug:
    msg: "{{ ['http://proxy.example.org:3128'] | ironbinder.platform.proxy_openings }}"
"""

RETURN = r"""
_value:
  description: The entries, without accounts.
  type: list
  elements: dict
"""

from collections.abc import Sequence
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.http_proxy import openings


def proxy_openings(proxies: Sequence[Any]) -> list[dict[str, Any]]:
    """Return what has to be open."""
    return openings(*proxies)


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"proxy_openings": proxy_openings}
