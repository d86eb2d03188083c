# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/sessions.py by a bad site of its own."""

from __future__ import annotations

import pytest
from site_cases import Case, case, fact, found, good_site, probe, rules_in, texts, value

ABOVE, MALFORMED = "session-limit-above-node", "session-amount-malformed"
CASES = [
    value(
        "more memory than a node",
        "site_session_memory_limit",
        "18G",
        (ABOVE, "site_session_memory_limit", "worker1 and 1 more"),
    ),
    value(
        "more processors than a node",
        "site_session_cpu_limit",
        5.0,
        (ABOVE, "site_session_cpu_limit", "worker1 and 1 more"),
    ),
    # Sold with as much as a session may use: its kernel keeps some.
    fact("a worker of 2 GB", "worker2", "memtotal_mb", 1900),
    case(
        "one worker with a small memory",
        {"hosts/worker2/facts/memtotal_mb": 2000, "values/site_session_memory_limit": "2.5G"},
        (ABOVE, "site_session_memory_limit", "worker2"),
    ),
    value(
        "more disk than a node",
        "site_session_ephemeral_storage_limit",
        "200Gi",
        (ABOVE, "site_session_ephemeral_storage_limit", "worker1 and 1 more"),
    ),
    case(
        "a node with a small disk",
        {"hosts/worker1/probe/disk/size_mb": 6_000, "values/site_session_ephemeral_storage_limit": "7Gi"},
        (ABOVE, "site_session_ephemeral_storage_limit", "worker1"),
    ),
    # The head runs no session.
    fact("head with few processors", "head1", "processor_vcpus", 2),
    case("as many processors as a node has", {"values/site_session_cpu_limit": 4}),
    probe("a disk that nobody could measure", "worker1", "disk/size_mb", None),
    value(
        "memory guaranteed above the limit",
        "site_session_memory_guarantee",
        "3G",
        ("session-guarantee-above-limit", "site_session_memory_guarantee", ""),
    ),
    value(
        "processors guaranteed above the limit",
        "site_session_cpu_guarantee",
        2,
        ("session-guarantee-above-limit", "site_session_cpu_guarantee", ""),
    ),
    value(
        "disk guaranteed above the limit, in other units",
        "site_session_ephemeral_storage_guarantee",
        "4300M",
        ("session-guarantee-above-limit", "site_session_ephemeral_storage_guarantee", ""),
    ),
    value(
        "memory as Kubernetes writes it",
        "site_session_memory_limit",
        "2Gi",
        (MALFORMED, "site_session_memory_limit", ""),
    ),
    value(
        "memory with a space",
        "site_session_memory_limit",
        "2 G",
        (MALFORMED, "site_session_memory_limit", ""),
    ),
    value("no memory", "site_session_memory_limit", "0", (MALFORMED, "site_session_memory_limit", "")),
    value(
        "disk with another unit",
        "site_session_ephemeral_storage_limit",
        "4GB",
        (MALFORMED, "site_session_ephemeral_storage_limit", ""),
    ),
    value(
        "fewer than no processor", "site_session_cpu_limit", -1.0, (MALFORMED, "site_session_cpu_limit", "")
    ),
    value("fewer than no process", "site_session_pids_limit", -1, (MALFORMED, "site_session_pids_limit", "")),
    value(
        "a negative age", "site_session_max_age_seconds", -5, (MALFORMED, "site_session_max_age_seconds", "")
    ),
    value("no bound of age", "site_session_max_age_seconds", 0),
    value("disk in bytes", "site_session_ephemeral_storage_limit", "4294967296"),
]


def test_both_amounts_are_told_in_one_unit() -> None:
    site = good_site()
    site["values"]["site_session_memory_limit"] = "20G"
    [text] = texts(site, ABOVE)
    assert "is 20G (21.5 GB), and the node has 16.8 GB" in text


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("sessions") <= {rule for entry in CASES for rule, _, _ in entry.expected}
