# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""From memory, processors and disks of the nodes to how many sessions and builds they bear.

Memory and disk are in MiB, processors are shares of one. Nothing here is asked of a machine: see `capacity_site`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.reservations import (
    Reservations,
    Wishes,
    reservations,
)

__all__ = [
    "HUB_MIB",
    "KUBELET_MAX_PODS",
    "LEAST_PODS",
    "MOST_PODS",
    "Bound",
    "FileSystem",
    "Machine",
    "NodePlan",
    "Session",
    "SitePlan",
    "plan_site",
    "wanted_max_pods",
]

MIB = 1 << 20
# A build is one processor and 2 GiB: mybinder.org's builders have 8 and 16 GiB on a node (config/hetzner-2i2c.yaml).
BUILD_MIB, BUILD_MILLICORES = 2048, 1000

# Measured in the lab, with half as much again: etcd, API server, controller manager, scheduler and CoreDNS 720 MiB.
HEAD_MIB, HEAD_PODS = 1024, 6
# Their requests by kubeadm: 250m, 200m, 100m, 100m, and 100m for each CoreDNS.
HEAD_MILLICORES = 850
# kube-proxy and MetalLB's speaker and controller, 160 MiB; one more is the network's or the image cleaner's.
NODE_MIB, NODE_PODS = 192, 4
# One hub: binder 512 (what its chart requests), hub 256, proxy 128, and two user-schedulers of 96, whether they run or not. In
# the lab 107, 182, 80 and 70.
HUB_MIB, HUB_PODS = 1088, 5
# What the binderhub chart requests for binder; the others request none.
HUB_MILLICORES = 200

# mybinder.org: a session is sure of 450M and may use 2G (mybinder/values.yaml), on machines of its own for years.
SURE_MIB, MAY_USE_MIB = 450, 2048
# A containerd shim and the pause container of a pod, measured in the lab.
SANDBOX_MIB = 16
# What a session writes besides its image: a tenth of its limit, half a GiB without one. The kubelet ends the session that
# writes most, so few that write much do no harm to the others.
SESSION_DISK_MIB, DISK_LIMIT_SHARE = 512, 0.1
# Of what pods get of a disk: one half for images, which sessions share, one for what sessions write.
IMAGES_PARTS = 2

# mybinder.org: maxPods = 1.75 x GB of memory (docs/source/deployment/k3s.md).
PODS_PER_GB = 1.75
# The kubelet's own.
KUBELET_MAX_PODS = 110
# A node has a /24 for its pods; addresses of pods that have just gone are not given out at once.
MOST_PODS = 250
# With fewer no node runs even what is the cluster's own, on a site of one machine and one hub, and a session.
LEAST_PODS = HEAD_PODS + NODE_PODS + HUB_PODS + 2


@dataclass(frozen=True)
class FileSystem:
    """One file system of a node, `total_mib` large; `holds` are those of docker, containerd and kubelet that lie on it."""

    total_mib: int
    holds: frozenset[str]


@dataclass(frozen=True)
class Machine:
    """A node and what it has. Of a computer that several nodes share (`sharers`, itself included) it is the node's part."""

    name: str
    memory_mib: int
    processors: float
    disks: tuple[FileSystem, ...] = ()
    # Whether it is a control plane; whether sessions, and whether the hubs' own pods, run on it.
    is_head: bool = False
    runs_sessions: bool = True
    runs_hubs: bool = True
    sharers: int = 1
    # What the site says of builds here; None: what it says of all nodes, and builds are where sessions are.
    wishes: Wishes | None = None


@dataclass(frozen=True)
class Session:
    """What a session requests and may use at most; 0 where nothing is said."""

    memory_mib: int = 256
    memory_limit_mib: int = 2048
    millicores: int = 0
    disk_mib: int = 0
    disk_limit_mib: int = 0

    @property
    def planned_mib(self) -> int:
        """Memory to count with: what it is sure of, or of its limit what mybinder.org makes sure of; and its sandbox."""
        expected = ceil(self.memory_limit_mib * SURE_MIB / MAY_USE_MIB)
        return (max(self.memory_mib, expected) or SURE_MIB) + SANDBOX_MIB

    @property
    def planned_disk_mib(self) -> int:
        """Disk to count with."""
        return max(self.disk_mib, ceil(self.disk_limit_mib * DISK_LIMIT_SHARE)) or SESSION_DISK_MIB


