# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about what the nodes bear: room for a session on each, and quota that fit them."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.capacity import (
    KUBELET_MAX_PODS,
    LEAST_PODS,
    MOST_PODS,
    NodePlan,
    SitePlan,
    memory_floor_mib,
    plan_site,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.capacity_site import (
    seen_nodes,
    session_of,
    wishes_for_builds,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site, as_int
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.nodes import WORKER_MEMORY_MB
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule

TOTAL, REPO, BUILDS = "site_total_quota", "site_per_repo_quota", "site_parallel_builds"
MAX_PODS = "site_max_pods"
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


def _plan(site: Site) -> SitePlan:
    """Plan the nodes that were seen, as the site is."""
    return plan_site(
        seen_nodes(site).machines, session_of(site), _hubs(site), _max_pods(site), wishes_for_builds(site)
    )


def _whole_plan(site: Site) -> SitePlan | None:
    """Plan the site; None where a node is unknown, or where there is none, as a sum would then say nothing."""
    seen = seen_nodes(site)
    return None if seen.unknown or not seen.machines else _plan(site)


def _lacking(site: Site, what: str) -> Iterator[NodePlan]:
    """Give the nodes for sessions on which a resource leaves no room for one; where there are several, without hubs."""
    machines = seen_nodes(site).machines
    hubs = 0 if len(machines) > 1 else _hubs(site)
    alone = plan_site(machines, session_of(site), hubs, MOST_PODS, wishes_for_builds(site))
    for node in alone.nodes:
        bounds = [bound for bound in node.bounds if bound.what == what]
        if node.machine.runs_sessions and any(bound.sessions < 1 for bound in bounds):
            yield node


def _shared(node: NodePlan) -> str:
    sharers = node.machine.sharers
    return f" (a part of a computer that {sharers} nodes share)" if sharers > 1 else ""


@rule("capacity-memory-too-small", ERROR, "A node that is to run sessions has no memory left for one.")
def capacity_memory_too_small(site: Site) -> Iterator[Problem]:
    for node in _lacking(site, "memory"):
        whole = as_int(site.hosts[node.machine.name].facts.get("memtotal_mb"))
        if whole < WORKER_MEMORY_MB and not node.machine.is_head:
            continue  # memory-too-small
        needed = memory_floor_mib(node, session_of(site))
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
    of_hub = max(1, total // _hubs(site))
    if total > 0 and of_hub < repo:
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
