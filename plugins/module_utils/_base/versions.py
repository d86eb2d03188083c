# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Versions as the projects write them: three numbers, and perhaps a pre-release or a package's revision."""

from __future__ import annotations

import re

__all__ = ["EXAMPLE_OF_CHART", "is_exact", "is_exact_chart", "numbers"]

EXAMPLE_OF_CHART = "1.0.0-0.dev.git.3983.h383374de"
_EXACT = re.compile(r"\d+\.\d+\.\d+")
# https://semver.org/#spec-item-9, with the v that some repositories write before it.
_EXACT_CHART = re.compile(r"v?\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.+-]+)?")
_LEADING = re.compile(r"v?(\d+(?:\.\d+)*)")


def is_exact(text: str) -> bool:
    """Whether `text` is one release and no other, as in 1.36.3."""
    return bool(_EXACT.fullmatch(text))


def is_exact_chart(text: str) -> bool:
    """Whether `text` is one version of a chart, pre-releases included."""
    return bool(_EXACT_CHART.fullmatch(text))


def numbers(text: object) -> tuple[int, ...]:
    """Give the leading numbers of a version, (1, 36, 3) for v1.36.3-1.1; () where there are none."""
    found = _LEADING.match(text.strip()) if isinstance(text, str) else None
    return tuple(int(part) for part in found.group(1).split(".")) if found else ()
