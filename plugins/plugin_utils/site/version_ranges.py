# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ranges of versions as charts write them, for full releases.

Source: https://github.com/Masterminds/semver#checking-version-constraints, which helm compares with.
"""

from __future__ import annotations

import re

__all__ = ["allows"]

_PART = r"(?:\d+|[xX*])"
_ENTRY = re.compile(
    rf"\s*(?P<sign>!=|>=|=>|<=|=<|~>|[=<>~^])?\s*v?(?P<numbers>{_PART}(?:\.{_PART}){{0,2}})(?P<before>-[\w.-]+)?(?:\+[\w.-]+)?\s*,?"
)
_BETWEEN = re.compile(r"(\S+)\s+-\s+(\S+)")
_LONGEST = 200


def allows(constraint: str, release: tuple[int, ...]) -> bool | None:
    """Whether a range allows a release of three numbers; None where it is no range that can be read."""
    if len(constraint) > _LONGEST:
        return None
    answers = [_all(part, release) for part in _BETWEEN.sub(r">=\1 <=\2", constraint).split("||")]
    return None if None in answers else any(answers)


def _all(text: str, release: tuple[int, ...]) -> bool | None:
    place, answers = 0, []
    text = text.strip()
    while place < len(text):
        entry = _ENTRY.match(text, place)
        if not entry:
            return None
        answers.append(_one(entry, release))
        place = entry.end()
    return all(answers) if answers else None


def _one(entry: re.Match[str], release: tuple[int, ...]) -> bool:
    named = entry["numbers"].split(".")
    known = [
        int(part) for part in named[: next((at for at, part in enumerate(named) if not part.isdigit()), 3)]
    ]
    sign = entry["sign"] or "="
    # What comes before a release, as 1.37.0-0 does, leaves the release itself above it.
    sign = {"=>": ">=", "=<": "<=", "~>": "~"}.get(sign, sign)
    if entry["before"] and sign in ("<=", ">"):
        sign = {"<=": "<", ">": ">="}[sign]
    same = list(release[: len(known)]) == known
    above = list(release[: len(known)]) > known
    if sign in ("~", "^"):
        kept = (1 if sign == "^" and known[:1] != [0] else 2) if known else 0
        return list(release[: min(kept, len(known))]) == known[:kept] and (same or above)
    return {
        "=": same,
        "!=": not same,
        ">": above,
        ">=": above or same,
        "<": not (above or same),
        "<=": not above,
    }[sign]
