# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ansible's door to `plugin_utils/site/registry_kinds.py`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: registry_endpoint
short_description: Say where a registry's API is, and by which names Docker knows its account and images
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Docker Hub has one name for its images, another for its API, and a third for its accounts. Other registries have one.
positional: plain_http
options:
  _input:
    description: Host or C(host:port), without a scheme, as images' names begin.
    type: str
    required: true
  plain_http:
    description: Whether the registry speaks HTTP without TLS.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show where Docker Hub is asked
  ansible.builtin.debug:
    msg: "{{ ('docker.io' | ironbinder.platform.registry_endpoint).api_url }}"
"""

RETURN = r"""
_value:
  description:
    - C(host) of the API, with the port as it was given; C(api_url), the same with its scheme; and C(image_names), how Docker's
      list begins the names of its images.
  type: dict
"""

from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site import registry_kinds


def registry_endpoint(text: Any, plain_http: Any = False) -> dict[str, str]:
    """Return {host, api_url, image_names}, all empty for no registry."""
    place = registry_kinds.endpoint(str(text), boolean(plain_http))
    told = {"host": place.host, "api_url": place.api_url, "image_names": place.image_names}
    return told if text else dict.fromkeys(told, "")


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"registry_endpoint": registry_endpoint}
