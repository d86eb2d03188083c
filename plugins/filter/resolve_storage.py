# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ansible's door to `storage.read_storage`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: resolve_storage
short_description: Fill in what a site says of its storage
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Gives every key of C(site_storage) a value. Nothing has to be right; what is wrong, preflight tells.
options:
  _input:
    description: The contract's C(site_storage).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show where a hub's database is
  ansible.builtin.debug:
    msg: "{{ (site_storage | ironbinder.platform.resolve_storage).database_type }}"
"""

RETURN = r"""
_value:
  description: >-
    C(kind), C(class_name), C(path), C(shared_path), C(server), C(hub_database), C(hub_database_size), C(database_type),
    C(database_class) and C(people_class).
  type: dict
"""

from dataclasses import asdict
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.storage import read_storage


def resolve_storage(data: Any) -> dict[str, Any]:
    """Give the storage with what is computed of it."""
    storage = read_storage(data)
    return {
        **asdict(storage),
        "database_type": storage.database_type,
        "database_class": storage.database_class,
        "people_class": storage.people_class,
    }


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"resolve_storage": resolve_storage}
