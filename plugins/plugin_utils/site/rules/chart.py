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


def _dropped(site: Site) -> Iterator[tuple[str, str, str]]:
    """Give what ends a section of Ironbinder's, as (hub, path, message)."""
    for entry in as_list(site.controller.get("dropped_values")):
        told = as_mapping(entry)
        if message := as_text(told.get("message")):
            yield as_text(told.get("hub")), as_text(told.get("path")), message


def _keys(path: str) -> list[str]:
    return path.split(".")[1:]


def _comes_of(fault: list[str], dropped: list[str]) -> bool:
    """Whether a fault lies above or below what was dropped, and so is what the chart says of the same line."""
    shorter = min(len(fault), len(dropped))
    return fault[:shorter] == dropped[:shorter]


@rule(
    "hub-value-drops-section",
    ERROR,
    "A hub's own value has no mapping where Ironbinder has one, and ends all that is in it.",
)
def hub_value_drops_section(site: Site) -> Iterator[Problem]:
    for hub, path, message in _dropped(site):
        yield Problem(message, "remove the line, or write a mapping below it", f"site_hubs.{hub}.{path}")


@rule(
    "hub-value-refused",
    ERROR,
    "The chart does not take a value of a hub, or has no such key.",
    acceptable=False,
)
def hub_value_refused(site: Site) -> Iterator[Problem]:
    dropped = [(hub, _keys(path)) for hub, path, _ in _dropped(site)]
    for entry in as_list(as_mapping(site.controller.get("hub_values")).get("faults")):
        fault = as_mapping(entry)
        meant, message = as_text(fault.get("suggestion")), as_text(fault.get("message"))
        hub, path = as_text(fault.get("hub")), as_text(fault.get("path"))
        if message and not any(hub == name and _comes_of(_keys(path), keys) for name, keys in dropped):
            yield Problem(
                message,
                f"did you mean {meant}?"
                if meant
                else "write what the chart takes; helm refuses the release otherwise",
                f"site_hubs.{hub}.{path}",
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
