# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Each program that measures has its own part of the page, and the figures say what they mean."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

import growth
import hubs
import page


def test_sections_are_put_and_carried(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text("# Page\n\none\n")
    page.put("guard", "## Guard\n\n1\n", file)
    page.put("workers", "## Workers\n\n1\n", file)
    page.put("guard", "## Guard\n\n2\n", file)
    sections = "<!-- begin guard -->\n## Guard\n\n2\n<!-- end guard -->\n\n"
    sections += "<!-- begin workers -->\n## Workers\n\n1\n<!-- end workers -->\n"
    assert file.read_text() == f"# Page\n\none\n\n{sections}"
    assert page.carried("# Page\n\ntwo\n", file) == f"# Page\n\ntwo\n\n{sections}"
    assert page.carried("# Page\n", tmp_path / "none.md") == "# Page\n"


@pytest.mark.parametrize("power", [0.5, 1.0, 1.3])
def test_the_exponent_is_that_of_a_power(power: float) -> None:
    points = [(float(count), 3 * count**power) for count in growth.HOSTS]
    assert growth.exponent(points) == pytest.approx(power)


def test_what_is_asked_for_is_judged() -> None:
    found = {"second": 40.0, "add": 70.0, "add_third": 72.0, "recovered": 80.0, "remove": 30.0}
    ratios = {"add_ratio": 1.75, "add_third_ratio": 1.03, "recovered_ratio": 1.11, "remove_ratio": 0.42}
    text = growth.section([{**found, **ratios}])
    assert "| adding a worker, against a second run | 1.75 x | 1.5 x | no |" in text
    assert "| removing it, against adding it | 0.42 x | 1 x | yes |" in text


def test_a_second_hub_is_judged_by_medians() -> None:
    phases = {"waiting": 0.5, "launching": 2.0, "kernel": 0.6, "notebook": 0.1}
    found = {
        "alone": 20.0,
        "beside": 24.0,
        "warm": 3.2,
        "signed_in": 3.3,
        "second": 1.2,
        "sign_in": 0.1,
        "phases": phases,
    }
    text = hubs.section([{**found, "warm": 9.0}, found, {**found, "second": 1.4}])
    assert "| a hub released beside another, against one alone | 1.20 x | 1.5 x | yes |" in text
    assert "| what signing in adds to a warm launch | 0.10 s | 1.5 s | yes |" in text
    assert "asked of a faster machine | 3.20 s | 3 s | no |" in text
    assert "waiting 0.5 s, launching 2.0 s, kernel 0.6 s, notebook 0.1 s." in text


def test_a_launch_is_whole_when_a_kernel_has_computed() -> None:
    assert hubs.whole({"total_seconds": 2.5, "api_seconds": 0.1, "kernel_seconds": 0.6}) == pytest.approx(3.2)
