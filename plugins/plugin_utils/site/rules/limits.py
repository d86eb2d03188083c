# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about runs of a part of the site: what `--limit` leaves out must not be left behind."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Host, Site
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule

# With it each node has a route to the pods of each other one; other providers tell their nodes themselves.
ROUTED = "routed"


def _names(hosts: list[Host]) -> str:
    return ", ".join(host.name for host in hosts)


@rule(
    "limit-cuts-routes",
    ERROR,
    "A node would join, and nodes that --limit leaves out would not learn the way to its pods.",
    acceptable=False,
)
def limit_cuts_routes(site: Site) -> Iterator[Problem]:
    heads = [site.hosts[name] for name in site.groups.get("head", ()) if name in site.hosts]
    workers = [site.hosts[name] for name in site.groups.get("workers", ()) if name in site.hosts]
    joining = [host for host in workers if host.seen and not host.joined]
    left_out = [host for host in [*heads, *workers] if host.state == "unasked"]
    # Without a cluster there is nobody who could be left behind.
    is_new = any(host.seen and not host.joined for host in heads)
    if site.text("site_pod_network_provider") != ROUTED or is_new or not left_out:
        return
    for host in joining:
        yield Problem(
            f"has not joined yet, and --limit leaves out {_names(left_out)}, which would have no route to its pods",
            "start again without --limit, or with --limit head:workers",
            "site_pod_network_provider",
            host.name,
        )
