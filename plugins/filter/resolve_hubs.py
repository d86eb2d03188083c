# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ansible's door to `resolve_hubs`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: resolve_hubs
short_description: Fill in the defaults of a site's hubs and compute their URLs
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Gives every hub its namespace, base paths, URLs, NodePort and floating address.
  - This is the one place where URLs are computed.
options:
  _input:
    description: The site's hubs by name, each a dictionary in which every key is optional.
    type: dict
    required: true
  public_url:
    description: Scheme and host of the external proxy, without a path, for hubs that name none of their own.
    type: str
    required: true
  floating_pool:
    description: Range, address or CIDR, or a list of these. The n-th hub gets the n-th address unless it names one.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Show where the hubs are
  ansible.builtin.debug:
    msg: "{{ {'binder': {}} | ironbinder.platform.resolve_hubs(public_url='https://binder.example.org',
                                                              floating_pool='192.0.2.10') }}"
"""

RETURN = r"""
_value:
  description:
    - The hubs, each with C(name), C(namespace), C(release), C(public_url), C(binder_base_url), C(hub_base_url), C(binder_url),
      C(hub_url), C(hub_url_local), C(callback_url), C(node_port), C(floating_ip), C(auth), C(values) and C(secret_values).
    - What a hub does not name of C(tls_certificate_file), C(tls_key_file), C(chart_version), C(verify), C(total_quota),
      C(per_repo_quota) and C(parallel_builds) is empty, or null, and the site's holds.
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site import hubs as _hubs


def resolve_hubs(hubs: Any, public_url: str, floating_pool: Any) -> dict[str, dict[str, Any]]:
    """Map the errors of `_hubs.resolve_hubs` to Ansible's."""
    try:
        return _hubs.resolve_hubs(hubs, public_url, floating_pool)
    except ValueError as error:
        raise AnsibleFilterError(f"resolve_hubs: {error}") from error


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"resolve_hubs": resolve_hubs}