@dataclass(frozen=True)
class Bound:
    """How many sessions one resource (memory, processors, disk or pods) allows, and how that was found."""

    what: str
    sessions: int
    how: str


@dataclass(frozen=True)
class NodePlan:
    """One node: where its memory goes, how many sessions each resource allows, and how many builds it bears at once.

    `kept` is what is kept back from all pods, as `wishes` say; `pods` and `pods_mib` are those of the cluster and of hubs on
    this node.
    """

    machine: Machine
    kept: Reservations
    pods_mib: int
    pods: int
    builds: int
    wishes: Wishes
    bounds: tuple[Bound, ...] = ()

    @property
    def builds_mib(self) -> int:
        """Memory that only builds may use."""
        return self.kept.builds_memory_bytes // MIB if self.builds else 0

    @property
    def system_mib(self) -> int:
        """Memory of the system and the kubelet."""
        return self.kept.reserved_memory_bytes // MIB - self.builds_mib

    @property
    def free_mib(self) -> int:
        """Memory that stays free, since the kubelet begins to end pods below it."""
        return self.kept.eviction_soft_memory_bytes // MIB

    @property
    def left_mib(self) -> int:
        """Memory that is left to sessions; below zero where even the node's own does not fit."""
        taken = self.system_mib + self.free_mib + self.builds_mib + self.pods_mib
        return self.machine.memory_mib - taken

    def with_memory(self, memory_mib: int) -> NodePlan:
        """Give the node with another memory and the same pods, whose sessions nobody has counted."""
        machine = replace(self.machine, memory_mib=memory_mib)
        return replace(self, machine=machine, kept=_kept(machine, self.wishes), bounds=())

    @property
    def tightest(self) -> Bound:
        """The resource that runs out first."""
        return min(self.bounds, key=lambda bound: bound.sessions)

    @property
    def sessions(self) -> int:
        """How many sessions fit."""
        return self.tightest.sessions if self.machine.runs_sessions else 0


@dataclass(frozen=True)
class SitePlan:
    """All nodes.

    `carrier` is the node on which the hubs' own pods are counted, `` where no single one has room for all of them.
    `sessions` is how many fit at once, which is then less than the sum of the nodes.
    """

    nodes: tuple[NodePlan, ...]
    session: Session
    hubs: int
    max_pods: int
    sessions: int
    carrier: str = ""

    @property
    def builds(self) -> int:
        """How many builds run at once."""
        return sum(node.builds for node in self.nodes)


def wanted_max_pods(machines: Sequence[Machine]) -> int:
    """How many pods a kubelet should take: one number for all nodes, since memory keeps small ones from that many."""
    most = max((machine.memory_mib for machine in machines if machine.runs_sessions), default=0)
    return min(MOST_PODS, max(KUBELET_MAX_PODS, floor(most * (1 << 20) / 1e9 * PODS_PER_GB)))


def _kept(machine: Machine, wishes: Wishes, disk_mib: int = 0) -> Reservations:
    return reservations(machine.memory_mib * MIB, max(1, floor(machine.processors)), disk_mib * MIB, wishes)


