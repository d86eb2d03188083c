# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/builds.py by a bad site of its own. The good site's workers have 16 GB and 100 GB."""

from __future__ import annotations

import pytest
from site_cases import Case, case, found, probe, rules_in, texts, value

RANGE = "builds-value-out-of-range"
PRUNE, HIGH, LOW = (
    "site_docker_prune_above_percent",
    "site_image_gc_high_percent",
    "site_image_gc_low_percent",
)
MEMORY, CACHE = "site_builds_memory_max_mib", "site_docker_build_cache_max_gib"
CONTAINERD = "site_containerd_package"
DAYS, EXEMPT = "site_registry_retention_days", "site_registry_retention_exempt"


def out_of_range(variable: str, content: int) -> Case:
    return value(f"{variable} {content}", variable, content, (RANGE, variable, ""))


CASES = [
    out_of_range(MEMORY, 100),
    out_of_range(MEMORY, -1),
    out_of_range("site_builds_cpu_max_percent", 150),
    out_of_range("site_builds_tasks_max", 10),
    out_of_range(CACHE, -5),
    out_of_range("site_docker_image_max_age_hours", 0),
    out_of_range(PRUNE, 5),
    out_of_range("site_docker_prune_interval_minutes", 0),
    out_of_range("site_docker_prune_interval_minutes", 600),
    out_of_range("site_eviction_disk_percent", 0),
    out_of_range("site_registry_garbage_hour", 24),
    out_of_range("site_registry_garbage_hour", -1),
    out_of_range(DAYS, -1),
    value("nothing wished for", MEMORY, 0),
    value("half a node for builds", MEMORY, 8000),
    value(
        "all of a node for builds",
        MEMORY,
        16000,
        ("builds-exceed-memory", MEMORY, "worker1 and 1 more"),
    ),
    case(
        "of one node",
        {f"hosts/worker1/variables/{MEMORY}": 16000},
        ("builds-exceed-memory", MEMORY, "worker1"),
    ),
    case(
        "out of range on one node",
        {"hosts/worker1/variables/site_builds_tasks_max": 1},
        (RANGE, "site_builds_tasks_max", "worker1"),
    ),
    value("prune with the kubelet", PRUNE, 80, ("prune-too-late", PRUNE, "")),
    value("prune after the kubelet", PRUNE, 85, ("prune-too-late", PRUNE, "")),
    value("images after pods", HIGH, 90, ("prune-too-late", HIGH, "")),
    value("evict early", "site_eviction_disk_percent", 20, ("prune-too-late", HIGH, "")),
    value("clean up to more", LOW, 80, ("image-cleanup-reversed", LOW, "")),
    value(
        "a cache as large as the disk",
        CACHE,
        80,
        ("build-cache-exceeds-disk", CACHE, "worker1 and 1 more"),
    ),
    case(
        "and of one node another one",
        {f"values/{CACHE}": 80, f"hosts/worker2/variables/{CACHE}": 90},
        ("build-cache-exceeds-disk", CACHE, "worker1"),
        ("build-cache-exceeds-disk", CACHE, "worker2"),
    ),
    case(
        "on a head that builds",
        {f"values/{CACHE}": 80, "values/site_build_node_selector": {}},
        ("build-cache-exceeds-disk", CACHE, "head1 and 2 more"),
    ),
    value(
        "the distribution's containerd, where Docker's docker-ce comes beside it",
        CONTAINERD,
        "containerd",
        ("builds-need-containerd-io", CONTAINERD, "worker1 and 1 more"),
    ),
    case(
        "on one node that builds",
        {f"hosts/worker2/variables/{CONTAINERD}": "containerd"},
        ("builds-need-containerd-io", CONTAINERD, "worker2"),
    ),
    case("on a head that does not build", {f"hosts/head1/variables/{CONTAINERD}": "containerd"}),
    probe("a disk that does not tell", "worker1", "disk/size_mb", None),
    probe(
        "a slice without a limit",
        "worker1",
        "builds",
        {"slice": True, "memory_bytes": None},
        ("builds-unbounded", MEMORY, "worker1"),
    ),
    probe("a slice with a limit", "worker1", "builds", {"slice": True, "memory_bytes": 4 << 30}),
    value("retention", DAYS, 90),
    case(
        "retention elsewhere",
        {
            f"values/{DAYS}": 90,
            "groups/registry": [],
        },
        ("retention-without-registry", DAYS, ""),
    ),
    value("exempt", EXEMPT, ["binder/stfc-course:2026", "binder/"]),
    value(
        "exempt with a host", EXEMPT, ["192.0.2.41:5000/binder/x"], ("retention-exempt-elsewhere", EXEMPT, "")
    ),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert {entry for entry in found(bad.site()) if entry[0] in rules_in("builds")} == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("builds") <= {rule for entry in CASES for rule, _, _ in entry.expected}


def test_the_remedy_has_the_number() -> None:
    """People should not have to compute."""
    [text, *_] = texts(value("", CACHE, 80).site(), "build-cache-exceeds-disk")
    assert "at most 32" in text
    [text, *_] = texts(value("", MEMORY, 16000).site(), "builds-exceed-memory")
    assert "leave 0 MiB for pods" in text
