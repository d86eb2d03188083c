# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A plan of an upgrade in words: where each machine stands, what comes in which order, and what people will notice."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.ironbinder.platform.plugins.module_utils._base.versions import numbers
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.upgrade_model import (
    Cluster,
    Machine,
    Plan,
    Step,
    Targets,
)

__all__ = ["describe"]

_HEADING = ("machine", "role", "kubelet", "containerd", "Docker", "where it stands")
_WHAT = {
    "snapshot": "take a snapshot of etcd",
    "control_plane": "upgrade the control plane",
}


def _version(has: str, wanted: str) -> str:
    if not has:
        return "-"
    return has if not wanted or numbers(has) == numbers(wanted) else f"{has} -> {wanted}"


def _state(machine: Machine, plan: Plan) -> str:
    if not machine.is_asked:
        return "left out"
    if machine.turn:
        return "begun, goes on first"
    if machine.name in plan.done:
        return "done"
    steps = [str(at) for at, step in enumerate(plan.steps, 1) if machine.name in step.hosts]
    return f"waits for step {' and '.join(steps)}" if steps else "-"


def _turn(step: Step) -> str:
    stay = [name for name in step.hosts if name not in step.drain]
    if stay and step.drain:
        return f"upgrade {', '.join(stay)} in place, empty and upgrade {', '.join(step.drain)}, prove healthy"
    return f"{'upgrade in place' if stay else 'empty, upgrade'}, prove healthy"


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def describe(cluster: Cluster, machines: Sequence[Machine], targets: Targets, plan: Plan) -> list[str]:
    """Give the lines to be shown to people."""
    lines = [f"control plane {_version(cluster.api, targets.control_plane)}", ""]
    lines += _columns(
        [
            _HEADING,
            *(
                (
                    machine.name,
                    "head" if machine.is_head else "worker",
                    _version(machine.kubelet, targets.kubelet(machine) if machine.is_asked else ""),
                    _version(machine.containerd, targets.containerd if machine.is_asked else ""),
                    _version(machine.docker, targets.docker if machine.is_asked else ""),
                    _state(machine, plan),
                )
                for machine in machines
            ),
        ]
    )
    if plan.problems:
        return [*lines, "", "This must not begin:", *(f"  - {problem}" for problem in plan.problems)]
    if not plan.steps:
        return [*lines, "", "Nothing is to be done."]
    lines += ["", "Steps, each one begun only when all before it are done and healthy:"]
    for at, step in enumerate(plan.steps, 1):
        lines.append(f"  {at}. {', '.join(step.hosts)}: {_WHAT.get(step.kind) or _turn(step)}")
        lines += [f"       {change}" for change in step.changes]
        lines += [f"       people: {notice}" for notice in step.notices]
    return lines
