# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a check of a site finds, and how a person reads it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["ERROR", "WARNING", "Finding", "Problem", "render_table", "sort_findings"]

ERROR = "error"
WARNING = "warning"

# Width of the table's last column. The others are as wide as their longest entry.
TEXT_WIDTH = 78


@dataclass(frozen=True)
class Problem:
    """What one rule saw in one place.

    `variable` and `host` are empty where the fault lies in no single variable or host.
    """

    observed: str
    remedy: str
    variable: str = ""
    host: str = ""


@dataclass(frozen=True)
class Finding:
    """A problem with the rule that saw it. `severity` is `error` (refuses the run) or `warning`."""

    id: str
    severity: str
    variable: str
    host: str
    observed: str
    remedy: str


def sort_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Errors first, then in the order in which a person repairs a site: by rule, as they came."""
    return sorted(findings, key=lambda finding: finding.severity != ERROR)


def _where(finding: Finding) -> str:
    return ", ".join(part for part in (finding.variable, finding.host) if part) or "-"


def render_table(findings: Sequence[Finding]) -> str:
    """Write findings as a table for the screen, with a line that counts them.

    Returns:
        Lines joined by newlines: severity, rule, where, and below each other what was observed
        and what to do.
    """
    errors = sum(1 for finding in findings if finding.severity == ERROR)
    warnings = len(findings) - errors
    if not findings:
        return "The site is ready: no finding."
    count = f"{errors} error{'' if errors == 1 else 's'}, {warnings} warning{'' if warnings == 1 else 's'}"
    rows = [(finding.severity, finding.id, _where(finding)) for finding in findings]
    widths = [max(len(row[column]) for row in [("", "RULE", "WHERE"), *rows]) for column in range(3)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(("", "RULE", "WHERE"), widths)) + "  WHAT"]
    for finding, row in zip(findings, rows):
        start = "  ".join(text.ljust(width) for text, width in zip(row, widths))
        told = textwrap.wrap(finding.observed, TEXT_WIDTH) + textwrap.wrap(f"-> {finding.remedy}", TEXT_WIDTH)
        lines += [f"{start if index == 0 else ' ' * len(start)}  {text}" for index, text in enumerate(told)]
    verdict = "nothing was changed" if errors else "the run goes on"
    return "\n".join([*lines, f"{count}: {verdict}."])
