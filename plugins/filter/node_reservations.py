# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ansible's door to `reservations`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: node_reservations
short_description: Divide a node between pods, builds and itself
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Gives what the kubelet has to keep back, and what builds may take, from what a machine has.
options:
  _input:
    description: C(memory_bytes), C(cpus) and C(disk_bytes), as M(ironbinder.platform.machine_limits_info) tells them.
    type: dict
    required: true
  builds_here:
    description: Whether this node builds. Nothing is set aside for builds where it does not.
    type: bool
    default: true
  builds_memory_mib:
    description: Memory of all builds of the node together. 0 for what its size suggests, as in the options below.
    type: int
    default: 0
  builds_cpu_percent:
    description: Processor time of all builds together, of all processors.
    type: int
    default: 0
  builds_tasks:
    description: Processes and threads of all builds together.
    type: int
    default: 0
  build_cache_gib:
    description: Size of Docker's build cache.
    type: int
    default: 0
  image_gc_high_percent:
    description: Fill of the disk at which the kubelet begins to remove images.
    type: int
    default: 80
  image_gc_low_percent:
    description: Fill at which it ends.
    type: int
    default: 70
  eviction_disk_percent:
    description: Free part of the disk below which the kubelet evicts pods.
    type: int
    default: 10
"""

EXAMPLES = r"""
- name: Show what a node keeps back
  ansible.builtin.debug:
    msg: "{{ node_machine_limits | ironbinder.platform.node_reservations }}"
"""

RETURN = r"""
_value:
  description:
    - C(kubelet), a part of a KubeletConfiguration; C(builds) with C(memory_bytes), C(millicores) and C(tasks), the bounds of
      builds; C(build_cache_bytes).
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.reservations import (
    GIB,
    MIB,
    Wishes,
    kubelet_settings,
    reservations,
)


def node_reservations(
    machine: Any,
    *,
    builds_here: bool = True,
    builds_memory_mib: int = 0,
    build_cache_gib: int = 0,
    **wishes: Any,
) -> dict[str, Any]:
    """Read the machine and the site's words, and map errors to Ansible's."""
    try:
        told = reservations(
            int(machine["memory_bytes"]),
            max(1, int(machine["cpus"])),
            int(machine["disk_bytes"]),
            Wishes(
                builds_here=bool(builds_here),
                builds_memory_bytes=int(builds_memory_mib) * MIB,
                build_cache_bytes=int(build_cache_gib) * GIB,
                **{name: int(value) for name, value in wishes.items()},
            ),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise AnsibleFilterError(
            f"node_reservations: {type(error).__name__}: {error}. It takes what machine_limits_info returns, and numbers"
        ) from error
    return {
        "kubelet": dict(kubelet_settings(told)),
        "builds": {
            "memory_bytes": told.builds_memory_bytes,
            "millicores": told.builds_millicores,
            "tasks": told.builds_tasks,
        },
        "build_cache_bytes": told.build_cache_bytes,
    }


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"node_reservations": node_reservations}
