# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about what one hub of several is told of its own: name, host, certificate, quotas, chart and proof."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.hubs import QUOTAS, site_hubs
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Site,
    as_int,
    as_list,
    as_mapping,
    as_text,
    split_url,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.proxy_servers import (
    BASE_URLS,
    FILES,
    proxy_servers,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.quota_values import share
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.urls import PUBLIC_URL, host_of

TEXTS = ("public_url", *BASE_URLS, "floating_ip", *FILES, "chart_version")
VERIFY = ("provider", "spec", "timeout_seconds")
# Of the site's own numbers, those that all hubs have together.
SHARED = {"total_quota": "site_total_quota", "parallel_builds": "site_parallel_builds"}
MOST = 1_000_000


def _where(name: str, key: str) -> str:
    return f"site_hubs.{name}.{key}"


def _is_number(value: Any, least: int) -> bool:
    return least <= as_int(value, -1) <= MOST


@rule(
    "hub-setting-malformed",
    ERROR,
    "What a hub is told of its own has another form than it has to have.",
    acceptable=False,
)
def hub_setting_malformed(site: Site) -> Iterator[Problem]:
    for name, hub in site.hubs.items():
        given = {key: value for key, value in hub.items() if value is not None}
        for key in TEXTS:
            if key in given and not isinstance(given[key], str):
                yield Problem(f"is {str(given[key])[:60]!r}, no text", "put it in quotes", _where(name, key))
        for key in QUOTAS:
            if key in given and not _is_number(given[key], 0):
                yield Problem(
                    f"is {str(given[key])[:60]!r}",
                    f"use a whole number up to {MOST}; 0 is no bound",
                    _where(name, key),
                )
        if "verify" in given:
            yield from _verify_faults(_where(name, "verify"), given["verify"])


def _verify_faults(where: str, verify: Any) -> Iterator[Problem]:
    if not isinstance(verify, Mapping):
        yield Problem(f"is {str(verify)[:60]!r}, no mapping", f"write {', '.join(VERIFY)} below it", where)
        return
    for key, value in verify.items():
        if key not in VERIFY:
            yield Problem("is no key of a proof", f"use {', '.join(VERIFY)}", f"{where}.{key}")
        elif value is None:
            continue
        elif key == "timeout_seconds" and not _is_number(value, 1):
            yield Problem(
                f"is {str(value)[:60]!r}", "use a number of seconds, such as 1800", f"{where}.{key}"
            )
        elif key != "timeout_seconds" and not isinstance(value, str):
            yield Problem(f"is {str(value)[:60]!r}, no text", "put it in quotes", f"{where}.{key}")


@rule("hub-named-twice", ERROR, "Two hubs have one name, and only the last is read.", acceptable=False)
def hub_named_twice(site: Site) -> Iterator[Problem]:
    for told in map(as_mapping, as_list(site.controller.get("hubs_named_twice"))):
        name, lines = as_text(told.get("name")), [str(line) for line in as_list(told.get("lines"))]
        yield Problem(
            f"{as_text(told.get('path'))} has it in lines {', '.join(lines)}, and YAML takes the last one for both",
            "give each hub a name of its own; the name of one that runs has to stay",
            f"site_hubs.{name}",
        )


def _way(url: str) -> tuple[str, int | None]:
    parts = split_url(url)
    scheme = parts.scheme if parts else ""
    return scheme, (parts.port if parts else None) or {"http": 80, "https": 443}.get(scheme)


@rule(
    "hub-public-url-differs",
    ERROR,
    "A hub's public URL has another scheme or port than the site's.",
    acceptable=False,
)
def hub_public_url_differs(site: Site) -> Iterator[Problem]:
    common = site.text(PUBLIC_URL)
    for name, hub in site.hubs.items():
        own = as_text(hub.get("public_url"))
        if host_of(own) and host_of(common) and _way(own) != _way(common):
            yield Problem(
                f"{own[:80]} has another scheme or port than {common[:80]}, and the proxy speaks one at one port",
                "write scheme and port as in site_public_url, and another host",
                _where(name, "public_url"),
            )


@rule("hub-certificate-without-host", ERROR, "A hub names a certificate, and no host of its own.")
def hub_certificate_without_host(site: Site) -> Iterator[Problem]:
    for server in proxy_servers(site_hubs(site), site.text(PUBLIC_URL)):
        for name in server.hubs if not server.own else ():
            for key in FILES:
                if as_text(site.hubs[name].get(key)):
                    yield Problem(
                        f"is set, and people come to this hub at {server.host}, which has the site's certificate",
                        "give the hub a public_url of its own, or set site_proxy_" + key,
                        _where(name, key),
                    )


@rule("hubs-certificates-differ", ERROR, "Hubs of one host name have different certificates.")
def hubs_certificates_differ(site: Site) -> Iterator[Problem]:
    for server in proxy_servers(site_hubs(site), site.text(PUBLIC_URL)):
        first = server.certificate_of
        for name in server.hubs if first else ():
            for key in FILES:
                told, wanted = (as_text(site.hubs[hub].get(key)) for hub in (name, first))
                if told and told != wanted:
                    yield Problem(
                        f"is another file than that of {first}, and {server.host} shows one certificate",
                        "name the same file, or drop the line",
                        _where(name, key),
                    )


@rule("hub-quota-above-site", ERROR, "A hub may run more than the whole site.")
def hub_quota_above_site(site: Site) -> Iterator[Problem]:
    for key, variable in SHARED.items():
        most = as_int(site.values.get(variable))
        for name, hub in site.hubs.items():
            own = as_int(hub.get(key), -1)
            if most > 0 and own == 0:
                yield Problem(
                    f"is 0, which is no bound, and {variable} is {most}",
                    f"name a number, or set {variable}: 0",
                    _where(name, key),
                )
            elif 0 < most < own:
                yield Problem(
                    f"is {own}, and {variable} is {most}",
                    f"set it to {most} or less, or raise {variable} to what the nodes bear (`make capacity`)",
                    _where(name, key),
                )


@rule("hubs-quotas-above-site", WARNING, "Hubs together may run more than the whole site.")
def hubs_quotas_above_site(site: Site) -> Iterator[Problem]:
    for key, variable in SHARED.items():
        most, count = as_int(site.values.get(variable)), len(site.hubs)
        named = {name: as_int(hub[key]) for name, hub in site.hubs.items() if as_int(hub.get(key)) > 0}
        others = count - len([name for name, hub in site.hubs.items() if hub.get(key) is not None])
        # One that is above the site by itself is an error of its own.
        if most <= 0 or not named or max(named.values()) > most:
            continue
        each = share(most, count, list(named.values()) + [0] * (count - others - len(named)))
        together = sum(named.values()) + others * each
        if together > most:
            rest = f", and {each} for each of the others" if others else ""
            yield Problem(
                f"is {most}, and the hubs have {' + '.join(f'{name} {number}' for name, number in named.items())}{rest}",
                f"lower {key} of a hub, or raise {variable} to what the nodes bear (`make capacity`)",
                variable,
            )


@rule(
    "hub-repository-quota-above-total", WARNING, "A hub allows one repository more sessions than it may run."
)
def hub_repository_quota_above_total(site: Site) -> Iterator[Problem]:
    for name, hub in site.hubs.items():
        total, own = as_int(hub.get("total_quota")), as_int(hub.get("per_repo_quota"))
        if 0 < total < own:
            yield Problem(
                f"is {own}, and the hub's total_quota is {total}, so it bounds nothing",
                f"set it below {total}, or to 0 for no quota of a repository",
                _where(name, "per_repo_quota"),
            )


@rule("hubs-share-release", ERROR, "Several hubs have one release.")
def hubs_share_release(site: Site) -> Iterator[Problem]:
    holders: dict[str, list[str]] = {}
    for name, hub in site_hubs(site).items():
        holders.setdefault(as_text(hub["release"]), []).append(name)
    for release, names in holders.items():
        if release and len(names) > 1:
            given = [name for name in names if site.hubs[name].get("release")] or names
            yield Problem(
                f"{', '.join(names)} are all the release {release}, whose name stands in roles of the whole cluster",
                "give each hub its own release",
                _where(given[-1], "release"),
            )
