# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Patterns for specs that are none, that are slow, and those that people write."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site import spec_patterns
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.spec_patterns import (
    fits,
    pattern_fault,
    slow_patterns,
)

PLAIN = ("^spam/.*", ".*mining.*", "^[^/]+/course(-[0-9])?/", "^uni/")
QUICK = (
    r"^(?:[^/]+/)*main$",
    r"^https%3A%2F%2F([a-z0-9-]+\.)+example\.org%2F.*/.*$",
    r"^(?:[^/]+/){2}main$",
    r".*a.*b.*c.*",
)


@pytest.mark.parametrize("pattern", [7, None, ["x"], "", "^x/(.*", "*mining*", "a{99999999999}"])
def test_no_pattern(pattern: object) -> None:
    assert pattern_fault(pattern)


@pytest.mark.parametrize("pattern", [*PLAIN, *QUICK])
def test_patterns(pattern: str) -> None:
    assert pattern_fault(pattern) == ""


def test_slow_ones_among_quick_ones() -> None:
    """Each is named, and no other; also one that is slow for some beginning alone."""
    slow = ("^(.+)+spam$", r"^acme\.org/(y*)*z", "^(a|b|ab)*$")
    assert slow_patterns((*slow[:1], *QUICK, *slow[1:], *PLAIN)) == set(slow)


def test_the_specs_of_the_site_are_tried_too() -> None:
    pattern = r"^q[q-s](\d\d?)+x$"
    spec = f"qr{'77' * 32}!"
    assert slow_patterns((pattern,)) == set()
    assert slow_patterns((pattern,), (spec,)) == {pattern}


def test_nothing_is_started_for_plain_patterns(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*given: Any, **_more: Any) -> None:
        raise AssertionError(given)

    monkeypatch.setattr(subprocess, "run", never)
    assert slow_patterns(PLAIN, ("a/b/c",)) == set()
    assert slow_patterns((), ()) == set()


def test_a_process_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spec_patterns, "_PROGRAM", "raise SystemExit('no such thing')")
    with pytest.raises(RuntimeError, match="no such thing"):
        slow_patterns(("^(fails)+x",))


def test_case_is_nothing() -> None:
    assert fits("^Spam/", "spam/x/HEAD")
    assert not fits("spam/", "no-spam/x/HEAD")
