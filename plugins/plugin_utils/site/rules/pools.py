# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about nodes for the hubs and nodes for sessions, and where builds run."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Host, Site, as_mapping
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.nodes import (
    PURPOSES,
    REQUIRE,
    purpose_of,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.past import foreign_docker
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule

AFFINITY = "site_node_purpose_affinity"
TAINTED = "site_user_nodes_tainted"


@rule(
    "node-purpose-without-node",
    ERROR,
    "Pods require nodes of their purpose, and no node has one of the purposes alone.",
    acceptable=False,
)
def node_purpose_without_node(site: Site) -> Iterator[Problem]:
    labels = {purpose_of(site.purposes(host)) for host in site.nodes}
    missing = [purpose for purpose in PURPOSES if purpose not in labels]
    # No node at all, or none for a purpose, is another rule's.
    if site.text(AFFINITY) == REQUIRE and site.nodes and missing == ["core"]:
        yield Problem(
            "is require, and every node for core is one for user as well, whose label says user",
            "set it to prefer, or leave a node to core alone (site_node_purposes)",
            AFFINITY,
        )


def _takes_others(site: Site, host: Host) -> bool:
    """Whether pods that tolerate no taint may run on a node whose taints are ours."""
    purposes = site.purposes(host)
    is_head = host in site.members("head")
    return "core" in purposes and not (is_head and purpose_of(purposes) == "core")


@rule(
    "user-nodes-tainted-without-others",
    ERROR,
    "Nodes for users are kept to them, and no node is left for what is neither hub nor session.",
)
def user_nodes_tainted_without_others(site: Site) -> Iterator[Problem]:
    if site.flag(TAINTED) and site.nodes and not any(_takes_others(site, host) for host in site.nodes):
        yield Problem(
            "is true, and besides the head every node is for user alone: MetalLB has no node to announce addresses from",
            "leave a worker to core (site_node_purposes: [core]), or set it to false",
            TAINTED,
        )


@rule("docker-without-builds", WARNING, "A node on which nothing builds has Docker.")
def docker_without_builds(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers"):
        if foreign_docker(host):  # docker-foreign's
            continue
        if not site.builds_on(host) and as_mapping(host.probe.get("docker")).get("engine") == "docker":
            yield Problem(
                "runs Docker, where no build runs: it is left as it is, and is no longer configured",
                "if nobody else needs it: apt-get purge --allow-change-held-packages docker-ce docker-ce-cli, or apt-get purge "
                "docker.io, and remove /var/lib/docker",
                "",
                host.name,
            )
