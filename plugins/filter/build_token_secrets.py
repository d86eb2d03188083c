# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ansible's door to what BinderHub signs build tokens with."""

from __future__ import annotations

DOCUMENTATION = r"""
name: build_token_secrets
short_description: Say what the BinderHub of each hub signs build tokens with
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - For launches that do not count for BinderHub's limit of requests an hour. Hubs where people sign in have none of it, and are
    left out, as are those whose own C(values) say something of it.
positional: api_tokens, given
options:
  _input:
    description: Hubs, as P(ironbinder.platform.resolve_hubs#filter) gives them.
    type: dict
    required: true
  api_tokens:
    description: What each BinderHub shows to its hub, by hub.
    type: dict
    required: true
  given:
    description: The site's own secrets for it, by hub.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Launch as often as one likes
  ironbinder.platform.binder_launch:
    url: "{{ site_resolved_hubs.binder.binder_url }}"
    provider: gh
    spec: binder-examples/requirements/HEAD
    build_token_secret: "{{ (site_resolved_hubs | ironbinder.platform.build_token_secrets(site_hub_api_tokens)).binder }}"
"""

RETURN = r"""
_value:
  description: Hexadecimal digits by hub.
  type: dict
"""

from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.chart_values import (
    build_token_secret_of,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import as_mapping, as_text
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.sign_in import signs_in


def build_token_secrets(hubs: Any, api_tokens: Any, given: Any = None) -> dict[str, str]:
    """Return the secret of each hub where nobody signs in."""
    found = {}
    for name, hub in as_mapping(hubs).items():
        token, own = as_text(as_mapping(api_tokens).get(name)), as_text(as_mapping(given).get(name))
        if token and not signs_in(as_mapping(hub)):
            found[name] = build_token_secret_of(as_mapping(as_mapping(hub).get("values")), token, own)
    return {name: secret for name, secret in found.items() if secret}


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"build_token_secrets": build_token_secrets}
