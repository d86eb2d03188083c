# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about the site's way out, its HTTP proxy, and about what is reached without it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.fences import guard_enabled
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.http_proxy import (
    NO_PROXY,
    PROXIES,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Site,
    as_int,
    as_list,
    as_mapping,
    as_text,
    parse_ip,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.proxy_forms import Fault, entry_fault
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule


def _proxies(site: Site) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Give what is known of each proxy, never its URL, once where the two are one."""
    told = as_mapping(site.secrets.get("proxies"))
    seen: list[Mapping[str, Any]] = []
    for variable in PROXIES:
        proxy = as_mapping(told.get(variable))
        # By default the second is the first.
        if proxy.get("set") is True and not (variable not in site.given and proxy in seen):
            seen.append(proxy)
            yield variable, proxy


@rule(
    "http-proxy-malformed",
    ERROR,
    "The URL of the HTTP proxy is not one that all programs understand.",
    acceptable=False,
)
def http_proxy_malformed(site: Site) -> Iterator[Problem]:
    for variable, proxy in _proxies(site):
        if proxy.get("observed"):
            yield Problem(as_text(proxy["observed"]), as_text(proxy.get("remedy")), variable)


@rule(
    "http-proxy-account-told", WARNING, "Builds, which run anybody's code, are told an account of the proxy."
)
def http_proxy_account_told(site: Site) -> Iterator[Problem]:
    for variable, proxy in _proxies(site):
        if proxy.get("account") is True:
            yield Problem(
                "has an account in it, which every RUN step of every build can read and use",
                "let the proxy know the site's machines by their addresses, without an account; or give it one that may do no "
                "more than any stranger",
                variable,
            )


@rule(
    "http-proxy-in-cluster",
    ERROR,
    "The HTTP proxy is a part of the cluster, which the guard closes to builds.",
)
def http_proxy_in_cluster(site: Site) -> Iterator[Problem]:
    for variable, proxy in _proxies(site) if guard_enabled(site) else ():
        address = parse_ip(proxy.get("host"))
        if address is None:
            continue
        nodes = [host for host in site.nodes if parse_ip(host.address) == address]
        ranges = [
            name for name in ("site_pod_subnet", "site_service_subnet") if _holds(site.text(name), address)
        ]
        if nodes or ranges:
            what = f"the node {nodes[0].name}" if nodes else f"in {ranges[0]}"
            yield Problem(
                f"is {address}:{as_int(proxy.get('port'))}, {what}: no build gets there, whatever the site opens",
                "run the proxy on a machine that is no node",
                variable,
                nodes[0].name if nodes else "",
            )


def _holds(subnet: str, address: Any) -> bool:
    try:
        return any(
            ip_address(str(address)) in ip_network(part.strip()) for part in subnet.split(",") if part.strip()
        )
    except ValueError:  # the rules about ranges report it
        return False


def _entries(site: Site) -> Iterator[tuple[str, Fault]]:
    for number, entry in enumerate(as_list(site.values.get(NO_PROXY))):
        fault = entry_fault(entry)
        if fault:
            yield f"{NO_PROXY}[{number}]", fault


@rule(
    "no-proxy-malformed",
    ERROR,
    "An entry of site_no_proxy is none that any program understands.",
    acceptable=False,
)
def no_proxy_malformed(site: Site) -> Iterator[Problem]:
    for place, fault in _entries(site):
        if fault.refuses:
            yield Problem(fault.observed, fault.remedy, place)


@rule("no-proxy-ignored", WARNING, "An entry of site_no_proxy has a form that some programs ignore.")
def no_proxy_ignored(site: Site) -> Iterator[Problem]:
    for place, fault in _entries(site):
        if not fault.refuses:
            yield Problem(fault.observed, fault.remedy, place)
