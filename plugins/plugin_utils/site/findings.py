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

# Width of the table's text, and the column at which it begins.
TEXT_WIDTH = 110
INDENT = 9


@dataclass(frozen=True)
class Problem:
    """What one rule saw in one place.

    `variable` and `host` are empty where the fault lies in no single variable or host. `commands` are lines of the remedy to be
    run as they are, so they are never broken.
    """

    observed: str
    remedy: str
    variable: str = ""
    host: str = ""
    commands: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """A problem with the rule that saw it.

    `severity` is `error` (refuses the run) or `warning`. `accepted` is the site's reason for going on with it.
    """

    id: str
    severity: str
    variable: str
    host: str
    observed: str
    remedy: str
    accepted: str = ""
    commands: tuple[str, ...] = ()


def sort_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Errors first, then in the order in which a person repairs a site: by rule, as they came."""
    return sorted(findings, key=lambda finding: finding.severity != ERROR)


def _where(finding: Finding) -> str:
    return ", ".join(part for part in (finding.variable, finding.host) if part) or "-"


def render_table(findings: Sequence[Finding]) -> str:
    """Write findings as a table for the screen, with a line that counts them.

    Returns:
        Lines joined by newlines: severity, rule and where, and below each what was observed and
        what to do.
    """
    errors = sum(1 for finding in findings if finding.severity == ERROR)
    warnings = len(findings) - errors
    if not findings:
        return "The site is ready: no finding."
    width = max(len(finding.id) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{finding.severity:<{INDENT - 2}}  {finding.id:<{width}}  {_where(finding)}")
        # What is accepted needs no remedy.
        after = (finding.accepted, "accepted: ") if finding.accepted else (finding.remedy, "-> ")
        for text, first in ((finding.observed, ""), after):
            lines += textwrap.wrap(
                text,
                TEXT_WIDTH,
                initial_indent=" " * INDENT + first,
                subsequent_indent=" " * (INDENT + len(first)),
                break_long_words=False,
                break_on_hyphens=False,
            )
        if not finding.accepted:
            lines += [" " * (INDENT + 3) + command for command in finding.commands]
    count = f"{errors} error{'' if errors == 1 else 's'}, {warnings} warning{'' if warnings == 1 else 's'}"
    return "\n".join([*lines, f"{count}: {'nothing was changed' if errors else 'the run goes on'}."])
