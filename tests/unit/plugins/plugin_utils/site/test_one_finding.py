# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""One fault of what a site opens, or of what its machines have, is told once: by one rule, in one line, out of all rules."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.check import check_site
from site_cases import Case, case, fact, probe, value

SESSIONS, BUILDS = "site_session_allowed_networks", "site_build_allowed_networks"
ABOVE = "session-limit-above-node"
ALONE = {
    "groups/workers": [],
    "groups/all": ["head1", "proxy1", "mirror1"],
    "hosts/head1/probe/peers": {},
}


def one(name: str, rule: str, changes: dict[str, Any]) -> Case:
    """A fault, and the rule that tells it."""
    return case(name, changes, (rule, "", ""))


def limit(name: str, content: Any) -> dict[str, Any]:
    return {f"values/site_session_{name}_limit": content}


def small_disk(name: str, size_mb: int, free_mb: int) -> dict[str, Any]:
    """Changes after which a machine has one disk of this size for everything."""
    stores = [
        {"path": f"/var/lib/{store}", "device": 1, "total_bytes": size_mb * 1_000_000}
        for store in ("docker", "containerd", "kubelet")
    ]
    return {
        f"hosts/{name}/probe/disk": {"path": "/var/lib", "free_mb": free_mb, "size_mb": size_mb},
        f"hosts/{name}/probe/capacity/file_systems": stores,
    }


FAULTS = [
    one("sessions reach the API server", "fence-opens-cluster", {f"values/{SESSIONS}": ["192.0.2.11"]}),
    one("builds reach the API server", "fence-opens-cluster", {f"values/{BUILDS}": ["192.0.2.11"]}),
    one("sessions reach a node", "fence-opens-cluster", {f"values/{SESSIONS}": ["192.0.2.21"]}),
    one("sessions reach all nodes", "fence-opens-cluster", {f"values/{SESSIONS}": ["192.0.2.0/24"]}),
    one(
        "reversed ports",
        "fence-entry-malformed",
        {f"values/{BUILDS}": [{"network": "198.51.100.0/24", "ports": ["8100-8000"]}]},
    ),
    one("a name server of IPv6", "fence-cuts-dns", {"hosts/worker1/facts/nameservers": ["2001:db8::53"]}),
    one(
        "closed name servers",
        "fence-denies-dns",
        {
            "values/site_guard_denied_networks": ["198.51.100.0/24"],
            "hosts/worker1/facts/nameservers": ["198.51.100.53"],
            "hosts/worker2/facts/nameservers": ["198.51.100.53"],
        },
    ),
    one("a worker of 1 GB", "memory-too-small", {"hosts/worker1/facts/memtotal_mb": 1000}),
    one("a head of 1 GB", "memory-too-small", {"hosts/head1/facts/memtotal_mb": 1000}),
    one("a head alone of 1 GB", "memory-too-small", {**ALONE, "hosts/head1/facts/memtotal_mb": 1000}),
    one(
        "a head alone of 3 GB", "capacity-memory-too-small", {**ALONE, "hosts/head1/facts/memtotal_mb": 3000}
    ),
    one("a worker with a disk of 2.5 GB", "disk-too-small", small_disk("worker1", 2_500, 2_400)),
    one("a worker with a disk of 3.9 GB", "disk-too-small", small_disk("worker1", 3_900, 2_500)),
    one("a head with a disk of 3.9 GB", "disk-too-small", small_disk("head1", 3_900, 2_500)),
    one("builds above the nodes", "builds-exceed-memory", {"values/site_builds_memory_max_mib": 16000}),
    one(
        "builds above one node",
        "builds-exceed-memory",
        {"hosts/worker1/variables/site_builds_memory_max_mib": 16000},
    ),
    one(
        "a cache above the nodes", "build-cache-exceeds-disk", {"values/site_docker_build_cache_max_gib": 200}
    ),
    one(
        "a cache above a disk",
        "build-cache-exceeds-disk",
        {
            **small_disk("worker1", 100_000, 90_000),
            "hosts/worker1/variables/site_docker_build_cache_max_gib": 200,
        },
    ),
    one("memory above the nodes", ABOVE, limit("memory", "64G")),
    one(
        "memory above the nodes, with a quota",
        ABOVE,
        {**limit("memory", "64G"), "values/site_total_quota": 30},
    ),
    one("disk above the nodes", ABOVE, limit("ephemeral_storage", "900Gi")),
    one("processors above the nodes", ABOVE, limit("cpu", 64)),
    one(
        "processors above the nodes, all of them requested",
        ABOVE,
        {**limit("cpu", 64), "values/site_session_cpu_guarantee": 0},
    ),
]


@pytest.mark.parametrize("fault", FAULTS, ids=[entry.name for entry in FAULTS])
def test_one_fault_is_one_finding(fault: Case) -> None:
    [(rule, _, _)] = fault.expected
    # A head alone is worth a warning by itself.
    findings = [finding for finding in check_site(fault.site()).findings if finding.id != "no-workers"]
    assert [finding.id for finding in findings] == [rule], [finding.observed for finding in findings]
    assert all(finding.remedy for finding in findings)


def test_a_pull_account_that_pushes_is_one_finding() -> None:
    pushes = probe("", "worker1", "urls/registry_pull_push", {"status": 202, "seconds": 0.1}, running=True)
    assert [finding.id for finding in check_site(pushes.site()).findings] == ["registry-own-gate-open"]


NO_FAULTS = [
    # Of what a machine is sold with, its kernel keeps some.
    fact("a worker sold with 2 GB", "worker1", "memtotal_mb", 1900),
    value("a limit of what the nodes were sold with", "site_session_memory_limit", "16G"),
]


@pytest.mark.parametrize("site", NO_FAULTS, ids=[entry.name for entry in NO_FAULTS])
def test_no_fault_is_no_finding(site: Case) -> None:
    assert check_site(site.site()).findings == ()
