# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""How much memory is enough: whoever follows the remedy is not told to buy again."""

from __future__ import annotations

from itertools import count
from math import ceil

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.capacity import NodePlan

__all__ = ["memory_floor_mib"]

# Of more memory so much is left to pods; the system, the kubelet, builds and eviction get the rest.
LEFT_OF_MORE = 0.66
# The rest grows in steps, so that a little more memory may leave less. So much more never does.
MODULE_MIB = 256


def memory_floor_mib(plan: NodePlan, needed_mib: int) -> int:
    """Say with how much memory this node surely has room for so much, and with all that is more; in whole 64 MiB."""
    lacking = max(0, needed_mib - plan.left_mib)
    enough = plan.machine.memory_mib + ceil(lacking / LEFT_OF_MORE)
    for memory_mib in count(enough):
        if plan.with_memory(memory_mib).left_mib < needed_mib:
            enough = memory_mib + 1
        elif memory_mib - enough >= MODULE_MIB:
            break
    return ceil(enough / 64) * 64
