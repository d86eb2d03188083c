# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Sizes as people write them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.sizes import mebibytes, millicores


@pytest.mark.parametrize(
    ("text", "size"),
    [
        *(("256M", 256), ("2G", 2048), ("512Mi", 512), ("4Gi", 4096), ("1T", 1 << 20), ("1.5G", 1536)),
        *((268435456, 256), ("268435456", 256), (1, 1), ("1K", 1), ("64MB", 64), (" 1 G ", 1024)),
        *(("", 0), (None, 0), (True, 0), ("much", 0), ("-1G", 0), ([], 0), (float("nan"), 0), (0, 0)),
    ],
)
def test_mebibytes(text: Any, size: int) -> None:
    assert mebibytes(text) == size


@pytest.mark.parametrize(
    ("text", "share"),
    [
        *((1, 1000), ("2", 2000), (0.05, 50), ("500m", 500), (0.0101, 11), (" 0.5 ", 500)),
        *((0, 0), ("", 0), (None, 0), (True, 0), ("all", 0), (-1, 0), (float("inf"), 0), ({}, 0)),
    ],
)
def test_millicores(text: Any, share: int) -> None:
    assert millicores(text) == share
