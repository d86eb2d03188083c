# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ansible's door to `_binderhub_values.problems`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: binderhub_problems
short_description: List what keeps hubs from being released
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Gives one sentence for each problem, with its variable and remedy. No token is ever in one.
options:
  _input:
    description: The hubs, as the filter P(ironbinder.platform.resolve_hubs#filter) gives them.
    type: dict
    required: true
  registry_host:
    description: Host or C(host:port) of the registry.
    type: str
    required: true
  registry_prefix:
    description: Prefix of the images' names.
    type: str
    required: true
  chart_version:
    description: Pinned version of the chart.
    type: str
    required: true
  chart_is_path:
    description: Whether the chart is a folder or a file.
    type: bool
    default: false
  api_tokens:
    description: Tokens for the hubs' API by hub.
    type: dict
    required: true
  proxy_tokens:
    description: Tokens of the hubs' proxies by hub.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Refuse a site that cannot be released
  ansible.builtin.assert:
    that: (site_resolved_hubs | ironbinder.platform.binderhub_problems(
             registry_host='registry.example.org:5000', registry_prefix='binder/stfc-',
             chart_version='1.0.0-0.dev.git.3983.h383374de',
             api_tokens=site_hub_api_tokens, proxy_tokens=site_hub_proxy_tokens)) | length == 0
"""

RETURN = r"""
_value:
  description: The problems; empty where there is none.
  type: list
  elements: str
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site import (
    chart_values as _binderhub_values,
)


def binderhub_problems(hubs: Any, chart_is_path: bool = False, **settings: Any) -> list[str]:
    """Map the errors of `problems` to Ansible's."""
    try:
        return _binderhub_values.problems(hubs, chart_is_path=chart_is_path, **settings)
    except (TypeError, AttributeError) as error:
        raise AnsibleFilterError(f"binderhub_problems: {error}") from error


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"binderhub_problems": binderhub_problems}
