# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Hubs' own values that end whole sections of Ironbinder's: a key without a value, or with one that is no mapping.

Values are looked at where they are at hand, on the controller, and what leaves is about them: paths, and keys of Ironbinder's
own. The rules of `site/rules/chart.py` tell it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._net.openid import ENDPOINTS
from ansible_collections.ironbinder.platform.plugins.module_utils._release.helm_values import merge
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.auth_values import SignIn
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.chart_schema import SETTINGS, TOKEN
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.chart_values import (
    Settings,
    hub_values,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.hubs import hub_keys, resolve_hubs
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site, as_mapping
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.sign_in import MISPLACED_SECRETS
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.values import plain

__all__ = ["dropped_values"]

SECTIONS = ("values", "secret_values")
URL = "https://hub.example.org"
# What sections there are does not depend on what is in them.
SIGN_IN = SignIn(dict.fromkeys(MISPLACED_SECRETS.values(), TOKEN), TOKEN, dict.fromkeys(ENDPOINTS, URL))
# A section's keys that are named; more of them say no more.
MOST_KEYS = 4


def _settings(site: Site, proxies: Mapping[str, str]) -> Settings:
    """Give what all hubs share, as far as it is of the type that it has to be."""
    told: dict[str, Any] = {
        entry.name: site.values[f"site_{entry.name}"]
        for entry in fields(Settings)
        if type(site.values.get(f"site_{entry.name}")) is type(getattr(SETTINGS, entry.name))
    }
    trusts = bool(site.values.get("site_ca_files"))
    return replace(
        SETTINGS, **told, proxy_environment=dict(proxies), ca_checksum=SETTINGS.ca_checksum if trusts else ""
    )


def _whole(hub: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """What helm would be given for a hub, its two files in one."""
    entry = resolve_hubs({"hub": hub}, URL, "192.0.2.1")["hub"]
    told = hub_values(entry, settings, TOKEN, TOKEN, sign_in=SIGN_IN)
    return merge(told["config"], told["secrets"])


def _keeps(ours: Mapping[str, Any], left: Any) -> bool:
    return isinstance(left, Mapping) and all(
        key in left and (not isinstance(value, Mapping) or _keeps(value, left[key]))
        for key, value in ours.items()
    )


def _dropped(
    own: Mapping[str, Any], ours: Mapping[str, Any], left: Any, way: tuple[str, ...]
) -> Iterator[dict[str, str]]:
    """Walk through a hub's own values beside Ironbinder's, and beside what both become."""
    for key, value in own.items():
        section, then = ours.get(key), as_mapping(left).get(key)
        if not isinstance(section, Mapping) or not section:
            continue
        if isinstance(value, Mapping):
            yield from _dropped(value, section, then, (*way, str(key)))
        elif not _keeps(section, then):
            keys = [*map(str, section)]
            named = ", ".join(keys[:MOST_KEYS]) + (" and more" if len(keys) > MOST_KEYS else "")
            what = "is empty" if value is None else "is no mapping"
            yield {
                "path": ".".join((*way, str(key))),
                "message": f"{what}, which drops everything that Ironbinder sets there: {named}",
            }


def _of_hub(
    settings: Settings, hub: Mapping[str, Any], sections: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, str]]:
    before, found = _whole(hub, settings), []
    for section, own in sections.items():
        after = _whole({**hub, section: own}, settings) if own else before
        found += list(_dropped(own, before, after, (section,)))
    return found


def _told(
    site: Site,
    hub: Mapping[str, Any],
    sections: Mapping[str, Mapping[str, Any]],
    proxies: Mapping[str, str],
) -> list[dict[str, str]]:
    """Look at one hub with what the site says, or with as much of it as values can be computed from."""
    ways: tuple[Callable[[], list[dict[str, str]]], ...] = (
        lambda: _of_hub(_settings(site, proxies), hub, sections),
        lambda: _of_hub(SETTINGS, {"auth": hub.get("auth")}, sections),
        lambda: _of_hub(SETTINGS, {}, sections),
    )
    for way in ways:
        # What is wrong with a site has rules of its own, and more shapes than anybody thinks of.
        with suppress(Exception):
            return way()
    return []


def dropped_values(site: Site, hubs: Any, proxies: Mapping[str, str]) -> list[dict[str, str]]:
    """Find what of hubs' own values is no mapping where Ironbinder has one, and so ends all that is in it.

    A null in the place of a single value of Ironbinder's is somebody's intention.

    Args:
        site: the site, whose settings say what Ironbinder sets.
        hubs: `site_hubs` with its values and secret values.
        proxies: the site's HTTP proxy as environment.

    Returns:
        [{hub, path, message}], where path begins with values or secret_values. No value is in it. Never raises.
    """
    found = []
    for name, given in as_mapping(hubs).items():
        hub = plain(as_mapping(given))
        sections = {section: as_mapping(hub.get(section)) for section in SECTIONS}
        told = {key: hub[key] for key in hub_keys() if key in hub and key not in SECTIONS}
        if any(sections.values()):
            found += [{"hub": str(name), **entry} for entry in _told(site, told, sections, proxies)]
    return found
