# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/capacity.py by a bad site of its own."""

from __future__ import annotations

from typing import Any

import pytest
from site_cases import GONE, Case, case, fact, found, probe, rules_in, texts, value

TOTAL, REPO, BUILDS = "site_total_quota", "site_per_repo_quota", "site_parallel_builds"
# What a session is, whatever the contract's defaults become.
SESSION = {
    "values/site_session_memory_guarantee": "256M",
    "values/site_session_memory_limit": "2G",
    "values/site_session_cpu_guarantee": 0.05,
    "values/site_session_cpu_limit": 1.0,
    "values/site_session_ephemeral_storage_guarantee": "256Mi",
    "values/site_session_ephemeral_storage_limit": "4Gi",
}
SMALL = {"hosts/worker1/facts/memtotal_mb": 1900, "values/site_session_memory_guarantee": "900M"}
AFFINITY = "site_node_purpose_affinity"
STRICT = {f"values/{AFFINITY}": "require", "hosts/head1/facts/memtotal_mb": 2000}


def on_one_computer(memory_mb: int, processors: int = 8) -> dict[str, Any]:
    """Changes after which all nodes are containers of one computer."""
    changes: dict[str, Any] = {}
    for name in ("head1", "worker1", "worker2"):
        changes[f"hosts/{name}/probe/capacity/boot_id"] = "one"
        changes[f"hosts/{name}/facts/memtotal_mb"] = memory_mb
        changes[f"hosts/{name}/facts/processor_vcpus"] = processors
    return changes


