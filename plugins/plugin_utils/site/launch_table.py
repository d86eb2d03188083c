# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The proofs of several hubs side by side, a line a hub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import as_text

__all__ = ["launch_table"]

TITLE = ("HUB", "PROOF", "SECONDS", "PHASES")


def launch_table(
    hubs: Sequence[str], health: Sequence[Mapping[str, Any]], launches: Sequence[Mapping[str, Any]]
) -> str:
    """Write what came of each hub.

    Args:
        hubs: their names.
        health: results of the module binderhub_health, each with its hub as `item`.
        launches: results of binder_launch, likewise; of a hub that is not well there is none.

    Returns:
        A title and a line for each hub: its phases, or why there is no proof.
    """
    rows = [TITLE, *(_row(name, health, launches) for name in hubs)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(TITLE))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _row(
    name: str, health: Sequence[Mapping[str, Any]], launches: Sequence[Mapping[str, Any]]
) -> tuple[str, ...]:
    said = next((result for result in (*launches, *health) if result.get("item") == name), {})
    launched = any(result.get("item") == name for result in launches)
    seconds = said.get("total_seconds")
    took = f"{seconds:.1f}" if isinstance(seconds, (int, float)) else "-"
    if said.get("failed") is True:
        return (
            name,
            f"FAILED: {said.get('kind') or 'health'}" if launched else "NOT WELL",
            took,
            _cause(said),
        )
    if not launched or said.get("skipped") is True:
        return (name, "not launched", "-", "-")
    return (name, "verified", took, as_text(said.get("summary")).partition(": ")[2] or "-")


def _cause(result: Mapping[str, Any]) -> str:
    return next(iter(as_text(result.get("msg")).splitlines()), "it says nothing")
