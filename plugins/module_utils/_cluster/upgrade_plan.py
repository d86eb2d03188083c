# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What an upgrade has to do, in which order, and what people will notice.

Nothing is asked and nothing is done here. What is planned follows from what runs, so that a plan made after an upgrade
that was stopped holds the rest of it, and one made after its end holds nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.ironbinder.platform.plugins.module_utils._base.versions import numbers
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.upgrade_groups import (
    Turn,
    group_turns,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.upgrade_limits import (
    NODES,
    problems_of,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.upgrade_model import (
    Cluster,
    Machine,
    Plan,
    Step,
    Targets,
    Words,
    changes_of,
    differs,
)

__all__ = ["make_plan"]


def _control_plane(cluster: Cluster, machines: Sequence[Machine], targets: Targets) -> list[Step]:
    """The snapshot and the control plane, where any of its parts has another version."""
    parts = {"API": cluster.api, "kubeadm's configuration": cluster.configured, "kube-proxy": cluster.proxy}
    heads = tuple(machine.name for machine in machines if machine.is_head and machine.is_asked)
    changes = tuple(
        f"{what} {has} to {targets.control_plane}"
        for what, has in parts.items()
        if differs(has, targets.control_plane)
    )
    if not changes or not heads:
        return []
    return [
        Step("snapshot", heads[:1], ("a snapshot of etcd",), notices=("nobody notices",)),
        Step(
            "control_plane",
            heads,
            changes,
            notices=(
                "the API is away for some seconds, a few times: sessions go on, launches may fail",
                "certificates of the control plane are renewed",
            ),
        ),
    ]


def _notices(machine: Machine, stuck: Sequence[str], words: Words) -> list[str]:
    load = machine.load
    told = []
    if stuck:
        more = f" and {len(stuck) - 4} more" if len(stuck) > 4 else ""
        told.append(
            f"{machine.name} is not emptied, as no other node takes {', '.join(stuck[:4])}{more}: what runs there runs on, and "
            "nothing new starts there meanwhile"
        )
        if load.sessions or load.builds:
            told.append(
                f"{load.sessions} sessions and {load.builds} builds on {machine.name} are not waited for; builds end where "
                "Docker is replaced"
            )
        return told
    told += [f"{load.sessions} sessions on {machine.name} {words.sessions}"] if load.sessions else []
    told += [f"{load.builds} builds on {machine.name} {words.sessions}"] if load.builds else []
    if load.parts:
        told.append(
            f"{', '.join(load.parts)} move from {machine.name}: for about half a minute nobody can log in or launch, and a proxy "
            "that moves breaks connections of sessions, which browsers open again"
        )
    if words.hub_forgets and any(part.startswith("hub ") for part in load.parts):
        told.append(
            "a hub that moves forgets who runs what (site_hub_database is sqlite-memory): its sessions end"
        )
    return told or [f"{machine.name} has nothing that anybody would notice"]


def _node_step(turns: Sequence[Turn], targets: Targets, words: Words) -> Step:
    return Step(
        "node",
        tuple(turn.machine.name for turn in turns),
        tuple(
            f"{turn.machine.name}: {', '.join(changes_of(turn.machine, targets)) or 'to be brought to its end'}"
            for turn in turns
        ),
        tuple(turn.machine.name for turn in turns if not turn.stuck),
        tuple(line for turn in turns for line in _notices(turn.machine, turn.stuck, words)),
    )


def make_plan(
    cluster: Cluster,
    machines: Sequence[Machine],
    targets: Targets,
    *,
    batch: int = 1,
    accepted: Sequence[str] = (),
    words: Words | None = None,
) -> Plan:
    """Plan an upgrade.

    Args:
        cluster: what runs.
        machines: all nodes, in the order in which they are to have their turn; those whose turn has begun come first.
        targets: what is wanted.
        batch: how many workers at a time, at most, see `group_turns`.
        accepted: removed APIs of which an admin says that nobody asks for them any more.
        words: what is said of sessions.
    """
    problems = problems_of(cluster, machines, targets, accepted)
    if problems:
        return Plan(tuple(problems), (), ())
    waiting = [one for one in machines if one.is_asked and (one.turn or changes_of(one, targets))]
    steps = _control_plane(cluster, machines, targets)
    # A run that leaves the heads out cannot take nodes further than the API is.
    if waiting and not steps and numbers(cluster.api) < numbers(targets.nodes):
        told = f"{NODES} is {targets.nodes} and the API {cluster.api}: the head comes first, and this run leaves it out (--limit)"
        return Plan((told,), (), ())
    heads = [one for one in waiting if one.is_head]
    workers = sorted((one for one in waiting if not one.is_head), key=lambda one: not one.turn)
    groups = group_turns([*heads, *workers], machines, batch)
    steps += [_node_step(group, targets, words or Words()) for group in groups]
    touched = {name for step in steps for name in step.hosts}
    done = tuple(one.name for one in machines if one.is_asked and one.name not in touched)
    return Plan((), tuple(steps), done)
