# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a node keeps back from pods: for its system, for the kubelet, and for the builds of its Docker.

Memory that is promised twice ends in an OOM kill of whoever is largest, so what builds may take is set aside whole. Processor
time that nobody uses is everybody's: builds are held to a quota, and only a part of it is set aside. On the disk the order is
what counts: Docker is pruned first, then the kubelet cleans containerd's images, then it evicts softly, and last at once.

https://kubernetes.io/docs/tasks/administer-cluster/reserve-compute-resources/
https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import as_int

__all__ = ["FLOORS", "Reservations", "Wishes", "kubelet_settings", "reservations", "wishes_of"]

MIB, GIB = 1 << 20, 1 << 30
# Kernels of one machine differ by some MB in what they tell of its memory, and a value that moves would restart kubelets.
STEP_BYTES = 64 * MIB
# Of a node's memory, with what is never gone below and never beyond. Half a GiB solves no environment, and beyond 16 GiB
# it is sessions that people wait for.
BUILDS = (25, 512 * MIB, 16 * GIB)
SYSTEM = (3, 256 * MIB, GIB)
KUBELET = (4, 256 * MIB, GIB)
# Hard eviction: the kubelet's own 100 MiB are too late on a machine that fills by gigabytes a second.
EVICTION_MEMORY = (1, 100 * MIB, 512 * MIB)
BUILDS_CPU_PERCENT = 50
# Set aside for builds, of each processor; of the rest they take what nobody else wants.
BUILDS_MILLICORES_PER_CPU = 125
OWN_MILLICORES = 100
# Each processor keeps some compilers busy; a fork bomb has to stay far below the kernel's 32768 all the same.
TASKS_BASE, TASKS_PER_CPU, TASKS_MOST = 2048, 512, 16384
SYSTEM_TASKS = 1024
# Of the disk: Docker's build cache, and what else is not the pods'.
CACHE = (15, GIB, 50 * GIB)
SYSTEM_DISK_PERCENT = 5
# A tenth of a disk of many terabytes is more than any eviction has to wait for.
EVICTION_DISK_MOST_BYTES = 20 * GIB
SOFT_SHARE = 1.5
SOFT_GRACE = "1m30s"
# How long a pod that is evicted softly may take to end.
SOFT_POD_SECONDS = 60


@dataclass(frozen=True)
class Floors:
    """Below these nothing works: bytes, and for the pods of a node all that is left to them."""

    builds_memory_bytes: int = 512 * MIB
    build_cache_bytes: int = GIB
    builds_tasks: int = 512
    pods_memory_bytes: int = 512 * MIB


FLOORS = Floors()


@dataclass(frozen=True)
class Wishes:
    """What a site says of its nodes. 0 stands for what the machine's size suggests.

    `builds_here` is whether this node builds; where it does not, nothing is set aside for builds. Percentages are
    of the disk, but for `builds_cpu_percent`, which is of all processors together.
    """

    builds_here: bool = True
    builds_memory_bytes: int = 0
    builds_cpu_percent: int = 0
    builds_tasks: int = 0
    build_cache_bytes: int = 0
    prune_above_percent: int = 70
    image_gc_high_percent: int = 80
    image_gc_low_percent: int = 70
    eviction_disk_percent: int = 10


def wishes_of(values: Mapping[str, Any], builds_here: bool) -> Wishes:
    """Read a site's words from its values, as one host sees them. What is no number counts as the default."""

    def number(variable: str, default: int = 0) -> int:
        return as_int(values.get(variable), default)

    return Wishes(
        builds_here=builds_here,
        builds_memory_bytes=number("site_builds_memory_max_mib") * MIB,
        builds_cpu_percent=number("site_builds_cpu_max_percent"),
        builds_tasks=number("site_builds_tasks_max"),
        build_cache_bytes=number("site_docker_build_cache_max_gib") * GIB,
        prune_above_percent=number("site_docker_prune_above_percent", 70),
        image_gc_high_percent=number("site_image_gc_high_percent", 80),
        image_gc_low_percent=number("site_image_gc_low_percent", 70),
        eviction_disk_percent=number("site_eviction_disk_percent", 10),
    )


@dataclass(frozen=True)
class Reservations:
    """Bytes, thousandths of a processor, numbers of tasks, and percentages of the disk.

    `builds_*` bound the slice of builds, whether or not this node builds. `reserved_*` are out of reach for pods: system,
    kubelet, and builds where the node builds. `allocatable_*` is what the scheduler gives to pods. A disk of 0 bytes
    is one of which nothing is known.
    """

    builds_memory_bytes: int
    builds_millicores: int
    builds_tasks: int
    build_cache_bytes: int
    system_memory_bytes: int
    system_millicores: int
    system_disk_bytes: int
    system_tasks: int
    kubelet_memory_bytes: int
    kubelet_millicores: int
    eviction_memory_bytes: int
    eviction_soft_memory_bytes: int
    eviction_disk_bytes: int
    eviction_soft_disk_bytes: int
    eviction_disk_percent: int
    prune_above_percent: int
    image_gc_high_percent: int
    image_gc_low_percent: int
    reserved_memory_bytes: int
    reserved_millicores: int
    allocatable_memory_bytes: int
    allocatable_millicores: int
    allocatable_disk_bytes: int

    def as_data(self) -> dict[str, int]:
        """The numbers by name."""
        return asdict(self)


