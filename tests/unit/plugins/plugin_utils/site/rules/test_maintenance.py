# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/maintenance.py by a bad site of its own, and what the findings say."""

from __future__ import annotations

import pytest
from site_cases import Case, found, rules_in, value

CASES = [
    value(
        "a build of less than no time",
        "site_build_max_age_seconds",
        -1,
        ("maintenance-seconds-malformed", "site_build_max_age_seconds", ""),
    ),
    value(
        "a wait of less than no time",
        "site_drain_timeout_seconds",
        -1,
        ("maintenance-seconds-malformed", "site_drain_timeout_seconds", ""),
    ),
    value("builds of any age", "site_build_max_age_seconds", 0),
]


@pytest.mark.parametrize("one", CASES, ids=[one.name for one in CASES])
def test_exactly_what_is_wrong_is_found(one: Case) -> None:
    assert found(one.site()) == one.expected


def test_every_rule_has_a_case() -> None:
    assert rules_in("maintenance") == {rule for one in CASES for rule, _variable, _host in one.expected}
