# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A plan of a site's capacity as people read it: a line for each node, totals, and how each number was found."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.capacity import NodePlan, SitePlan
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.capacity_values import Value

__all__ = ["render"]

WIDTH = 110
INDENT = 4
HEAD = (
    "node",
    "runs",
    "memory",
    "system",
    "free",
    "builds",
    "pods",
    "left",
    "CPUs",
    "sessions",
    "builds",
    "bound by",
)


def _purpose(node: NodePlan, plan: SitePlan) -> str:
    machine = node.machine
    parts = [
        "head" if machine.is_head else "",
        "hubs" if machine.name == plan.carrier else "",
        "sessions" if machine.runs_sessions else "",
    ]
    return ", ".join(part for part in parts if part) or "nothing"


def _row(node: NodePlan, plan: SitePlan) -> tuple[str, ...]:
    machine = node.machine
    memory = (
        machine.memory_mib,
        node.system_mib,
        node.free_mib,
        node.builds_mib,
        node.pods_mib,
        node.left_mib,
    )
    sessions, bound = (str(node.sessions), node.tightest.what) if machine.runs_sessions else ("-", "-")
    counts = (sessions, str(node.builds or "-"), bound)
    return (machine.name, _purpose(node, plan), *map(str, memory), f"{machine.processors:.3g}", *counts)


def _pool(name: str, nodes: Sequence[NodePlan], sessions: int) -> tuple[str, ...]:
    columns = zip(
        *(
            (
                node.machine.memory_mib,
                node.system_mib,
                node.free_mib,
                node.builds_mib,
                node.pods_mib,
                node.left_mib,
            )
            for node in nodes
        ),
        strict=True,
    )
    count = f"{len(nodes)} node{'' if len(nodes) == 1 else 's'}"
    shared = f"{sum(node.machine.processors for node in nodes):.3g}"
    builds = sum(node.builds for node in nodes)
    return (
        f"pool {name}",
        count,
        *(str(sum(column)) for column in columns),
        shared,
        str(sessions),
        str(builds),
        "",
    )


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    # Names on the left, numbers on the right, and words again at the end.
    left = (0, 1, len(widths) - 1)
    return [
        "  ".join(
            cell.ljust(width) if place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _explained(first: str, text: str) -> list[str]:
    return textwrap.wrap(
        f"{first}{text}",
        WIDTH,
        initial_indent=" " * INDENT,
        subsequent_indent=" " * (INDENT + len(first)),
        break_long_words=False,
        break_on_hyphens=False,
    )


def render(plan: SitePlan, values: Sequence[Value], elsewhere: Mapping[str, int]) -> str:
    """Write the plan for the screen.

    Args:
        plan: the site's.
        values: what follows from it.
        elsewhere: what the inventory sets by itself.
    """
    users = [node for node in plan.nodes if node.machine.runs_sessions]
    others = [node for node in plan.nodes if not node.machine.runs_sessions]
    rows = [HEAD, *(_row(node, plan) for node in plan.nodes)]
    rows += [_pool("core", others, 0)] if others else []
    rows += [_pool("user", users, plan.sessions)] if users else []
    session = plan.session
    lines = ["Memory in MiB.", *_aligned(rows), "", "How many sessions each resource allows"]
    for node in users:
        lines.append(f"  {node.machine.name}{_sharing(node)}")
        for bound in node.bounds:
            lines += _explained(f"{bound.what:<10} {bound.sessions:>5}  ", bound.how)
    lines += ["", "A session"]
    lines += _explained(
        "memory      ",
        f"requests {session.memory_mib} MiB and may use {session.memory_limit_mib or 'any number of'} MiB; {session.planned_mib} "
        "are planned: what it requests, or of its limit 450/2048 as mybinder.org has it, and 16 for its sandbox",
    )
    lines += _explained("processors  ", f"requests {session.millicores}m")
    lines += _explained(
        "disk        ",
        f"{session.planned_disk_mib} MiB are planned: a tenth of its limit, or what it requests",
    )
    lines += ["", "Values"]
    width = max((len(value.name) for value in values), default=0)
    for value in values:
        lines.append(f"  {value.name:<{width}}  {value.number:>7}{_other(value, elsewhere)}")
        lines += _explained("", value.how)
    return "\n".join(lines)


def _sharing(node: NodePlan) -> str:
    sharers = node.machine.sharers
    return f" (one of {sharers} nodes on one computer, with an equal part of it)" if sharers > 1 else ""


def _other(value: Value, elsewhere: Mapping[str, int]) -> str:
    if value.name not in elsewhere:
        return ""
    return f"  not written: the inventory sets {elsewhere[value.name]}"
