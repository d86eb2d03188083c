# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/machines.py by a bad site of its own."""

from __future__ import annotations

import pytest
from site_cases import NOW, Case, fact, found, probe, rules_in

CASES = [
    fact("old Debian", "worker1", "distribution_version", "11.9", ("os-unsupported", "", "worker1")),
    fact("other distribution", "worker1", "distribution", "Fedora", ("os-unsupported", "", "worker1")),
    fact("32 bits", "proxy1", "architecture", "armv7l", ("architecture-unsupported", "", "proxy1")),
    fact("one ARM node", "worker1", "architecture", "aarch64", ("architectures-mixed", "", "")),
    fact("head with 1 GB", "head1", "memtotal_mb", 1000, ("memory-too-small", "", "head1")),
    fact("worker with 1 GB", "worker1", "memtotal_mb", 1000, ("memory-too-small", "", "worker1")),
    fact("head with one processor", "head1", "processor_vcpus", 1, ("cpu-too-small", "", "head1")),
    probe("full disk", "worker1", "disk/free_mb", 900, ("disk-too-small", "", "worker1")),
    probe(
        "a full disk of Docker's own",
        "worker1",
        "disk/mounts",
        [
            {"path": "/var/lib/docker", "paths": ["/var/lib/docker"], "free_mb": 900, "size_mb": 30_000},
            {
                "path": "/var/lib/containerd",
                "paths": ["/var/lib/containerd", "/var/lib/kubelet"],
                "free_mb": 90_000,
                "size_mb": 100_000,
            },
        ],
        ("disk-too-small", "", "worker1"),
    ),
    probe("scarce disk", "worker1", "disk/free_mb", 9_000, ("disk-scarce", "", "worker1")),
    probe("swap", "worker1", "swaps", ["/dev/sda2"], ("swap-on", "", "worker1")),
    probe("cgroup v1", "worker1", "cgroup/version", 1, ("cgroup-v1", "", "worker1")),
    probe(
        "no cgroups",
        "worker1",
        "cgroup",
        {"version": 0, "controllers": []},
        ("cgroup-missing", "", "worker1"),
    ),
    probe(
        "no memory controller",
        "worker1",
        "cgroup/controllers",
        ["cpu", "pids"],
        ("cgroup-controllers-missing", "", "worker1"),
    ),
    probe("no overlay", "worker1", "modules/overlay", "absent", ("kernel-module-missing", "", "worker1")),
    probe(
        "no modules to be seen",
        "worker1",
        "modules/overlay",
        "unknown",
        ("kernel-module-unknown", "", "worker1"),
    ),
    probe("clock behind", "worker1", "epoch", NOW - 600, ("clock-skew", "site_ntp_servers", "worker1")),
    probe("clock ahead", "proxy1", "epoch", NOW + 600, ("clock-skew", "site_ntp_servers", "proxy1")),
    probe(
        "no route",
        "worker1",
        "peers",
        {"192.0.2.11": "unreachable: No route to host"},
        ("no-route-between-nodes", "site_node_address", "worker1"),
    ),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("machines") <= {rule for entry in CASES for rule, _, _ in entry.expected}
