# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Faults of a node, and of values that are larger than it, before anything is counted with them.

Each has a rule that tells it. Other rules ask here and leave it out, so that one fault is one finding.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Host,
    Site,
    as_int,
    as_list,
    as_mapping,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.nodes import WORKER_MEMORY_MB
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.reservations import (
    FLOORS,
    MIB,
    Reservations,
    Wishes,
    reservations,
    wishes_of,
)

__all__ = [
    "CPU_LIMIT",
    "DISK_LIMIT",
    "DISK_NEEDED_MB",
    "MEMORY_LIMIT",
    "builds_too_large",
    "cache_most_bytes",
    "disk_below_floor",
    "disk_mb",
    "limit_exceeds",
    "memory_below_floor",
    "memory_needed_mb",
    "node_has",
    "session_amount",
    "sound_wishes",
    "split_node",
    "wishes_at",
]

CPU_LIMIT = "site_session_cpu_limit"
MEMORY_LIMIT = "site_session_memory_limit"
DISK_LIMIT = "site_session_ephemeral_storage_limit"
# What kubeadm demands of a control plane, https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/
HEAD_MEMORY_MB = 1700
# Images of one hub and its first builds.
DISK_NEEDED_MB = 5_000
# Of the memory and the disk that a machine is sold with, its kernel and its file system keep up to this part.
SOLD = 1.1
# https://jupyterhub.readthedocs.io/en/stable/reference/api/spawner.html#jupyterhub.spawner.Spawner.mem_limit
BINARY = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
QUANTITIES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12} | {
    f"{unit}i": size for unit, size in BINARY.items() if unit
}


def session_amount(variable: str, value: Any) -> float | None:
    """Read a session's limit or guarantee, `value` of `variable`: processors or bytes; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    units: Mapping[str, int] = QUANTITIES if "storage" in variable else {} if "cpu" in variable else BINARY
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,6})?)([A-Za-z]{0,2})", str(value).strip())
    unit = units.get(found[2]) if found and units else 1 if found and not found[2] else None
    return float(found[1]) * unit if found and unit else None


def memory_needed_mb(site: Site, host: Host) -> int:
    """Without so much memory a machine is no node."""
    return HEAD_MEMORY_MB if host in site.members("head") else WORKER_MEMORY_MB


def memory_below_floor(site: Site, host: Host) -> bool:
    """Whether a node has too little memory for anything."""
    return 0 < as_int(host.facts.get("memtotal_mb")) < memory_needed_mb(site, host)


def disk_mb(host: Host) -> int:
    """Size of the file system that holds images, the smallest where they are several; 0 where it cannot be told."""
    told = as_mapping(host.probe.get("disk"))
    mounts = [as_int(as_mapping(entry).get("size_mb")) for entry in as_list(told.get("mounts"))]
    return min(mounts, default=as_int(told.get("size_mb")))


def disk_below_floor(host: Host) -> bool:
    """Whether the disk of a node, were it empty, would be too small for anything."""
    return 0 < disk_mb(host) < DISK_NEEDED_MB


def node_has(site: Site, host: Host, limit: str) -> float:
    """What a node has of what a session's limit bounds; 0 where nobody knows, and where it is too little for anything."""
    if limit == CPU_LIMIT:
        return as_int(host.facts.get("processor_vcpus"))
    if limit == MEMORY_LIMIT:
        return 0.0 if memory_below_floor(site, host) else as_int(host.facts.get("memtotal_mb")) * float(MIB)
    return 0.0 if disk_below_floor(host) else disk_mb(host) * 1e6


def limit_exceeds(site: Site, host: Host, limit: str) -> bool:
    """Whether a session may use more than the node has."""
    most, has = session_amount(limit, site.values.get(limit)), node_has(site, host, limit)
    return most is not None and 0 < has * (1 if limit == CPU_LIMIT else SOLD) < most


def wishes_at(site: Site, host: Host) -> Wishes:
    """Read what the site says of one node's builds and disk."""
    return wishes_of({**site.values, **host.variables}, builds_here=site.builds_on(host))


def split_node(site: Site, host: Host) -> tuple[int, Reservations]:
    """Give a node's memory in bytes, 0 where it did not tell, and how it is divided."""
    memory = as_int(host.facts.get("memtotal_mb")) * MIB
    cpus = max(1, as_int(host.facts.get("processor_vcpus")))
    return memory, reservations(memory, cpus, disk_mb(host) * 1_000_000, wishes_at(site, host))


def builds_too_large(site: Site, host: Host) -> bool:
    """Whether the memory that the site wishes for builds leaves none for pods."""
    memory, told = split_node(site, host)
    wished = wishes_at(site, host).builds_memory_bytes
    return bool(memory and wished) and told.allocatable_memory_bytes < FLOORS.pods_memory_bytes


def cache_most_bytes(site: Site, host: Host) -> int:
    """Give the largest build cache that fits, where the site wishes for a larger one; else 0.

    It is half of what may be full before anything is removed early; the rest is images.
    """
    wishes, disk = wishes_at(site, host), disk_mb(host) * 1_000_000
    most = disk * wishes.prune_above_percent // 200
    return most if disk and wishes.builds_here and wishes.build_cache_bytes > most else 0


def sound_wishes(site: Site, host: Host) -> Wishes:
    """The wishes for a node without those that are too large for it."""
    wishes = wishes_at(site, host)
    if builds_too_large(site, host):
        wishes = replace(wishes, builds_memory_bytes=0)
    return replace(wishes, build_cache_bytes=0) if cache_most_bytes(site, host) else wishes
