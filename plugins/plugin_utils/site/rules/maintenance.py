# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about how long what people run may take, and is waited for."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule

# What a negative number would mean instead.
SECONDS = {
    "site_build_max_age_seconds": "0 for no bound",
    "site_drain_timeout_seconds": "0 to wait for nobody",
}


@rule("maintenance-seconds-malformed", ERROR, "An age or a time to wait is below nothing.", acceptable=False)
def maintenance_seconds_malformed(site: Site) -> Iterator[Problem]:
    for variable, none in SECONDS.items():
        value = site.values.get(variable)
        if isinstance(value, int) and value < 0:
            yield Problem(f"is {value}", f"write a whole number of seconds, {none}", variable)
