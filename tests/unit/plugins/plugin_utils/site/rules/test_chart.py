# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the chart does not take of a hub's values, as preflight tells it."""

from __future__ import annotations

from typing import Any

import pytest
from cluster_cases import Found, bare_site, change, cluster_site, found, rules_of, texts

UNKNOWN = {
    "hub": "binder",
    "path": "values.jupyterhub.singelusr",
    "message": "the chart knows no such key",
    "suggestion": "jupyterhub.singleuser",
}
MISTYPED = {
    "hub": "binder",
    "path": "values.jupyterhub.hub.networkPolicy",
    "message": "is a whole number, and the chart takes a mapping",
    "suggestion": "",
}


def told(**answer: Any) -> dict[str, Any]:
    """Changes after which the controller says this of the hubs' values."""
    return {"controller/hub_values": answer}


CASES: list[tuple[str, dict[str, Any], Found, str]] = [
    (
        "misspelt key",
        told(faults=[UNKNOWN]),
        ("hub-value-refused", "site_hubs.binder.values.jupyterhub.singelusr", ""),
        "did you mean jupyterhub.singleuser?",
    ),
    (
        "mistyped value",
        told(faults=[MISTYPED]),
        ("hub-value-refused", "site_hubs.binder.values.jupyterhub.hub.networkPolicy", ""),
        "a mapping",
    ),
    (
        "chart that cannot be read",
        told(unchecked="it comes from an OCI registry, which preflight does not read"),
        ("hub-values-unchecked", "site_binderhub_chart_repository", ""),
        "OCI",
    ),
]


@pytest.mark.parametrize(
    ("changes", "expected", "named"), [entry[1:] for entry in CASES], ids=[e[0] for e in CASES]
)
@pytest.mark.parametrize("start", [bare_site, cluster_site])
def test_bad_values(start: Any, changes: dict[str, Any], expected: Found, named: str) -> None:
    """Each fault is a finding of its own, before the first run and after."""
    site = change(start(), changes)
    assert found(site) == {expected}
    assert named in texts(site, expected[0])


@pytest.mark.parametrize("answer", [{}, {"faults": []}, {"faults": [], "unchecked": ""}])
@pytest.mark.parametrize("start", [bare_site, cluster_site])
def test_good_values(start: Any, answer: dict[str, Any]) -> None:
    """Values that the chart takes, or that nobody asked it about, are no finding."""
    assert found(change(start(), told(**answer))) == set()


@pytest.mark.parametrize(
    "odd", ["x", 7, None, [], {"faults": 7}, {"faults": [7, {}, {"hub": 1, "path": []}]}]
)
def test_odd_answers(odd: Any) -> None:
    """The data may come from a file; no rule crashes over them."""
    assert "rule-crashed" not in {
        rule for rule, _, _ in found(change(bare_site(), {"controller/hub_values": odd}))
    }


def test_every_rule_is_broken_above() -> None:
    """A rule that no site breaks is a rule that nobody knows to work."""
    assert rules_of("chart") == {expected[0] for _, _, expected, _ in CASES}
