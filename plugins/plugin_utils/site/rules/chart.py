# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about hubs' values for the chart, as its own schema judges them; see `site/chart_schema.py`."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Site,
    as_list,
    as_mapping,
    as_text,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule


@rule(
    "hub-value-refused",
    ERROR,
    "The chart does not take a value of a hub, or has no such key.",
    acceptable=False,
)
def hub_value_refused(site: Site) -> Iterator[Problem]:
    for entry in as_list(as_mapping(site.controller.get("hub_values")).get("faults")):
        fault = as_mapping(entry)
        meant, message = as_text(fault.get("suggestion")), as_text(fault.get("message"))
        if message:
            yield Problem(
                message,
                f"did you mean {meant}?"
                if meant
                else "write what the chart takes; helm refuses the release otherwise",
                f"site_hubs.{as_text(fault.get('hub'))}.{as_text(fault.get('path'))}",
            )


@rule(
    "hub-values-unchecked",
    WARNING,
    "Hubs have values of their own, and the chart's schema could not be read.",
)
def hub_values_unchecked(site: Site) -> Iterator[Problem]:
    reason = as_text(as_mapping(site.controller.get("hub_values")).get("unchecked"))
    if reason:
        yield Problem(
            f"the values of site_hubs were not compared with the chart: {reason}",
            "nothing, if they are right: helm looks at them again when the hubs are released",
            "site_binderhub_chart_repository",
        )
