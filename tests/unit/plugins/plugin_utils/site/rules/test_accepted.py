# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a site may accept, what comes of it, and every rule of rules/accepted.py by a bad site of its own."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.check import RULES, check_site
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import CRASHED
from site_cases import Case, case, found, good_site, rules_in, value

ACCEPTED = "site_accepted_findings"
SMALL = {"hosts/worker1/facts/memtotal_mb": 1000, "hosts/worker2/facts/memtotal_mb": 1000}
REASON = "two old machines that go in March"

CASES = [
    value(
        "no such rule",
        ACCEPTED,
        {"memory-to-small": REASON},
        ("accepted-finding-unknown", f"{ACCEPTED}.memory-to-small", ""),
    ),
    case(
        "no reason",
        {**SMALL, f"values/{ACCEPTED}": {"memory-too-small": " "}},
        ("memory-too-small", "", "worker1"),
        ("memory-too-small", "", "worker2"),
        ("accepted-finding-without-reason", f"{ACCEPTED}.memory-too-small", ""),
    ),
    case(
        "a yes is no reason",
        {**SMALL, f"values/{ACCEPTED}": {"memory-too-small": True}},
        ("memory-too-small", "", "worker1"),
        ("memory-too-small", "", "worker2"),
        ("accepted-finding-without-reason", f"{ACCEPTED}.memory-too-small", ""),
    ),
    case(
        "a value that is missing",
        {"values/site_name": "", f"values/{ACCEPTED}": {"value-missing": REASON}},
        ("value-missing", "site_name", ""),
        ("accepted-finding-final", f"{ACCEPTED}.value-missing", ""),
    ),
    value(
        "a rule that crashed",
        ACCEPTED,
        {CRASHED: REASON},
        ("accepted-finding-final", f"{ACCEPTED}.{CRASHED}", ""),
    ),
    value(
        "a rule about accepting",
        ACCEPTED,
        {"accepted-finding-unknown": REASON},
        ("accepted-finding-final", f"{ACCEPTED}.accepted-finding-unknown", ""),
    ),
    value(
        "what is no longer there",
        ACCEPTED,
        {"memory-too-small": REASON},
        ("accepted-finding-absent", f"{ACCEPTED}.memory-too-small", ""),
    ),
    value("a list", ACCEPTED, ["memory-too-small"], ("wrong-type", ACCEPTED, "")),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("accepted") <= {rule for entry in CASES for rule, _, _ in entry.expected}


def accepting(**more: Any) -> dict[str, Any]:
    """A site with two small workers, which it accepts, and whatever else."""
    return case("", {**SMALL, f"values/{ACCEPTED}": {"memory-too-small": REASON}, **more}).site()


def test_an_accepted_error_is_a_warning_with_its_reason() -> None:
    """On every host; the table shows the reason, and the run goes on."""
    report = check_site(accepting())
    assert [(entry.id, entry.severity, entry.host, entry.accepted) for entry in report.findings] == [
        ("memory-too-small", "warning", "worker1", REASON),
        ("memory-too-small", "warning", "worker2", REASON),
    ]
    table = report.as_data()["table"]
    assert table.count(f"accepted: {REASON}") == 2
    assert "has 1000 MB of memory" in table
    assert table.endswith("0 errors, 2 warnings: the run goes on.")


def test_other_errors_stay() -> None:
    """Whoever accepts one finding has accepted no other."""
    report = check_site(accepting(**{"values/site_name": ""}))
    assert [(entry.id, entry.accepted) for entry in report.findings if entry.severity == "error"] == [
        ("value-missing", "")
    ]


def test_an_accepted_warning_shows_its_reason_too() -> None:
    """The reason is there for all to see, whatever the severity."""
    site = case("", {"groups/workers": [], f"values/{ACCEPTED}": {"no-workers": "a small site"}}).site()
    (entry,) = check_site(site).findings
    assert (entry.severity, entry.accepted) == ("warning", "a small site")


def test_what_a_role_refuses_cannot_be_accepted() -> None:
    """Otherwise the run would end later, with machines changed."""
    final = {name for name, entry in RULES.items() if not entry.acceptable}
    assert {
        "group-missing",
        "value-missing",
        "value-not-computable",
        "wrong-type",
        "os-unsupported",
        "several-heads",
        "registry-host-malformed",
        "registry-prefix-malformed",
        "registry-prefix-without-level",
        "chart-version-floating",
        "token-missing",
        "token-malformed",
        "pool-too-small",
        "node-address-not-its-own",
        "pod-subnet-changed",
        "pod-network-changed",
        "kubernetes-version-changed",
        "hub-value-refused",
    } <= final


def test_nothing_is_accepted_by_default() -> None:
    """The good site has no finding, and so has none that was accepted."""
    assert found(good_site()) == set()
