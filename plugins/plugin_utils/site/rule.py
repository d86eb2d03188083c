# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The register of rules, and the run of all of them over a site."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import (
    ERROR,
    WARNING,
    Finding,
    Problem,
    sort_findings,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site

__all__ = ["CRASHED", "RULES", "Rule", "check_rules", "rule"]

# Id of the finding that stands for a rule that could not finish. A bug of ours, never hidden.
CRASHED = "rule-crashed"

Check = Callable[[Site], Iterable[Problem]]
Decorated = TypeVar("Decorated", bound=Check)


@dataclass(frozen=True)
class Rule:
    """One rule: `check` is pure, and gives a problem for each place where the rule is broken."""

    id: str
    severity: str
    summary: str
    check: Check


RULES: dict[str, Rule] = {}


def rule(rule_id: str, severity: str, summary: str) -> Callable[[Decorated], Decorated]:
    """Register the decorated function as the rule `rule_id`. The summary goes into the docs."""
    if rule_id in RULES or severity not in (ERROR, WARNING):
        raise ValueError(f"rule {rule_id}: registered twice, or severity {severity} unknown")

    def register(check: Decorated) -> Decorated:
        RULES[rule_id] = Rule(rule_id, severity, summary, check)
        return check

    return register


def _run(entry: Rule, site: Site) -> list[Finding]:
    try:
        return [
            Finding(
                entry.id, entry.severity, problem.variable, problem.host, problem.observed, problem.remedy
            )
            for problem in entry.check(site)
        ]
    except Exception as error:  # one broken rule must not hide what the others found
        observed = f"the rule {entry.id} could not finish: {type(error).__name__}: {error}"
        remedy = "report this with your inventory; the other rules ran"
        return [Finding(CRASHED, ERROR, "", "", observed, remedy)]


def check_rules(site: Site) -> list[Finding]:
    """Run every registered rule over `site`, errors first. Never raises."""
    return sort_findings(finding for entry in list(RULES.values()) for finding in _run(entry, site))
