# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ansible's door to `plugin_utils/site/proxy_servers.py`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: proxy_servers
short_description: Group a site's hubs by the host name that people come to
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Gives one entry for each name under which the external NGINX answers, the site's own first.
options:
  _input:
    description: The hubs, as the filter P(ironbinder.platform.resolve_hubs#filter) gives them.
    type: dict
    required: true
  public_url:
    description: Scheme and host of the external proxy, for hubs without a public URL of their own.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show the names under which NGINX answers
  ansible.builtin.debug:
    msg: "{{ site_resolved_hubs | ironbinder.platform.proxy_servers(public_url='https://binder.example.org') }}"
"""

RETURN = r"""
_value:
  description:
    - Each with C(host), C(url), C(hubs), their names, C(own), whether it is another name than the site's, and C(certificate_of),
      the hub whose certificate it shows, empty for the site's; C(paths), all that it answers, and C(logs), the beginnings of
      the names of their log files.
  type: list
  elements: dict
"""

from dataclasses import asdict
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site import proxy_servers as _servers


def proxy_servers(hubs: Any, public_url: str) -> list[dict[str, Any]]:
    """Map the errors of `_servers.proxy_servers` to Ansible's."""
    try:
        return [_plain(asdict(server)) for server in _servers.proxy_servers(hubs, public_url)]
    except (AttributeError, TypeError) as error:
        raise AnsibleFilterError(f"proxy_servers: {error}") from error


def _plain(server: dict[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in server.items()}


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"proxy_servers": proxy_servers}
