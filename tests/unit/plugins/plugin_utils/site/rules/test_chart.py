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


DROPPED = {
    "hub": "binder",
    "path": "values.jupyterhub.hub.config",
    "message": "is empty, which drops everything that Ironbinder sets there: JupyterHub",
}
DROPS = ("hub-value-drops-section", "site_hubs.binder.values.jupyterhub.hub.config", "")


def of_chart(path: str, hub: str = "binder") -> dict[str, Any]:
    """A fault that the chart finds there."""
    return {"hub": hub, "path": path, "message": "is nothing, and the chart takes a mapping"}


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
    ("line without a value", {"controller/dropped_values": [DROPPED]}, DROPS, "remove the line"),
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


@pytest.mark.parametrize(
    ("fault", "more"),
    [
        (of_chart("values.jupyterhub.hub.config"), False),
        (of_chart("secret_values.jupyterhub.hub.config.JupyterHub"), False),
        (of_chart("values.jupyterhub.hub"), False),
        (of_chart("values.jupyterhub.hub.db"), True),
        (of_chart("values.jupyterhub.hub.config", "other"), True),
    ],
)
def test_one_line_is_one_finding(fault: dict[str, Any], more: bool) -> None:
    """What the chart says of a line that drops a section is not said too."""
    told = {"controller/dropped_values": [DROPPED], "controller/hub_values": {"faults": [fault]}}
    refused = ("hub-value-refused", f"site_hubs.{fault['hub']}.{fault['path']}", "")
    assert found(change(bare_site(), told)) == {DROPS, *([refused] if more else [])}


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
        rule
        for rule, _, _ in found(
            change(bare_site(), {"controller/hub_values": odd, "controller/dropped_values": odd})
        )
    }


def test_every_rule_is_broken_above() -> None:
    """A rule that no site breaks is a rule that nobody knows to work."""
    assert rules_of("chart") == {expected[0] for _, _, expected, _ in CASES}
