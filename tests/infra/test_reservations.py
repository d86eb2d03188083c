# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Kubelets keep back what builds may take, and act on a full disk after Docker was pruned. They are asked, not their files."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from live_site import Site

testinfra_hosts = ["ansible://head"]

# What is kept back moves in steps of so much.
STEP_MIB = 64


@pytest.fixture
def kubelets(kubectl: Callable[..., Any], site: Site) -> dict[str, Any]:
    """Return the configuration that each node's kubelet runs with."""
    return {
        name: json.loads(kubectl("get", "--raw", f"/api/v1/nodes/{name}/proxy/configz", output=""))[
            "kubeletconfig"
        ]
        for name in site.hosts("head", "workers")
    }


def mebibytes(quantity: str) -> int:
    assert quantity.endswith("Mi"), quantity
    return int(quantity[:-2])


def part(memory: int, percent: int, least: int, most: int) -> int:
    return max(least, min(most, memory * percent // 100 // STEP_MIB * STEP_MIB))


def test_what_builds_may_take_is_kept_back(
    kubectl: Callable[..., Any], kubelets: dict[str, Any], site: Site
) -> None:
    for node in kubectl("get", "nodes")["items"]:
        name = node["metadata"]["name"]
        told = site.variables(name)
        memory = int(node["status"]["capacity"]["memory"].rstrip("Ki")) // 1024
        builds = told["site_builds_memory_max_mib"] or part(memory, 25, 512, 16 * 1024)
        wanted = part(memory, 3, 256, 1024) + (builds if told["site_node_builds"] else 0)
        # What a kernel tells of its memory moves by some MiB, and may so cross the edge of a step in each part.
        kept = mebibytes(kubelets[name]["systemReserved"]["memory"])
        assert abs(kept - wanted) <= 2 * STEP_MIB, (name, memory, kept, wanted)


def test_the_scheduler_knows_it(kubectl: Callable[..., Any], kubelets: dict[str, Any]) -> None:
    for node in kubectl("get", "nodes")["items"]:
        status, settings = node["status"], kubelets[node["metadata"]["name"]]
        capacity, allocatable = (
            int(status[key]["memory"].rstrip("Ki")) // 1024 for key in ("capacity", "allocatable")
        )
        back = mebibytes(settings["systemReserved"]["memory"]) + mebibytes(settings["kubeReserved"]["memory"])
        assert capacity - allocatable >= back


def test_docker_is_pruned_before_any_kubelet_acts(kubelets: dict[str, Any], site: Site) -> None:
    for name, settings in kubelets.items():
        prune = site.variables(name)["site_docker_prune_above_percent"]
        assert prune < settings["imageGCHighThresholdPercent"], name
        assert {"memory.available", "nodefs.available", "imagefs.available"} <= set(settings["evictionSoft"])
        assert settings["evictionHard"]["pid.available"] == "5%"
