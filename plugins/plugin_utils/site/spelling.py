# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Misspelt names of the contract, and what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

__all__ = ["CONTRACT_PREFIXES", "closest", "unknown_names"]

CONTRACT_PREFIXES = ("site_", "artifact_")

# A name without the prefix belongs to somebody else unless it is this close to one of ours.
NEAR_CUTOFF = 0.88


def closest(name: str, known: Sequence[str]) -> str:
    """Give the known name that `name` was probably meant to be, or nothing."""
    matches = get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    return matches[0] if matches else ""


def _nearly(name: str, known: Sequence[str], bare: Sequence[str]) -> bool:
    if "_" not in name:
        return False
    text = name.lower()
    return text in bare or bool(get_close_matches(text, known, n=1, cutoff=NEAR_CUTOFF))


def unknown_names(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """Pick the names that look like the contract's but are none of it.

    Args:
        names: variables that an inventory sets.
        known: variables of the contract.

    Returns:
        Names with the contract's prefix that it does not have, and names without it that are
        nearly one of the contract's, in the order given.
    """
    contract = list(known)
    bare = [name.split("_", 1)[1] for name in contract if "_" in name.split("_", 1)[-1]]
    return [
        name
        for name in dict.fromkeys(names)
        if name not in contract and (name.startswith(CONTRACT_PREFIXES) or _nearly(name, contract, bare))
    ]