def _disk_bounds(machine: Machine, session: Session, wishes: Wishes) -> Iterator[Bound]:
    for disk in machine.disks:
        if not disk.holds & {"containerd", "kubelet"}:
            continue
        kept = _kept(machine, wishes, disk.total_mib)
        soft = kept.eviction_soft_disk_bytes - kept.eviction_disk_bytes
        usable = max(0, kept.allocatable_disk_bytes - soft) // MIB
        part = usable // IMAGES_PARTS if "containerd" in disk.holds else usable
        how = (
            f"{disk.total_mib} - {disk.total_mib - usable} system, build cache and eviction = {usable} MiB"
            f"{f', half of it images = {part}' if part < usable else ''}; {session.planned_disk_mib} a session"
        )
        yield Bound("disk", part // session.planned_disk_mib, how)


def _bounds(plan: NodePlan, session: Session, wishes: Wishes, max_pods: int, hubs: int) -> Iterator[Bound]:
    machine = plan.machine
    how = (
        f"{machine.memory_mib} - {plan.system_mib} system - {plan.free_mib} kept free - {plan.builds_mib} builds "
        f"- {plan.pods_mib} own pods = {plan.left_mib} MiB; {session.planned_mib} a session"
    )
    yield Bound("memory", max(0, plan.left_mib // session.planned_mib), how)
    if session.millicores > 0:
        own = HEAD_MILLICORES * machine.is_head + HUB_MILLICORES * hubs
        whole, kept = floor(machine.processors * 1000), plan.kept.reserved_millicores
        left = whole - kept - own
        how = f"{whole}m - {kept}m system and builds - {own}m own pods = {left}m; {session.millicores}m a session"
        yield Bound("processors", max(0, left // session.millicores), how)
    yield from _disk_bounds(machine, session, wishes)
    how = f"{max_pods} at most - {plan.pods} of node, hubs and builds = {max_pods - plan.pods}"
    yield Bound("pods", max(0, max_pods - plan.pods), how)


def _plan(machine: Machine, session: Session, wishes: Wishes, max_pods: int, hubs: int) -> NodePlan:
    """Plan one node with so many hubs' own pods on it."""
    wishes = machine.wishes or replace(wishes, builds_here=machine.runs_sessions)
    kept = _kept(machine, wishes)
    at_once = min(kept.builds_memory_bytes // MIB // BUILD_MIB, kept.builds_millicores // BUILD_MILLICORES)
    builds = max(1, at_once) if wishes.builds_here else 0
    plan = NodePlan(
        machine=machine,
        kept=kept,
        pods_mib=NODE_MIB + HEAD_MIB * machine.is_head + HUB_MIB * hubs,
        pods=NODE_PODS + HEAD_PODS * machine.is_head + HUB_PODS * hubs + builds,
        builds=builds,
        wishes=wishes,
    )
    return replace(plan, bounds=tuple(_bounds(plan, session, wishes, max_pods, hubs)))


def plan_site(
    machines: Sequence[Machine],
    session: Session,
    hubs: int = 1,
    max_pods: int | None = None,
    wishes: Wishes | None = None,
) -> SitePlan:
    """Plan all nodes of a site.

    Args:
        machines: the nodes, in the inventory's order.
        session: one session.
        hubs: how many hubs there are.
        max_pods: what a kubelet takes; None for what it should take, see `wanted_max_pods`.
        wishes: what the site says of builds and thresholds, of nodes that bring none of their own.

    Returns:
        The plan. The hubs' own pods are counted whole on that node of those that run them on which they cost the fewest
        sessions; the scheduler may spread them, which sessions that request less than is planned for them make up for.
    """
    most = wanted_max_pods(machines) if max_pods is None else max_pods
    told = wishes or Wishes()
    plain = [_plan(machine, session, told, most, 0) for machine in machines]
    loaded = [_plan(machine, session, told, most, hubs) for machine in machines]
    carriers = [place for place, machine in enumerate(machines) if machine.runs_hubs]
    roomy = [place for place in carriers if loaded[place].left_mib >= 0]
    if not roomy:
        room = sum(max(0, plain[place].left_mib) for place in carriers) - HUB_MIB * hubs
        elsewhere = sum(plan.sessions for plan in plain if not plan.machine.runs_hubs)
        within = sum(plan.sessions for plan in plain if plan.machine.runs_hubs)
        sessions = elsewhere + max(0, min(within, room // session.planned_mib))
        return SitePlan(tuple(plain), session, hubs, most, sessions)
    carrier = max(roomy, key=lambda place: loaded[place].sessions - plain[place].sessions)
    nodes = tuple(loaded[place] if place == carrier else plan for place, plan in enumerate(plain))
    sessions = sum(node.sessions for node in nodes)
    return SitePlan(nodes, session, hubs, most, sessions, machines[carrier].name)
