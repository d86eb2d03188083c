# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about what a site accepts. They run after all others, and see which of them found something."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.acceptance import ACCEPTED, reasons
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site, as_mapping, as_text
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.spelling import closest


@rule("accepted-finding-unknown", ERROR, "The site accepts a finding that no rule has.", acceptable=False)
def accepted_finding_unknown(site: Site) -> Iterator[Problem]:
    for name in as_mapping(site.values.get(ACCEPTED)):
        if name not in site.rules:
            guess = closest(name, list(site.rules))
            remedy = f"did you mean {guess}?" if guess else "take a name from the table, as pool-too-small"
            yield Problem(f"{name[:60]} is the name of no rule", remedy, f"{ACCEPTED}.{name}")


@rule(
    "accepted-finding-without-reason", ERROR, "The site accepts a finding without a reason.", acceptable=False
)
def accepted_finding_without_reason(site: Site) -> Iterator[Problem]:
    for name, reason in as_mapping(site.values.get(ACCEPTED)).items():
        if name in site.rules and not as_text(reason):
            yield Problem(
                "has no reason",
                "write in a sentence why this is right here; the table shows it at every run",
                f"{ACCEPTED}.{name}",
            )


@rule(
    "accepted-finding-final",
    ERROR,
    "The site accepts a finding with which a stage fails all the same.",
    acceptable=False,
)
def accepted_finding_final(site: Site) -> Iterator[Problem]:
    for name in as_mapping(site.values.get(ACCEPTED)):
        if site.rules.get(name) is False:
            yield Problem(
                f"{name} cannot be accepted: a stage would fail by it later, with machines changed",
                "drop the line, and repair what the finding names",
                f"{ACCEPTED}.{name}",
            )


@rule("accepted-finding-absent", WARNING, "The site accepts a finding that there is not.", acceptable=False)
def accepted_finding_absent(site: Site) -> Iterator[Problem]:
    for name in reasons(site):
        if name not in site.found:
            yield Problem(
                f"{name} was not found",
                "drop the line, so that it does not hide a fault to come",
                f"{ACCEPTED}.{name}",
            )
