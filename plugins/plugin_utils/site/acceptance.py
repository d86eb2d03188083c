# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Findings that a site accepts: what is an error elsewhere is a warning there, with the reason for all to see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import WARNING, Finding
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site, as_mapping, as_text

__all__ = ["ACCEPTED", "accept", "reasons"]

ACCEPTED = "site_accepted_findings"


def reasons(site: Site) -> dict[str, str]:
    """Give what counts of `site_accepted_findings`: {rule: reason} of rules that may be accepted, for a reason."""
    given = as_mapping(site.values.get(ACCEPTED))
    return {
        name: as_text(reason) for name, reason in given.items() if site.rules.get(name) and as_text(reason)
    }


def accept(findings: Iterable[Finding], site: Site) -> list[Finding]:
    """Turn accepted errors into warnings, each with the site's reason."""
    accepted = reasons(site)
    return [
        replace(finding, severity=WARNING, accepted=accepted[finding.id])
        if finding.id in accepted
        else finding
        for finding in findings
    ]
