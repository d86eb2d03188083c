# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about what the nodes bear: room for a session on each, and quota that fit them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.answers import some_hosts
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.capacity import (
    HUB_MIB,
    KUBELET_MAX_PODS,
    LEAST_PODS,
    MOST_PODS,
    Machine,
    NodePlan,
    SitePlan,
    plan_site,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.capacity_site import (
    seen_nodes,
    session_of,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.memory_floor import memory_floor_mib
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site, as_int
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.node_faults import (
    CPU_LIMIT,
    DISK_LIMIT,
    MEMORY_LIMIT,
    disk_below_floor,
    limit_exceeds,
    memory_below_floor,
    sound_wishes,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.nodes import REQUIRE
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.quota_values import share
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule

TOTAL, REPO, BUILDS = "site_total_quota", "site_per_repo_quota", "site_parallel_builds"
MAX_PODS = "site_max_pods"
AFFINITY = "site_node_purpose_affinity"
# What of a session bounds its use of each resource.
LIMITS = {"memory": MEMORY_LIMIT, "processors": CPU_LIMIT, "disk": DISK_LIMIT}
# Images of one hub and its first builds, and what lasts for a term.
LEAST_IMAGES_MIB, ADVISED_DISK_GIB = 4000, 100
COUNT = "run `make capacity`, which counts what fits"
# What a value has to lie within, if it is not 0. Of inotify at least what kernels allow by themselves.
WITHIN = {
    TOTAL: (1, 1_000_000),
    REPO: (1, 1_000_000),
    BUILDS: (1, 10_000),
    MAX_PODS: (LEAST_PODS, MOST_PODS),
    "site_inotify_max_user_instances": (128, 2**31 - 1),
    "site_inotify_max_user_watches": (8192, 2**31 - 1),
}


def _max_pods(site: Site) -> int:
    asked = as_int(site.values.get(MAX_PODS))
    return asked if LEAST_PODS <= asked <= MOST_PODS else KUBELET_MAX_PODS


def _hubs(site: Site) -> int:
    return max(1, len(site.hubs))


def _machines(site: Site) -> tuple[Machine, ...]:
    """Give the nodes that were seen, with builds as if nobody had wished for more than a node has: that is told."""
    return tuple(
        replace(machine, wishes=sound_wishes(site, site.hosts[machine.name]))
        for machine in seen_nodes(site).machines
    )


def _plan(site: Site) -> SitePlan:
    """Plan the nodes that were seen, as the site is."""
    return plan_site(_machines(site), session_of(site), _hubs(site), _max_pods(site))


def _whole_plan(site: Site) -> SitePlan | None:
    """Plan the site; None where a node is unknown, or where there is none, as a sum would then say nothing."""
    seen = seen_nodes(site)
    return None if seen.unknown or not seen.machines else _plan(site)


def _lacking(site: Site, what: str) -> Iterator[NodePlan]:
    """Give the nodes for sessions on which a resource leaves no room for one; where there are several, without hubs.

    Where a session's limit is above the whole node, that is told, and not what follows from it.
    """
    machines = _machines(site)
    hubs = 0 if len(machines) > 1 else _hubs(site)
    alone = plan_site(machines, session_of(site), hubs, MOST_PODS)
    for node in alone.nodes:
        bounds = [bound for bound in node.bounds if bound.what == what]
        lacks = node.machine.runs_sessions and any(bound.sessions < 1 for bound in bounds)
        if lacks and not limit_exceeds(site, site.hosts[node.machine.name], LIMITS[what]):
            yield node


def _shared(node: NodePlan) -> str:
    sharers = node.machine.sharers
    return f" (a part of a computer that {sharers} nodes share)" if sharers > 1 else ""


@rule("capacity-memory-too-small", ERROR, "A node that is to run sessions has no memory left for one.")
def capacity_memory_too_small(site: Site) -> Iterator[Problem]:
    for node in _lacking(site, "memory"):
        if memory_below_floor(site, site.hosts[node.machine.name]):
            continue
        needed = memory_floor_mib(node, session_of(site).planned_mib)
        yield Problem(
            f"{node.bounds[0].how}{_shared(node)}",
            f"give it at least {needed} MiB, or let sessions have less by site_session_memory_limit, or take `user` out of its "
            "site_node_purposes",
            "",
            node.machine.name,
        )


@rule("capacity-cpu-too-small", ERROR, "A node that is to run sessions has no processor left for one.")
def capacity_cpu_too_small(site: Site) -> Iterator[Problem]:
    for node in _lacking(site, "processors"):
        how = next(bound.how for bound in node.bounds if bound.what == "processors")
        yield Problem(
            f"{how}{_shared(node)}",
            "give it more processors, or let sessions request less by site_session_cpu_guarantee",
            "",
            node.machine.name,
        )


@rule(
    "capacity-disk-too-small",
    ERROR,
    "A file system of a node has no room for images, or for what a session writes.",
)
def capacity_disk_too_small(site: Site) -> Iterator[Problem]:
    plan = _plan(site)
    lacking = {node.machine.name: node for node in _lacking(site, "disk")}
    for node in plan.nodes:
        if disk_below_floor(site.hosts[node.machine.name]):
            continue
        images = [disk for disk in node.machine.disks if disk.holds & {"docker", "containerd"}]
        small = min((disk.total_mib for disk in images), default=LEAST_IMAGES_MIB)
        if small < LEAST_IMAGES_MIB:
            told = f"a file system of {small} MiB holds its images{_shared(node)}"
        elif node.machine.name in lacking:
            bounds = [bound for bound in lacking[node.machine.name].bounds if bound.what == "disk"]
            told = f"{min(bounds, key=lambda bound: bound.sessions).how}{_shared(node)}"
        else:
            continue
        yield Problem(
            told,
            "put /var/lib/docker, /var/lib/containerd and /var/lib/kubelet on file systems of at least "
            f"{LEAST_IMAGES_MIB} MiB, better on one of {ADVISED_DISK_GIB} GiB",
            "",
            node.machine.name,
        )


@rule("capacity-hubs-leave-nothing", WARNING, "The hubs' own pods take the memory of the last session.")
def capacity_hubs_leave_nothing(site: Site) -> Iterator[Problem]:
    plan = _whole_plan(site)
    # With one node it is that node's finding, as is a node without room for any session.
    if plan is None or len(plan.nodes) == 1 or plan.sessions or not any(n.sessions for n in plan.nodes):
        return
    count = f"{plan.hubs} hub{'' if plan.hubs == 1 else 's'}"
    left = sum(max(0, node.left_mib) for node in plan.nodes if node.machine.runs_hubs)
    yield Problem(
        f"{left} MiB are left on the nodes that run the pods of {count}, and a session beside them has no room of its own",
        "give a node more memory, or add one; `make capacity` shows where it goes",
    )


@rule("capacity-core-too-small", WARNING, "Hubs have to keep to nodes that have no memory for them.")
def capacity_core_too_small(site: Site) -> Iterator[Problem]:
    plan = _whole_plan(site) if site.text(AFFINITY) == REQUIRE else None
    core = [node for node in plan.nodes if node.machine.runs_hubs] if plan else []
    hosts = [site.hosts[node.machine.name] for node in core]
    # A node for both, or one that is too small for anything, has a rule of its own.
    if plan is None or plan.carrier or any(node.machine.runs_sessions for node in core):
        return
    needed, left = HUB_MIB * plan.hubs, sum(max(0, node.left_mib) for node in core)
    if core and left < needed and not any(memory_below_floor(site, host) for host in hosts):
        largest = max(core, key=lambda node: node.left_mib)
        yield Problem(
            f"{left} MiB are left for the pods of {plan.hubs} hub{'' if plan.hubs == 1 else 's'}, which take up to {needed}"
            f"{_shared(largest)}",
            f"give {largest.machine.name} at least {memory_floor_mib(largest, needed)} MiB, or leave a worker to core "
            f"(site_node_purposes: [core]), or set it to prefer, so that nodes for sessions bear hubs as well",
            AFFINITY,
            some_hosts([host.name for host in hosts]),
        )


@rule(
    "capacity-value-out-of-range", ERROR, "A number of sessions, builds, pods or watches is none that works."
)
def capacity_value_out_of_range(site: Site) -> Iterator[Problem]:
    for variable, (least, most) in WITHIN.items():
        for value, host in _settings(site, variable):
            if value and not least <= value <= most:
                yield Problem(
                    f"is {value}", f"use {least} to {most}, or 0 to set none; or {COUNT}", variable, host
                )


def _settings(site: Site, variable: str) -> Iterator[tuple[int, str]]:
    yield as_int(site.values.get(variable)), ""
    for host in site.nodes:
        if variable in host.variables:
            yield as_int(host.variables[variable]), host.name


@rule("quota-above-capacity", WARNING, "More sessions are allowed than the nodes bear.")
def quota_above_capacity(site: Site) -> Iterator[Problem]:
    plan, quota = _whole_plan(site), as_int(site.values.get(TOTAL))
    if plan is not None and 0 < plan.sessions < quota:
        each = ", ".join(
            f"{node.machine.name} {node.sessions} by {node.tightest.what}"
            for node in plan.nodes
            if node.sessions
        )
        yield Problem(
            f"is {quota}, and {plan.sessions} sessions fit: {each}; people beyond that wait until their launch fails",
            f"set it to {plan.sessions}, or {COUNT}",
            TOTAL,
        )


@rule("quota-of-repository-above-total", WARNING, "One repository is allowed more sessions than its hub.")
def quota_of_repository_above_total(site: Site) -> Iterator[Problem]:
    total, repo = (as_int(site.values.get(variable)) for variable in (TOTAL, REPO))
    own = [as_int(hub["total_quota"]) for hub in site.hubs.values() if hub.get("total_quota") is not None]
    of_hub = share(total, _hubs(site), own)
    # Hubs with a number of their own have a rule of their own.
    if total > 0 and of_hub < repo and len(own) < _hubs(site):
        shared = f", of which each of {_hubs(site)} hubs has {of_hub}" if _hubs(site) > 1 else ""
        yield Problem(
            f"is {repo}, and {TOTAL} is {total}{shared}, so it bounds nothing",
            f"set it below {of_hub}, or to 0 for no quota of a repository",
            REPO,
        )


@rule("builds-above-capacity", WARNING, "More builds run at once than the nodes bear.")
def builds_above_capacity(site: Site) -> Iterator[Problem]:
    plan, builds = _whole_plan(site), as_int(site.values.get(BUILDS))
    if plan is not None and 0 < plan.builds < builds:
        each = ", ".join(f"{node.machine.name} {node.builds}" for node in plan.nodes if node.builds)
        yield Problem(
            f"is {builds}, and {plan.builds} builds fit: {each}; more of them take each other's memory, and are killed",
            f"set it to {plan.builds}, or {COUNT}",
            BUILDS,
        )
