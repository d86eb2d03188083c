# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Versions, and how two of them compare."""

from __future__ import annotations

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.versions import (
    is_pinned,
    of_package,
    version,
    wanted_kubernetes,
)


@pytest.mark.parametrize(
    ("older", "newer"),
    [("1.36.9", "1.36.10"), ("1.36.3-rc.1", "1.36.3"), ("1.9.0", "1.10"), ("v1.35.9", "1.36.0")],
)
def test_order(older: str, newer: str) -> None:
    """By numbers, and a pre-release before its release."""
    low, high = version(older), version(newer)
    assert low is not None
    assert high is not None
    assert low < high


@pytest.mark.parametrize("text", ["", "latest", None, 7, "9" * 5000, "1.36.3-1.1"])
def test_what_is_none(text: object) -> None:
    """Nothing raises."""
    assert version(text) is None


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1.36.3-1.1", "1.36.3"),
        ("5:28.5.1-1~debian.12~bookworm", "28.5.1"),
        ("2.2.0~rc.0-1", "2.2.0"),
        ("x", "None"),
    ],
)
def test_packages(text: str, wanted: str) -> None:
    """Without epoch and revision."""
    assert str(of_package(text)) == wanted


def test_pins() -> None:
    """One version, pre-releases included, without a v."""
    assert [text for text in ("2.4.2", "2.4.2-rc.1", "v2.4.2", "2.x", "2.4", "") if is_pinned(text)] == [
        "2.4.2",
        "2.4.2-rc.1",
    ]


def test_wanted_kubernetes() -> None:
    """None where it is not exactly one."""
    found = [
        wanted_kubernetes(Site(values={"site_kubernetes_version": text}))
        for text in ("1.36.3", "v1.36.3", "1.36", 1.36)
    ]
    assert [str(entry) for entry in found] == ["1.36.3", "1.36.3", "None", "None"]
