# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A node divided: by case, and by what has to hold for every machine."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.ironbinder.platform.plugins.filter.node_reservations import node_reservations
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.reservations import (
    GIB,
    MIB,
    Reservations,
    Wishes,
    kubelet_settings,
    reservations,
)

# Half a worker of the smallest kind up to a machine that fills a rack unit.
MEMORIES = [1700 * 10**6, 2 * GIB, 4 * GIB, 16 * GIB, 25_169_936_384, 64 * GIB, 1536 * GIB]
CPUS = [1, 2, 4, 16, 256]
DISKS = [6 * GIB, 20 * GIB, 252 * GIB, 4096 * GIB]
MACHINES = [list(itertools.product([memory], CPUS, DISKS, [True, False])) for memory in MEMORIES]

Machines = list[tuple[int, int, int, bool]]


def divide(memory: int, cpus: int, disk: int, builds: bool) -> Reservations:
    return reservations(memory, cpus, disk, Wishes(builds_here=builds))


@pytest.mark.parametrize(
    ("machine", "wishes", "expected"),
    [
        (
            (16 * GIB, 4, 100 * GIB),
            {},
            {
                "builds_memory_bytes": 4 * GIB,
                "builds_millicores": 2000,
                "builds_tasks": 4096,
                "build_cache_bytes": 15 * GIB,
                "kubelet_memory_bytes": 640 * MIB,
                "system_memory_bytes": 4 * GIB + 448 * MIB,
                "reserved_millicores": 700,
                "system_disk_bytes": 20 * GIB,
                "eviction_memory_bytes": 163 * MIB,
                "eviction_disk_bytes": 10 * GIB,
            },
        ),
        ((16 * GIB, 4, 100 * GIB), {"builds_here": False}, {"system_memory_bytes": 448 * MIB}),
        ((16 * GIB, 4, 100 * GIB), {"builds_here": False}, {"reserved_millicores": 200}),
        ((16 * GIB, 4, 100 * GIB), {"builds_here": False}, {"system_disk_bytes": 5 * GIB}),
        ((2 * GIB, 1, 6 * GIB), {}, {"builds_memory_bytes": 512 * MIB, "builds_millicores": 1000}),
        ((2 * GIB, 1, 6 * GIB), {}, {"build_cache_bytes": GIB}),
        ((16 * GIB, 4, 0), {}, {"build_cache_bytes": GIB, "allocatable_disk_bytes": 0}),
        ((1024 * GIB, 64, 8192 * GIB), {}, {"builds_memory_bytes": 16 * GIB, "builds_tasks": 16384}),
        (
            (1024 * GIB, 64, 8192 * GIB),
            {},
            {"build_cache_bytes": 50 * GIB, "eviction_disk_bytes": 20 * GIB},
        ),
        (
            (16 * GIB, 4, 100 * GIB),
            {
                "builds_memory_bytes": GIB,
                "builds_cpu_percent": 100,
                "builds_tasks": 600,
                "build_cache_bytes": 2 * GIB,
            },
            {
                "builds_memory_bytes": GIB,
                "builds_millicores": 4000,
                "builds_tasks": 600,
                "build_cache_bytes": 2 * GIB,
            },
        ),
    ],
)
def test_a_machine(machine: tuple[int, int, int], wishes: dict[str, Any], expected: dict[str, int]) -> None:
    told = reservations(*machine, Wishes(**wishes)).as_data()
    assert {name: told[name] for name in expected} == expected


@pytest.mark.parametrize("machines", MACHINES, ids=MEMORIES)
def test_nothing_is_promised_twice(machines: Machines) -> None:
    """What builds may take is out of reach for pods, and all parts together are no more than the machine."""
    for memory, cpus, disk, builds in machines:
        told = divide(memory, cpus, disk, builds)
        parts = told.system_memory_bytes + told.kubelet_memory_bytes + told.eviction_memory_bytes
        assert parts + told.allocatable_memory_bytes == memory
        assert not builds or told.system_memory_bytes >= told.builds_memory_bytes
        assert not builds or told.system_tasks > told.builds_tasks
        assert told.builds_millicores <= max(1000, cpus * 1000)
        assert 0 < told.allocatable_millicores < cpus * 1000
        assert 0 < told.build_cache_bytes <= disk // 4


@pytest.mark.parametrize("machines", MACHINES, ids=MEMORIES)
def test_the_disk_fills_in_order(machines: Machines) -> None:
    """Docker is pruned, then images are cleaned, then pods are evicted softly, then at once."""
    for machine in machines:
        told, disk = divide(*machine), machine[2]
        soft, hard = (
            100 - 100 * free / disk for free in (told.eviction_soft_disk_bytes, told.eviction_disk_bytes)
        )
        assert told.prune_above_percent < told.image_gc_high_percent < soft < hard < 100


@pytest.mark.parametrize("machines", MACHINES, ids=MEMORIES)
def test_the_kubelet_takes_the_settings(machines: Machines) -> None:
    """Rules of the kubelet's own validation: a grace period for each soft signal, and soft before hard."""
    for machine in machines:
        settings = kubelet_settings(divide(*machine))
        assert set(settings["evictionSoft"]) == set(settings["evictionSoftGracePeriod"])
        assert set(settings["evictionSoft"]) <= set(settings["evictionHard"])
        assert settings["imageGCLowThresholdPercent"] < settings["imageGCHighThresholdPercent"]
        for signal, soft in settings["evictionSoft"].items():
            hard = settings["evictionHard"][signal]
            assert soft.lstrip("0123456789") == hard.lstrip("0123456789")
            assert int(soft.rstrip("MGi%")) > int(hard.rstrip("MGi%"))


def test_a_kernel_that_tells_a_little_less_changes_nothing() -> None:
    """Another kernel on the same machine must not restart its kubelet."""
    before = kubelet_settings(reservations(25_169_936_384, 8, 252 * GIB))
    assert kubelet_settings(reservations(25_169_936_384 - 3 * MIB, 8, 252 * GIB - 100 * MIB)) == before


@pytest.mark.parametrize(("gib", "more_gib"), [(200, 8), (1000, 40), (5000, 100)])
def test_a_file_system_whose_size_moves_changes_nothing(gib: int, more_gib: int) -> None:
    """ZFS and btrfs tell as the size of one file system what others of the same pool leave it."""
    before = kubelet_settings(reservations(16 * GIB, 4, gib * GIB))
    assert kubelet_settings(reservations(16 * GIB, 4, (gib + more_gib) * GIB)) == before


def test_the_filter() -> None:
    machine = {"memory_bytes": 16 * GIB, "cpus": 4, "disk_bytes": 100 * GIB, "cgroup_version": 2}
    told = node_reservations(machine, builds_memory_mib=1024, build_cache_gib=3, builds_tasks="700")
    assert told["builds"] == {"memory_bytes": GIB, "millicores": 2000, "tasks": 700}
    assert told["build_cache_bytes"] == 3 * GIB
    assert told["kubelet"]["systemReserved"]["memory"] == f"{1024 + 448}Mi"
    assert told["kubelet"]["evictionHard"]["nodefs.available"] == "10%"
    huge = node_reservations({**machine, "disk_bytes": 4096 * GIB}, eviction_disk_percent=5)
    assert huge["kubelet"]["evictionSoft"]["imagefs.available"] == "30Gi"


@pytest.mark.parametrize("machine", [{}, None, {"memory_bytes": "much", "cpus": 1, "disk_bytes": 1}])
def test_the_filter_refuses_what_is_no_machine(machine: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="machine_limits_info"):
        node_reservations(machine)
