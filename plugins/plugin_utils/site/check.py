# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""All rules together, and the check of a site that has been looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

# Importing a file of rules registers its rules. Their order is that of the table: what has to be
# repaired first comes first.
# isort: off
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rules import groups  # noqa: F401
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rules import names  # noqa: F401
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rules import contract  # noqa: F401
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rules import machines  # noqa: F401
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rules import ports  # noqa: F401
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rules import running  # noqa: F401
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rules import network  # noqa: F401
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rules import pool  # noqa: F401
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rules import urls  # noqa: F401
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rules import registry  # noqa: F401
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rules import artifacts  # noqa: F401
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rules import versions  # noqa: F401
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rules import hubs  # noqa: F401
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rules import chart  # noqa: F401
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rules import secrets  # noqa: F401
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rules import tls  # noqa: F401

# isort: on
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import (
    ERROR,
    Finding,
    render_table,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import RULES, check_rules

__all__ = ["RULES", "Report", "check_site"]


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
            "findings": [asdict(finding) for finding in self.findings],
            "error_count": self.errors,
            "warning_count": self.warnings,
            "table": render_table(self.findings),
        }


def check_site(data: Mapping[str, Any]) -> Report:
    """Check a site given as plain data, see `Site.from_data`. Never raises."""
    return Report(tuple(check_rules(Site.from_data(data))))
