# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about the namespaces of hubs, which go with everything in them when a hub is removed."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.hubs import site_hubs
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site, as_text
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.namespaces import is_system_namespace
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule


@rule(
    "hub-in-system-namespace",
    ERROR,
    "A hub is to be in a namespace that the cluster itself lives in.",
    acceptable=False,
)
def hub_in_system_namespace(site: Site) -> Iterator[Problem]:
    for name, hub in site_hubs(site).items():
        namespace = as_text(hub["namespace"])
        if is_system_namespace(namespace):
            named = site.hubs[name].get("namespace") is not None
            yield Problem(
                f"the namespace {namespace} is the cluster's own, and a hub's goes with all in it when the hub is removed",
                "drop the line, or name one that is the hub's alone"
                if named
                else "give the hub another name, or a namespace of its own",
                f"site_hubs.{name}" + (".namespace" if named else ""),
            )
