# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ranges of versions as helm reads them."""

from __future__ import annotations

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.version_ranges import allows


@pytest.mark.parametrize(
    ("constraint", "inside", "outside"),
    [
        (">=1.28.0-0", "1.28.0 1.36.3", "1.27.9"),
        (">= 1.28.0, < 1.37.0-0", "1.28.0 1.36.9", "1.27.0 1.37.0"),
        (">=1.28 <=1.36", "1.28.0 1.36.9", "1.37.0"),
        ("<=1.36.0-0", "1.35.9", "1.36.0"),
        (">1.35", "1.36.0", "1.35.9"),
        (">1.36.0-0", "1.36.0", "1.35.9"),
        ("1.36.x", "1.36.0 1.36.9", "1.35.0 1.37.0"),
        ("1.36", "1.36.3", "1.37.0"),
        ("=v1.36.3", "1.36.3", "1.36.4"),
        ("!=1.36.3 >=1.30", "1.36.4", "1.36.3 1.29.0"),
        ("~1.36.2", "1.36.2 1.36.9", "1.36.1 1.37.0"),
        ("~1.36", "1.36.0", "1.37.0 1.35.0"),
        ("^1.28", "1.28.0 1.40.0", "1.27.0 2.0.0"),
        ("1.28 - 1.36", "1.28.0 1.36.9", "1.37.0 1.27.0"),
        ("1.30.x || >=1.35", "1.30.4 1.36.0", "1.31.0"),
        ("*", "1.36.3", ""),
    ],
)
def test_ranges(constraint: str, inside: str, outside: str) -> None:
    for text, answer in [
        *((one, True) for one in inside.split()),
        *((one, False) for one in outside.split()),
    ]:
        assert allows(constraint, tuple(map(int, text.split(".")))) is answer, text


@pytest.mark.parametrize(
    "constraint", ["", "latest", ">=", ">=1.28 ; 2", "|| ", "1.2.3.4.5", ">=1.28 and more", "9" * 300]
)
def test_what_is_no_range_says_nothing(constraint: str) -> None:
    assert allows(constraint, (1, 36, 3)) is None
