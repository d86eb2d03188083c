# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about what builds may take and leave, and about what follows when a disk fills."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.answers import some_hosts
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Host,
    Site,
    as_int,
    as_list,
    as_mapping,
    as_text,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.node_faults import (
    builds_too_large,
    cache_most_bytes,
    disk_mb,
    split_node,
    wishes_at,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.registry import PREFIX
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.reservations import (
    FLOORS,
    GIB,
    MIB,
    wishes_of,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule

MEMORY = "site_builds_memory_max_mib"
CACHE = "site_docker_build_cache_max_gib"
PRUNE = "site_docker_prune_above_percent"
HIGH, LOW = "site_image_gc_high_percent", "site_image_gc_low_percent"
EVICTION = "site_eviction_disk_percent"
CONTAINERD = "site_containerd_package"
# What docker-ce depends on. Its fields name a conflict with every other package of containerd and runc.
FOR_DOCKER = "containerd.io"
DAYS, EXEMPT = "site_registry_retention_days", "site_registry_retention_exempt"
# Lowest and highest value of each, whether 0 leaves it to the machine, and why there is a bound.
BOUNDS: Mapping[str, tuple[int, int, bool, str]] = {
    MEMORY: (FLOORS.builds_memory_bytes // MIB, 1 << 24, True, "no environment is solved with less"),
    "site_builds_cpu_max_percent": (1, 100, True, "it is a percentage of all processors of a node"),
    "site_builds_tasks_max": (FLOORS.builds_tasks, 1 << 22, True, "a parallel compilation takes as many"),
    CACHE: (FLOORS.build_cache_bytes // GIB, 1 << 20, True, "with less every build begins from nothing"),
    "site_docker_image_max_age_hours": (1, 1 << 16, False, "a build that has just ended is still pushed"),
    PRUNE: (20, 90, False, "below it there is nothing but the system, and above it is too late"),
    "site_docker_prune_interval_minutes": (1, 60, False, "a build can fill a disk in less than an hour"),
    HIGH: (30, 95, False, "the kubelet cleans up images there"),
    LOW: (20, 90, False, "the kubelet cleans up images down to there"),
    EVICTION: (2, 40, False, "the kubelet evicts there, and needs room to do it"),
    "site_registry_garbage_hour": (0, 23, False, "it is an hour of the day"),
    DAYS: (0, 1 << 16, False, "it is a number of days"),
}


def _words(site: Site) -> Iterator[tuple[Mapping[str, Any], Host | None]]:
    """Give what the site says, and what it says of each node that is an exception."""
    yield site.values, None
    for host in site.nodes:
        if any(variable in host.variables for variable in BOUNDS):
            yield {**site.values, **host.variables}, host


def _name(host: Host | None) -> str:
    return host.name if host else ""


@rule("builds-value-out-of-range", ERROR, "A bound of builds, disks or the registry is no sensible number.")
def builds_value_out_of_range(site: Site) -> Iterator[Problem]:
    for values, host in _words(site):
        for variable, (least, most, may_be_zero, why) in BOUNDS.items():
            value = as_int((host.variables if host else values).get(variable), least)
            if not least <= value <= most and not (may_be_zero and value == 0):
                zero = "0, which leaves it to the machine, or " if may_be_zero else ""
                yield Problem(
                    f"is {value}: {why}", f"set it to {zero}{least} to {most}", variable, _name(host)
                )


@rule(
    "image-cleanup-reversed",
    ERROR,
    "The kubelet is to clean up images down to more than where it begins.",
    acceptable=False,
)
def image_cleanup_reversed(site: Site) -> Iterator[Problem]:
    for values, host in _words(site):
        wishes = wishes_of(values, builds_here=True)
        high, low = wishes.image_gc_high_percent, wishes.image_gc_low_percent
        if low >= high:
            yield Problem(
                f"is {low}, and {HIGH} is {high}: the kubelet does not start with that",
                f"set {LOW} below {HIGH}, such as 70 and 80",
                LOW,
                _name(host),
            )


@rule("prune-too-late", ERROR, "The kubelet acts on a full disk before Docker is pruned.")
def prune_too_late(site: Site) -> Iterator[Problem]:
    for values, host in _words(site):
        wishes = wishes_of(values, builds_here=True)
        prune, high = wishes.prune_above_percent, wishes.image_gc_high_percent
        soft = 100 - wishes.eviction_disk_percent * 3 // 2
        if prune >= high:
            yield Problem(
                f"is {prune}, and the kubelet removes images of sessions above {high} ({HIGH})",
                f"set it below {HIGH}: what builds left is to go first",
                PRUNE,
                _name(host),
            )
        if high >= soft:
            yield Problem(
                f"is {high}, and the kubelet begins to evict pods above {soft} ({EVICTION} is {wishes.eviction_disk_percent})",
                f"set it below {soft}, or lower {EVICTION}: images are to go before pods",
                HIGH,
                _name(host),
            )


def _once(hosts: Iterable[Host], variable: str, size: Callable[[Host], int]) -> Iterator[tuple[Host, str]]:
    """Give each host that has a value of its own, and the smallest of those that share the site's; and who is told."""
    shared = []
    for host in hosts:
        if variable in host.variables:
            yield host, host.name
        else:
            shared.append(host)
    shared.sort(key=size)
    if shared:
        yield shared[0], some_hosts([host.name for host in shared])


@rule(
    "builds-exceed-memory",
    ERROR,
    "Builds and a node's own needs leave no memory for pods.",
    acceptable=False,
)
def builds_exceed_memory(site: Site) -> Iterator[Problem]:
    hosts = [host for host in site.seen("head", "workers") if builds_too_large(site, host)]
    for host, named in _once(hosts, MEMORY, lambda host: split_node(site, host)[0]):
        memory, told = split_node(site, host)
        yield Problem(
            f"of {memory // MIB} MiB, {told.builds_memory_bytes // MIB} for builds and "
            f"{(told.reserved_memory_bytes - told.builds_memory_bytes) // MIB} for the system leave "
            f"{told.allocatable_memory_bytes // MIB} MiB for pods",
            f"leave at least {FLOORS.pods_memory_bytes // MIB} MiB: lower it, or 0 for a quarter of the node's memory",
            MEMORY,
            named,
        )


@rule("build-cache-exceeds-disk", ERROR, "A node's disk cannot hold the build cache that Docker is to keep.")
def build_cache_exceeds_disk(site: Site) -> Iterator[Problem]:
    hosts = [host for host in site.seen("head", "workers") if cache_most_bytes(site, host)]
    for host, named in _once(hosts, CACHE, lambda host: cache_most_bytes(site, host)):
        disk = disk_mb(host) * 1_000_000
        yield Problem(
            f"is {wishes_at(site, host).build_cache_bytes // GIB} GiB, and the disk under /var/lib has {disk // GIB}",
            f"set it to at most {cache_most_bytes(site, host) // GIB}, half of what may be full ({PRUNE}); "
            "or to 0 for 15 % of the disk",
            CACHE,
            named,
        )


@rule("builds-unbounded", WARNING, "The kernel of a node does not bound builds.")
def builds_unbounded(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers"):
        builds = as_mapping(host.probe.get("builds"))
        # The slice is there once role docker has run.
        if builds.get("slice") is True and builds.get("memory_bytes") is None:
            yield Problem(
                "has the slice ironbinder-builds.slice, but no limit of its memory in /sys/fs/cgroup: a build may take all",
                "see `systemctl status ironbinder-builds.slice`; the machine needs the cgroup controllers cpu, memory and pids",
                MEMORY,
                host.name,
            )


@rule("retention-without-registry", WARNING, "Images are to go from a registry that is not Ironbinder's.")
def retention_without_registry(site: Site) -> Iterator[Problem]:
    days = as_int(site.values.get(DAYS))
    if days > 0 and not site.members("registry"):
        yield Problem(
            f"is {days}, and the site has no host in the group registry",
            f"set a rule at {as_text(site.values.get('site_registry_host')) or 'the registry'} itself, and this to 0",
            DAYS,
        )


@rule("retention-exempt-elsewhere", WARNING, "An image is exempt from a rule that does not reach it.")
def retention_exempt_elsewhere(site: Site) -> Iterator[Problem]:
    prefix = site.text(PREFIX)
    for entry in as_list(site.values.get(EXEMPT)):
        if prefix and not (as_text(entry).startswith(prefix) or prefix.startswith(as_text(entry) or "\0")):
            yield Problem(
                f"names {str(entry)[:80]!r}, and only images below {prefix} ({PREFIX}) ever go",
                f"write it without the registry's host, such as {prefix}course:2026; or remove it",
                EXEMPT,
            )


@rule(
    "builds-need-containerd-io",
    ERROR,
    "A node that builds is to have a containerd beside which its Docker cannot be installed.",
)
def builds_need_containerd_io(site: Site) -> Iterator[Problem]:
    wrong: dict[str, list[str]] = {}
    for host in filter(site.builds_on, site.nodes):
        package = as_text(host.variables.get(CONTAINERD, site.values.get(CONTAINERD)))
        if package not in ("", FOR_DOCKER):
            wrong.setdefault(package, []).append(host.name)
    for package, names in wrong.items():
        yield Problem(
            f"is {package[:40]}, and docker-ce, which builds there, needs {FOR_DOCKER} and conflicts with others",
            f"set it to {FOR_DOCKER}, or have no builds there (site_build_node_selector); accept this where the package says "
            f"that it provides {FOR_DOCKER}",
            CONTAINERD,
            some_hosts(names),
        )
