# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ansible's door to `machine.registry_hosts.hosts_files`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: containerd_hosts
short_description: Write the hosts.toml of each registry that containerd has to know
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Gives the files below containerd's C(config_path), for registries that are reached by way of a mirror and for the site's own.
options:
  _input:
    description: Mirrors' whole base URLs by registry.
    type: dict
    required: true
  registries:
    description: The site's own registries, each with C(host) and C(plain_http_enabled). They win over a mirror.
    type: list
    elements: dict
    default: []
  ca_file:
    description: PEM file on the node with the CAs of mirrors and registries. Empty where they need none.
    type: str
    default: ""
  mark:
    description: Text in the first line of each file.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show where images come from
  ansible.builtin.debug:
    msg: "{{ {'quay.io': 'https://mirror.example.org/v2/quay.io'} | ironbinder.platform.containerd_hosts(mark='Ours') }}"
"""

RETURN = r"""
_value:
  description: Texts by name, such as C(docker.io/hosts.toml).
  type: dict
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.ironbinder.platform.plugins.plugin_utils.machine.registry_hosts import hosts_files


def containerd_hosts(
    mirrors: Mapping[str, str],
    registries: Sequence[Mapping[str, Any]] = (),
    ca_file: str = "",
    mark: str = "",
) -> dict[str, str]:
    """Map the errors of `hosts_files` to Ansible's."""
    try:
        return hosts_files(mirrors, registries, ca_file=ca_file, mark=mark)
    except (TypeError, KeyError, AttributeError) as error:
        raise AnsibleFilterError(f"containerd_hosts: {error!r} in {mirrors!r} or {registries!r}") from error


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"containerd_hosts": containerd_hosts}
