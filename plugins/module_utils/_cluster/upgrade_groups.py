# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Which nodes of an upgrade have their turn together, and which of them others can empty."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.upgrade_model import Machine

__all__ = ["Turn", "group_turns"]


@dataclass(frozen=True)
class Turn:
    """The turn of a node. `stuck` names what no other node takes meanwhile: with any of it the node is not emptied."""

    machine: Machine
    stuck: tuple[str, ...]


def group_turns(waiting: Sequence[Machine], machines: Sequence[Machine], wanted: int) -> list[list[Turn]]:
    """Group nodes whose turns are to come.

    A head has its turn alone. Workers have theirs together, as many as wanted, where a node that takes pods is left and each of
    them is emptied as it would be if they had their turns one after another.

    Args:
        waiting: those nodes, in their order.
        machines: all nodes.
        wanted: how many workers at a time, at most.
    """
    groups: list[list[Machine]] = []
    # By group, whose turns have ended when it begins.
    ended: list[set[str]] = []
    for machine in waiting:
        if groups and len(groups[-1]) < wanted and _go_together(groups[-1], machine, machines, ended[-1]):
            groups[-1].append(machine)
        else:
            ended.append(ended[-1] | _names(groups[-1]) if groups else set())
            groups.append([machine])
    return [
        [Turn(machine, _stuck(machine, _others(group, machines, before))) for machine in group]
        for group, before in zip(groups, ended)
    ]


def _names(machines: Sequence[Machine]) -> set[str]:
    return {machine.name for machine in machines}


def _others(group: Sequence[Machine], machines: Sequence[Machine], before: Set[str]) -> list[Machine]:
    """Give the nodes that may take what these send away: in no turn then, as none is, or as it has ended before."""
    own = _names(group)
    return [
        other
        for other in machines
        if other.name not in own and (other.name in before if other.turn else other.ready)
    ]


def _stuck(machine: Machine, others: Sequence[Machine]) -> tuple[str, ...]:
    """Name what none of the others takes."""
    if not any(other.takes_pods for other in others):
        return ("pods at all",)
    names = _names(others)
    return tuple(pod.name for pod in machine.pods if not pod.homes & names)


def _go_together(
    group: Sequence[Machine], machine: Machine, machines: Sequence[Machine], before: Set[str]
) -> bool:
    """Whether a node may join a group, of which nobody would then be emptied less than without that."""
    left = _others([*group, machine], machines, before)
    if machine.is_head or group[0].is_head or not any(other.takes_pods for other in left):
        return False
    apart = _others(group, machines, before)
    later = _others([machine], machines, before | _names(group))
    return _stuck(machine, left) == _stuck(machine, later) and all(
        _stuck(one, left) == _stuck(one, apart) for one in group
    )
