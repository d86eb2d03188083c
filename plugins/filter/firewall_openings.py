# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What one machine of a site has to let in."""

from __future__ import annotations

DOCUMENTATION = r"""
name: firewall_openings
short_description: Give what a machine of a site has to let in
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - The list that C(docs/admin-guide.md) has as a table, for one machine.
  - Other machines are known by every address that the inventory or their facts name.
options:
  _input:
    description: Name of the machine.
    type: str
    required: true
  hostvars:
    description: Ansible's C(hostvars).
    type: dict
    required: true
  groups:
    description: Ansible's C(groups).
    type: dict
    required: true
  site:
    description: Values of the site contract, by name.
    type: dict
    required: true
  admin_networks:
    description: Addresses and networks of the controller. Empty for everybody.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Show what comes in
  ansible.builtin.debug:
    msg: "{{ inventory_hostname | ironbinder.platform.firewall_openings(hostvars, groups, site={'site_api_port': 6443}) }}"
"""

RETURN = r"""
_value:
  description: Each with C(sources), empty for everybody, C(protocol), and C(ports), empty for the whole protocol.
  type: list
  elements: dict
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.firewall_words import openings
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.flows import CONTROLLER
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.machines import machine_addresses
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.values import plain

SITE_GROUPS = ("head", "workers", "proxy", "registry")
EVERYBODY = "0.0.0.0/0"


def firewall_openings(
    host: str,
    hostvars: Mapping[str, Mapping[str, Any]],
    groups: Mapping[str, Sequence[str]],
    site: Mapping[str, Any],
    admin_networks: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Return what `host` has to let in."""
    members = {group: [str(name) for name in groups.get(group, ())] for group in SITE_GROUPS}
    model = Site.from_data({"values": plain(site), "groups": members})
    others = {name for names in members.values() for name in names} - {host}
    known = {name: machine_addresses({name: hostvars[name]}) for name in others}
    known[CONTROLLER] = [str(entry) for entry in admin_networks] or [EVERYBODY]
    told = []
    for entry in openings(model, model.hosts[host], known):
        open_to_all = EVERYBODY in entry.sources
        told.append(
            {
                **asdict(entry),
                "sources": [] if open_to_all else list(entry.sources),
                "ports": list(entry.ports),
            }
        )
    return told


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"firewall_openings": firewall_openings}