CASES = [
    fact("a worker of 1900 MB", "worker1", "memtotal_mb", 1900),
    case("with large sessions", SMALL, ("capacity-memory-too-small", "", "worker1")),
    case(
        "a head alone of 4 GB",
        {
            "groups/workers": [],
            "groups/all": ["head1", "proxy1", "mirror1"],
            "hosts/head1/facts/memtotal_mb": 4000,
            "hosts/head1/probe/peers": {},
        },
        ("capacity-memory-too-small", "", "head1"),
    ),
    # Told once, by the rule about what nothing works below.
    fact("a worker of 1 GB", "worker1", "memtotal_mb", 1000),
    case(
        "sessions that fill a node",
        {"values/site_session_memory_guarantee": "12G"},
        ("capacity-memory-too-small", "", "worker1"),
        ("capacity-memory-too-small", "", "worker2"),
    ),
    case(
        "sessions that want four processors",
        {"values/site_session_cpu_guarantee": 0, "values/site_session_cpu_limit": 4},
        ("capacity-cpu-too-small", "", "worker1"),
        ("capacity-cpu-too-small", "", "worker2"),
    ),
    case(
        "a guarantee beside it",
        {"values/site_session_cpu_limit": 4, "values/site_session_cpu_guarantee": 0.05},
    ),
    probe(
        "a small file system for pods",
        "worker1",
        "capacity/file_systems/2",
        {"path": "/var/lib/kubelet", "device": 7, "total_bytes": 300_000_000},
        ("capacity-disk-too-small", "", "worker1"),
    ),
    probe(
        "a small file system for images",
        "head1",
        "capacity/file_systems/0",
        {"path": "/var/lib/docker", "device": 7, "total_bytes": 3_000_000_000},
        ("capacity-disk-too-small", "", "head1"),
    ),
    case("a computer of 24 GB", on_one_computer(24_000, 2)),
    # 6 GB bear the lab, with a session beside the hub by luck.
    case("a computer of 6 GB", on_one_computer(6_400), ("capacity-hubs-leave-nothing", "", "")),
    case(
        "a computer of 4 GB",
        on_one_computer(4_000),
        ("capacity-memory-too-small", "", "worker1"),
        ("capacity-memory-too-small", "", "worker2"),
    ),
    case("a head of 2 GB that hubs keep to", STRICT, ("capacity-core-too-small", AFFINITY, "head1")),
    case("a head of 2 GB that hubs prefer", {**STRICT, f"values/{AFFINITY}": "prefer"}),
    case("with a worker for the core", {**STRICT, "hosts/worker2/variables/site_node_purposes": ["core"]}),
    case("a head of 4 GB that hubs keep to", {**STRICT, "hosts/head1/facts/memtotal_mb": 4000}),
    # Told once, by the rule about what nothing works below.
    case("a head of 1 GB that hubs keep to", {**STRICT, "hosts/head1/facts/memtotal_mb": 1000}),
    value("a quota that fits", TOTAL, 34),
    value("a quota that does not", TOTAL, 1000, ("quota-above-capacity", TOTAL, "")),
    case(
        "a quota, and a node that nobody knows",
        {f"values/{TOTAL}": 1000, "hosts/worker1/facts": {}, "hosts/worker1/state": "unreachable"},
    ),
    value("builds that fit", BUILDS, 2),
    value("builds that do not", BUILDS, 64, ("builds-above-capacity", BUILDS, "")),
    case(
        "a repository above all",
        {f"values/{TOTAL}": 10, f"values/{REPO}": 11},
        ("quota-of-repository-above-total", REPO, ""),
    ),
    value("a repository without a total", REPO, 11),
    value("fewer than none", TOTAL, -1, ("capacity-value-out-of-range", TOTAL, "")),
    value(
        "pods without addresses", "site_max_pods", 300, ("capacity-value-out-of-range", "site_max_pods", "")
    ),
    value(
        "pods for the cluster alone",
        "site_max_pods",
        12,
        ("capacity-value-out-of-range", "site_max_pods", ""),
    ),
    case(
        "pods of one host",
        {"hosts/worker1/variables/site_max_pods": 300},
        ("capacity-value-out-of-range", "site_max_pods", "worker1"),
    ),
    value(
        "fewer watches than the kernel's",
        "site_inotify_max_user_watches",
        100,
        ("capacity-value-out-of-range", "site_inotify_max_user_watches", ""),
    ),
    case("a probe of before", {"hosts/worker1/probe/capacity": GONE}),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings of these rules, each at its variable and host; other rules see some of it, too."""
    told = {
        entry for entry in found(bad.changed(case("", SESSION).site())) if entry[0] in rules_in("capacity")
    }
    assert told == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("capacity") <= {rule for entry in CASES for rule, _, _ in entry.expected}


def test_what_the_findings_say() -> None:
    """The figures, and a remedy with a number."""
    small = case("", {**SESSION, **SMALL}).site()
    [told] = texts(small, "capacity-memory-too-small")
    figures = "1900 - 512 system - 200 kept free - 512 builds - 192 own pods = 484 MiB; 916 a session"
    assert told.startswith(f"{figures} -> give it at least ")
    quota = value("", TOTAL, 1000).changed(case("", SESSION).site())
    [told] = texts(quota, "quota-above-capacity")
    assert "is 1000, and " in told and "worker1" in told and "make capacity" in told
    shared = case("", on_one_computer(4_000)).changed(case("", SESSION).site())
    assert "a part of a computer that 3 nodes share" in texts(shared, "capacity-memory-too-small")[0]


def test_the_remedy_of_a_small_head_is_enough() -> None:
    site = case("", {**SESSION, **STRICT}).site()
    [told] = texts(site, "capacity-core-too-small")
    assert "72 MiB are left for the pods of 1 hub, which take up to 1088" in told
    assert "leave a worker to core" in told and "prefer" in told
    needed = int(told.partition("at least ")[2].split()[0])
    site["hosts"]["head1"]["facts"]["memtotal_mb"] = needed
    assert texts(site, "capacity-core-too-small") == []


def test_the_remedy_of_a_small_node_is_enough() -> None:
    site = case("", {**SESSION, **SMALL}).site()
    [told] = texts(site, "capacity-memory-too-small")
    needed = int(told.partition("at least ")[2].split()[0])
    site["hosts"]["worker1"]["facts"]["memtotal_mb"] = needed
    assert texts(site, "capacity-memory-too-small") == []
