# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ansible's door to `sign_in.issuers`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: sign_in_issuers
short_description: Name the OpenID providers that are to be asked for their endpoints
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Gives the issuer of each hub on which people sign in by an OpenID provider, unless the hub names the endpoints itself.
options:
  _input:
    description: The hubs, as the filter P(ironbinder.platform.resolve_hubs#filter) gives them.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show whom the hubs ask
  ansible.builtin.debug:
    msg: "{{ site_resolved_hubs | ironbinder.platform.sign_in_issuers }}"
"""

RETURN = r"""
_value:
  description: The issuers by hub.
  type: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.sign_in import issuers


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters of this file by name."""
        return {"sign_in_issuers": issuers}
