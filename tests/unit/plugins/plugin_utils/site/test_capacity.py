# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What nodes of every size bear: tables, and what holds of all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.capacity import (
    HEAD_MILLICORES,
    HUB_MIB,
    HUB_MILLICORES,
    KUBELET_MAX_PODS,
    MOST_PODS,
    FileSystem,
    Machine,
    Session,
    SitePlan,
    plan_site,
    wanted_max_pods,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.memory_floor import memory_floor_mib
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.reservations import (
    GIB,
    MIB,
    Wishes,
    reservations,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

STORES = frozenset({"docker", "containerd", "kubelet"})
ORDINARY = Session(memory_mib=256, memory_limit_mib=2048, millicores=50, disk_mib=256, disk_limit_mib=4096)


def node(name: str, memory_gib: float, processors: float, disk_gb: int = 0, **told: Any) -> Machine:
    """A worker with one file system for everything."""
    disks = (FileSystem(disk_gb * 10**9 // MIB, STORES),) if disk_gb else ()
    return Machine(name, int(memory_gib * 1024), processors, disks, **told)


def head(memory_gib: float, processors: float, **told: Any) -> Machine:
    """A head that only runs the control plane."""
    only = {"is_head": True, "runs_sessions": False, "runs_hubs": False}
    return node("head1", memory_gib, processors, **{**only, **told})


def workers(count: int, *figures: Any, **told: Any) -> list[Machine]:
    """So many workers that are alike."""
    return [node(f"worker{number}", *figures, **told) for number in range(1, count + 1)]


LAB = [head(24 / 3, 2 / 3, sharers=3), *workers(2, 24 / 3, 2 / 3, 84, sharers=3)]
MEDIUM = [head(64, 16), *workers(2, 64, 16, 500)]
LARGE = [head(256, 32), *workers(9, 256, 32, 2000)]
ALONE = [head(32, 8, disk_gb=200, runs_sessions=True, runs_hubs=True)]
SMALLEST = [head(2, 2), *workers(2, 2, 2, 20)]


@pytest.mark.parametrize(
    ("machines", "sessions", "builds", "max_pods", "bound"),
    [
        # Two processors for three nodes: one of the workers runs the hub as well.
        (LAB, 2 + 6, 2, 110, "processors"),
        (MEDIUM, 96 + 98, 16, 120, "memory"),
        # More than a /24 has addresses for.
        (LARGE, 233 + 8 * 238, 72, 250, "pods"),
        (ALONE, 42, 4, 110, "memory"),
        # A node each for the hub and for a session.
        (SMALLEST, 0, 2, 110, "memory"),
    ],
    ids=["lab", "medium", "large", "head alone", "smallest"],
)
def test_sites(machines: list[Machine], sessions: int, builds: int, max_pods: int, bound: str) -> None:
    plan = plan_site(machines, ORDINARY)
    assert (plan.sessions, plan.builds, plan.max_pods) == (sessions, builds, max_pods)
    assert {entry.tightest.what for entry in plan.nodes if entry.machine.runs_sessions} == {bound}


def test_what_a_line_says_adds_up() -> None:
    """Memory goes somewhere to the last MiB, and a sentence has the figures."""
    plan = plan_site(MEDIUM, ORDINARY)
    [_, first, _] = plan.nodes
    parts = (first.system_mib, first.free_mib, first.builds_mib, first.pods_mib, first.left_mib)
    assert sum(parts) == 65536
    assert plan.carrier == "worker1"
    memory = first.bounds[0]
    assert memory.sessions == first.left_mib // 466 == 96
    assert memory.how == (
        f"65536 - {first.system_mib} system - {first.free_mib} kept free - 16384 builds - 1280 own pods "
        f"= {first.left_mib} MiB; 466 a session"
    )


@pytest.mark.parametrize(
    ("session", "planned"),
    [
        # mybinder.org's own: 450M of 2G.
        (Session(450, 2048), 450),
        (Session(256, 2048), 450),
        (Session(1024, 2048), 1024),
        (Session(256, 1024), 256),
        (Session(512, 0), 512),
        (Session(0, 0), 450),
    ],
)
def test_memory_of_a_session(session: Session, planned: int) -> None:
    assert session.planned_mib == planned + 16


@pytest.mark.parametrize(
    ("session", "planned"),
    [(Session(), 512), (Session(disk_mib=256, disk_limit_mib=4096), 410), (Session(disk_mib=1024), 1024)],
)
def test_disk_of_a_session(session: Session, planned: int) -> None:
    assert session.planned_disk_mib == planned


def test_each_resource_can_be_the_one_that_runs_out() -> None:
    def tightest(machine: Machine, session: Session = ORDINARY, **told: Any) -> str:
        return plan_site([machine], session, hubs=0, **told).nodes[0].tightest.what

    assert tightest(node("a", 8, 16, 500)) == "memory"
    assert tightest(node("a", 64, 2, 500)) == "processors"
    assert tightest(node("a", 64, 16, 30)) == "disk"
    assert tightest(node("a", 64, 16, 500), max_pods=30) == "pods"
    # A file system of its own for images, and a small one for what sessions write.
    parts = (
        FileSystem(500_000, frozenset({"docker", "containerd"})),
        FileSystem(8_000, frozenset({"kubelet"})),
    )
    assert tightest(replace(node("a", 64, 16), disks=parts)) == "disk"
    # Docker's own is nothing that sessions fill.
    alone = (FileSystem(2_000, frozenset({"docker"})),)
    assert tightest(replace(node("a", 64, 16), disks=alone)) == "memory"


def test_what_sessions_write_has_half_of_what_is_left_of_a_disk() -> None:
    """The other half is images; a file system without images is theirs alone."""
    kept = reservations(64 * GIB, 16, 100 * GIB)
    soft = kept.eviction_soft_disk_bytes - kept.eviction_disk_bytes
    left = (kept.allocatable_disk_bytes - soft) // MIB

    def bound(*holds: str) -> int:
        disks = (FileSystem(100 * 1024, frozenset(holds)),)
        [told] = [
            entry
            for entry in plan_site([replace(node("a", 64, 16), disks=disks)], ORDINARY).nodes[0].bounds
            if entry.what == "disk"
        ]
        return told.sessions

    assert bound("docker", "containerd", "kubelet") == bound("containerd") == left // 2 // 410
    assert bound("kubelet") == left // 410


def test_hubs_are_counted_where_they_cost_least() -> None:
    """A node of their own; else one that pods bound has memory to spare; and where there is no room, they spread."""
    core = node("core1", 8, 4, runs_sessions=False)
    users = workers(2, 16, 8, runs_hubs=False)
    assert plan_site([*users, core], ORDINARY).carrier == "core1"
    assert plan_site([*users, core], ORDINARY).sessions == plan_site(users, ORDINARY, hubs=0).sessions
    assert plan_site([node("small", 16, 8), node("large", 250, 64)], ORDINARY, hubs=1).carrier == "small"
    tight = workers(3, 3, 2)
    spread = plan_site(tight, Session(256, 1024), hubs=2)
    assert (spread.carrier, spread.sessions) == ("", (3 * spread.nodes[0].left_mib - 2 * HUB_MIB) // 272)
    assert spread.sessions < sum(entry.sessions for entry in spread.nodes)


def test_builds_take_what_the_site_gives_them() -> None:
    more = plan_site(MEDIUM, ORDINARY, wishes=Wishes(builds_memory_bytes=4 * GIB))
    assert [entry.builds for entry in more.nodes] == [0, 2, 2]
    assert more.sessions > plan_site(MEDIUM, ORDINARY).sessions


@pytest.mark.parametrize(("memory_gib", "pods"), [(8, 110), (58, 110), (64, 120), (128, 240), (256, 250)])
def test_max_pods(memory_gib: int, pods: int) -> None:
    """1.75 for each GB, between the kubelet's own and what a node has addresses for."""
    assert wanted_max_pods([node("a", memory_gib, 8), head(999, 8)]) == pods
    assert wanted_max_pods([]) == KUBELET_MAX_PODS


MACHINES = st.lists(
    st.builds(
        node,
        st.text("ab", min_size=1, max_size=6),
        st.floats(0.5, 600),
        st.floats(0.1, 128),
        st.integers(0, 4000),
        runs_sessions=st.booleans(),
        runs_hubs=st.booleans(),
        is_head=st.booleans(),
    ),
    min_size=1,
    max_size=5,
)
SESSIONS = st.builds(
    Session,
    st.integers(0, 8192),
    st.integers(0, 16384),
    st.integers(0, 4000),
    st.integers(0, 9000),
    st.integers(0, 20000),
)


@settings(max_examples=150, deadline=None)
@example(machines=[node("a", 15.75, 4.0)], session=Session(0, 1, 0, 0, 0), hubs=0, place=0, more=256)
@given(
    machines=MACHINES,
    session=SESSIONS,
    hubs=st.integers(0, 3),
    place=st.integers(0, 4),
    more=st.integers(256, 99999),
)
def test_more_memory_never_gives_fewer_sessions(
    machines: list[Machine], session: Session, hubs: int, place: int, more: int
) -> None:
    """What is kept back grows in steps, so a module of 256 MiB is the least that counts.

    Where pods are what runs out first, a build for which there is room now takes the place of a session.
    """
    chosen = place % len(machines)
    larger = replace(machines[chosen], memory_mib=machines[chosen].memory_mib + more)
    after = [larger if number == chosen else machine for number, machine in enumerate(machines)]
    more_plan, plan = plan_site(after, session, hubs), plan_site(machines, session, hubs)
    by_pods = max(0, more_plan.builds - plan.builds) if bound_by_pods(more_plan, chosen) else 0
    assert more_plan.sessions + by_pods >= plan.sessions


def bound_by_pods(plan: SitePlan, place: int) -> bool:
    return plan.nodes[place].tightest.what == "pods"


def requests_fit(plan: SitePlan) -> bool:
    """Whether all sessions' requests fit into what the scheduler may give away, beside what else runs there."""
    session = plan.session
    for entry in plan.nodes:
        hubs = plan.hubs if entry.machine.name == plan.carrier else 0
        memory = entry.pods_mib + entry.sessions * session.memory_mib
        own = HEAD_MILLICORES * entry.machine.is_head + HUB_MILLICORES * hubs
        processors = own + entry.sessions * session.millicores
        whole = entry.machine.processors * 1000
        if entry.sessions and (
            memory * MIB > entry.kept.allocatable_memory_bytes
            # Of processors nothing is counted where a session requests none.
            or (session.millicores and processors > whole - entry.kept.reserved_millicores)
            or entry.pods + entry.sessions > plan.max_pods
            or any(
                entry.sessions * session.disk_mib > disk.total_mib
                for disk in entry.machine.disks
                if "kubelet" in disk.holds
            )
        ):
            return False
    return True


@settings(max_examples=150, deadline=None)
@given(
    machines=MACHINES,
    session=SESSIONS,
    hubs=st.integers(0, 3),
    max_pods=st.one_of(st.none(), st.integers(1, 250)),
)
def test_requests_never_exceed_what_there_is(
    machines: list[Machine], session: Session, hubs: int, max_pods: int | None
) -> None:
    named = [replace(machine, name=f"node{number}") for number, machine in enumerate(machines)]
    plan = plan_site(named, session, hubs, max_pods)
    assert requests_fit(plan)
    assert plan.sessions <= sum(entry.sessions for entry in plan.nodes)
    assert plan.max_pods <= MOST_PODS


@settings(max_examples=100, deadline=None)
@example(machines=[node("a", 9.0, 1.0)], session=Session(5851, 0, 0, 0, 0), more=0)
@given(machines=MACHINES, session=SESSIONS, more=st.integers(0, 4096))
def test_the_floor_is_enough(machines: list[Machine], session: Session, more: int) -> None:
    """Whoever follows the remedy, or gives it more than that, is not told to buy again."""
    plan = plan_site(machines[:1], session, hubs=1)
    floor = memory_floor_mib(plan.nodes[0], session.planned_mib)
    after = plan_site(
        [replace(machines[0], memory_mib=floor + more)],
        session,
        hubs=len([plan.carrier]) if plan.carrier else 0,
    )
    assert after.nodes[0].bounds[0].sessions >= 1
