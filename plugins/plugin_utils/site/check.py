# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""All rules together, and the check of a site that has been looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.acceptance import accept
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import (
    ERROR,
    Finding,
    render_table,
    sort_findings,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import (
    CRASHED,
    Rule,
    by_id,
    check_rules,
    rules_of,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rules import (
    accepted,
    access,
    accounts,
    artifacts,
    builds,
    capacity,
    chart,
    contract,
    corpus,
    firewall,
    groups,
    guard,
    http_proxy,
    hub_settings,
    hub_volumes,
    hubs,
    launches,
    leftovers,
    limits,
    lock,
    losses,
    machines,
    maintenance,
    members,
    names,
    namespaces,
    network,
    other_hubs,
    packages,
    past,
    pool,
    pools,
    ports,
    providers,
    registry,
    registry_kinds,
    running,
    running_hubs,
    secrets,
    sessions,
    sign_in,
    sign_in_values,
    storage,
    tls,
    trust,
    upgrade,
    upkeep,
    urls,
    verify,
    versions,
    vulnerabilities,
)

__all__ = ["JUDGES", "RULES", "RULE_FILES", "Report", "check_site"]

# The order is that of the table: what has to be repaired first comes first.
RULE_FILES = (
    groups,
    names,
    access,
    contract,
    lock,
    machines,
    members,
    past,
    leftovers,
    maintenance,
    capacity,
    ports,
    running,
    running_hubs,
    upkeep,
    upgrade,
    network,
    limits,
    losses,
    firewall,
    pool,
    urls,
    namespaces,
    hub_settings,
    http_proxy,
    registry,
    accounts,
    registry_kinds,
    builds,
    artifacts,
    trust,
    versions,
    vulnerabilities,
    packages,
    hubs,
    corpus,
    verify,
    guard,
    other_hubs,
    pools,
    storage,
    hub_volumes,
    sessions,
    launches,
    chart,
    secrets,
    sign_in,
    sign_in_values,
    providers,
    tls,
)
# Run last, as they judge what the site accepts of the findings of all others.
JUDGES = (accepted,)
RULES: dict[str, Rule] = by_id(entry for file in (*RULE_FILES, *JUDGES) for entry in rules_of(file))


@dataclass(frozen=True)
class Report:
    """What all rules found, errors first."""

    findings: tuple[Finding, ...]

    @property
    def errors(self) -> int:
        """How many findings refuse the run."""
        return sum(1 for finding in self.findings if finding.severity == ERROR)

    @property
    def warnings(self) -> int:
        """How many findings do not."""
        return len(self.findings) - self.errors

    def as_data(self) -> dict[str, Any]:
        """The report as JSON carries it."""
        return {
            "findings": [
                {**asdict(finding), "commands": list(finding.commands)} for finding in self.findings
            ],
            "error_count": self.errors,
            "warning_count": self.warnings,
            "table": render_table(self.findings),
        }


def check_site(data: Mapping[str, Any]) -> Report:
    """Check a site given as plain data, see `Site.from_data`. Raises ImportError only, where a library is missing.

    Rules whose ids are in `settled` are left out: the caller is about to bring about what they ask for.
    """
    site = Site.from_data(data)
    rules = (entry for file in RULE_FILES for entry in rules_of(file) if entry.id not in site.settled)
    found = check_rules(rules, site)
    judged = replace(
        site,
        rules={CRASHED: False} | {name: entry.acceptable for name, entry in RULES.items()},
        found=frozenset(finding.id for finding in found),
    )
    # An acceptance of what was not looked for is not one of nothing.
    judged = replace(judged, found=judged.found | site.settled)
    found += check_rules((entry for file in JUDGES for entry in rules_of(file)), judged)
    return Report(tuple(sort_findings(accept(found, judged))))