def _share(whole: int, rule: tuple[int, int, int], step: int = STEP_BYTES) -> int:
    """A percentage of `whole`, in whole steps, within bounds."""
    percent, least, most = rule
    return max(least, min(most, whole * percent // 100 // step * step))


def _coarse(size: int) -> int:
    """A size in steps of an eighth to a quarter of it, at least GiB: a size that moves all day would restart kubelets.

    ZFS and btrfs tell as the size of one file system what others of the same pool leave it.
    """
    step = max(GIB, 1 << max(0, size.bit_length() - 3))
    return size // step * step


def reservations(memory_bytes: int, cpus: int, disk_bytes: int, wishes: Wishes | None = None) -> Reservations:
    """Divide a node between pods, builds and itself.

    Args:
        memory_bytes: all of its memory.
        cpus: its processors, at least one.
        disk_bytes: the file system of Docker, containerd and the kubelet; the smallest, where they are several.
        wishes: what the site says.
    """
    wishes = wishes or Wishes()
    builds_memory = wishes.builds_memory_bytes or _share(memory_bytes, BUILDS)
    # One processor at least: a build that is given less takes longer than people wait.
    quota = max(1000, cpus * 10 * (wishes.builds_cpu_percent or BUILDS_CPU_PERCENT))
    cache = wishes.build_cache_bytes or min(_share(disk_bytes, CACHE, GIB), disk_bytes // 4 or CACHE[1])
    tasks = wishes.builds_tasks or min(TASKS_MOST, TASKS_BASE + TASKS_PER_CPU * cpus)
    of_builds = int(wishes.builds_here)
    system, kubelet = _share(memory_bytes, SYSTEM), _share(memory_bytes, KUBELET)
    system_disk = _coarse(of_builds * cache + disk_bytes * SYSTEM_DISK_PERCENT // 100)
    reserved_memory = system + kubelet + of_builds * builds_memory
    reserved_millicores = 2 * OWN_MILLICORES + of_builds * min(quota, BUILDS_MILLICORES_PER_CPU * cpus)
    eviction_memory = _share(memory_bytes, EVICTION_MEMORY, MIB)
    eviction_disk = min(disk_bytes * wishes.eviction_disk_percent // 100, EVICTION_DISK_MOST_BYTES)
    return Reservations(
        builds_memory_bytes=builds_memory,
        builds_millicores=quota,
        builds_tasks=tasks,
        build_cache_bytes=cache,
        system_memory_bytes=reserved_memory - kubelet,
        system_millicores=reserved_millicores - OWN_MILLICORES,
        system_disk_bytes=system_disk,
        system_tasks=SYSTEM_TASKS + of_builds * tasks,
        kubelet_memory_bytes=kubelet,
        kubelet_millicores=OWN_MILLICORES,
        eviction_memory_bytes=eviction_memory,
        eviction_soft_memory_bytes=2 * eviction_memory,
        eviction_disk_bytes=eviction_disk,
        eviction_soft_disk_bytes=int(eviction_disk * SOFT_SHARE),
        eviction_disk_percent=wishes.eviction_disk_percent,
        prune_above_percent=wishes.prune_above_percent,
        image_gc_high_percent=wishes.image_gc_high_percent,
        image_gc_low_percent=wishes.image_gc_low_percent,
        reserved_memory_bytes=reserved_memory,
        reserved_millicores=reserved_millicores,
        allocatable_memory_bytes=max(0, memory_bytes - reserved_memory - eviction_memory),
        allocatable_millicores=max(0, cpus * 1000 - reserved_millicores),
        allocatable_disk_bytes=max(0, disk_bytes - system_disk - eviction_disk),
    )


def _disk(told: Reservations, factor: float) -> str:
    """A threshold of the disk. A percentage as long as it can be one, since some file systems change their size all day."""
    if told.eviction_disk_bytes < EVICTION_DISK_MOST_BYTES:
        return f"{int(told.eviction_disk_percent * factor)}%"
    return f"{int(EVICTION_DISK_MOST_BYTES * factor) // GIB}Gi"


def kubelet_settings(told: Reservations) -> Mapping[str, Any]:
    """Give the part of a KubeletConfiguration that follows. Whole maps: what they leave out, the kubelet counts as 0."""
    hard, soft = _disk(told, 1), _disk(told, SOFT_SHARE)
    memory = {"memory.available": f"{told.eviction_memory_bytes // MIB}Mi"}
    soft_signals = {
        "memory.available": f"{told.eviction_soft_memory_bytes // MIB}Mi",
        "nodefs.available": soft,
        "imagefs.available": soft,
    }
    return {
        "imageGCHighThresholdPercent": told.image_gc_high_percent,
        "imageGCLowThresholdPercent": told.image_gc_low_percent,
        "evictionHard": {
            **memory,
            "nodefs.available": hard,
            "nodefs.inodesFree": "5%",
            "imagefs.available": hard,
            "imagefs.inodesFree": "5%",
            "pid.available": "5%",
        },
        "evictionSoft": soft_signals,
        "evictionSoftGracePeriod": dict.fromkeys(soft_signals, SOFT_GRACE),
        "evictionMaxPodGracePeriod": SOFT_POD_SECONDS,
        "systemReserved": {
            "cpu": f"{told.system_millicores}m",
            "memory": f"{told.system_memory_bytes // MIB}Mi",
            "ephemeral-storage": f"{told.system_disk_bytes // GIB}Gi",
            "pid": str(told.system_tasks),
        },
        "kubeReserved": {
            "cpu": f"{told.kubelet_millicores}m",
            "memory": f"{told.kubelet_memory_bytes // MIB}Mi",
        },
    }
