# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a rule is, and the run of rules over a site."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import (
    ERROR,
    WARNING,
    Finding,
    Problem,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site

__all__ = ["CRASHED", "Rule", "by_id", "check_rules", "rule", "rules_of"]

# Id of the finding that stands for a rule that could not finish. A bug of ours, never hidden.
CRASHED = "rule-crashed"

Check = Callable[[Site], Iterable[Problem]]


@dataclass(frozen=True)
class Rule:
    """One rule: `check` is pure, and gives a problem for each place where the rule is broken.

    `acceptable` says whether a site may accept the finding and go on, see `site_accepted_findings`.
    """

    id: str
    severity: str
    summary: str
    check: Check
    acceptable: bool = True


def rule(rule_id: str, severity: str, summary: str, *, acceptable: bool = True) -> Callable[[Check], Rule]:
    """Make a rule of the decorated function. The summary goes into the docs.

    Args:
        rule_id: a short name, known to people and never reused.
        severity: `error` or `warning`.
        summary: one sentence that says what is wrong.
        acceptable: False where a stage would fail all the same, later and with machines changed.
    """
    if severity not in (ERROR, WARNING):
        raise ValueError(f"rule {rule_id}: severity {severity} unknown")
    return lambda check: Rule(rule_id, severity, summary, check, acceptable)


def rules_of(file: ModuleType) -> list[Rule]:
    """Give the rules of a file in the order in which they are defined there."""
    return [entry for entry in vars(file).values() if isinstance(entry, Rule)]


def by_id(rules: Iterable[Rule]) -> dict[str, Rule]:
    """Give rules by their id. Raises ValueError where two have the same."""
    found: dict[str, Rule] = {}
    for entry in rules:
        if entry.id in found or entry.id == CRASHED:
            raise ValueError(f"two rules are called {entry.id}")
        found[entry.id] = entry
    return found


def _run(entry: Rule, site: Site) -> list[Finding]:
    try:
        return [
            Finding(
                entry.id,
                entry.severity,
                problem.variable,
                problem.host,
                problem.observed,
                problem.remedy,
                commands=problem.commands,
            )
            for problem in entry.check(site)
        ]
    except ImportError:  # the controller lacks a library, which is no fault of the rule
        raise
    except Exception as error:  # one broken rule must not hide what the others found
        observed = f"the rule {entry.id} could not finish: {type(error).__name__}: {error}"
        remedy = "report this with your inventory; the other rules ran"
        return [Finding(CRASHED, ERROR, "", "", observed, remedy)]


def check_rules(rules: Iterable[Rule], site: Site) -> list[Finding]:
    """Run rules over `site`, in their order. Raises ImportError only, where a library is missing."""
    return [finding for entry in rules for finding in _run(entry, site)]
