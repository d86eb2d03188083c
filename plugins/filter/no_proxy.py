# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ansible's door to `http_proxy.no_proxy`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: no_proxy
short_description: List what a site reaches without its HTTP proxy
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Gives the site's own machines, addresses and ranges, and what the site adds.
  - Small networks are listed address by address as well, since apt, older versions of curl and git, and Python compare names
    only.
options:
  _input:
    description: C(site_no_proxy). An entry behind C(!) is taken out of the list instead.
    type: list
    elements: str
    required: true
  machines:
    description: Addresses of the site's machines by name.
    type: dict
    required: true
  pod_subnet:
    description: Range of pods.
    type: str
    required: true
  service_subnet:
    description: Range of services. Its first address is the API server's for pods.
    type: str
    required: true
  api_address:
    description: Where nodes and controller find the API server.
    type: str
    required: true
  floating_pool:
    description: The floating addresses, as C(site_floating_pool) has them.
    type: raw
    required: true
  hubs:
    description: The hubs, as the filter P(ironbinder.platform.resolve_hubs#filter) gives them.
    type: dict
    required: true
  registry_host:
    description: Host or C(host:port) of the registry.
    type: str
    required: true
  mirror_url:
    description: URL of the mirror. Empty where there is none.
    type: str
    default: ""
  public_url:
    description: Where people reach the hubs.
    type: str
    required: true
  extra_hosts:
    description: C(site_extra_hosts), names by address, which a proxy cannot look up.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Show what is reached without the proxy
  ansible.builtin.debug:
    msg: "{{ ['.example.org'] | ironbinder.platform.no_proxy(
                machines={'head1': '192.0.2.11'}, pod_subnet='10.244.0.0/16', service_subnet='10.96.0.0/12',
                api_address='192.0.2.11', floating_pool='192.0.2.101', hubs={},
                registry_host='registry.example.org:5000', public_url='https://binder.example.org') }}"
"""

RETURN = r"""
_value:
  description: Hosts, addresses, ends of names with a leading dot, and networks, each once.
  type: list
  elements: str
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site import http_proxy


def no_proxy(extra: Any, *, mirror_url: str = "", extra_hosts: Any = None, **site: Any) -> list[str]:
    """Map the errors of `http_proxy.no_proxy` to Ansible's."""
    try:
        return http_proxy.no_proxy(extra or [], mirror_url=mirror_url, extra_hosts=extra_hosts or {}, **site)
    except (TypeError, AttributeError) as error:
        raise AnsibleFilterError(f"no_proxy: {error}") from error


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"no_proxy": no_proxy}
