# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about nodes that will be lost: how soon that is noticed, and who takes over."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site, as_int
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.nodes import REQUIRE, purpose_of
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule

AFFINITY = "site_node_purpose_affinity"
# Least and most seconds. The controller looks every five seconds, and a kubelet needs several tries within the time; beyond the
# most, pods of a dead node look alive for longer than anybody waits.
BOUNDS = {"site_node_lost_seconds": (15, 300), "site_core_pods_wait_seconds": (0, 3600)}
REASONS = {
    "site_node_lost_seconds": "in less a busy node counts as lost, in more nobody notices one that is",
    "site_core_pods_wait_seconds": "0 is at once, 300 is Kubernetes' own",
}


@rule(
    "loss-times-out-of-range",
    ERROR,
    "How soon a lost node is noticed, or how long hubs wait for it, cannot work.",
    acceptable=False,
)
def loss_times_out_of_range(site: Site) -> Iterator[Problem]:
    for variable, (least, most) in BOUNDS.items():
        given = site.values.get(variable)
        # What is no number is the contract's own rule's.
        if str(given).lstrip("-").isdigit() and not least <= as_int(given) <= most:
            yield Problem(
                f"is {given} seconds: {REASONS[variable]}", f"give {least} to {most} seconds", variable
            )


@rule("core-on-one-worker", WARNING, "Hubs may run on one worker only, and are gone for as long as it is.")
def core_on_one_worker(site: Site) -> Iterator[Problem]:
    if site.text(AFFINITY) != REQUIRE:
        return
    core = [host for host in site.nodes if purpose_of(site.purposes(host)) == "core"]
    # Without its only head the cluster is away in any case.
    if len(core) == 1 and core[0] not in site.members("head"):
        yield Problem(
            "is require, and no other node is for core alone: where this one is lost, no hub starts anywhere else",
            f"give a second node to core (site_node_purposes: [core]), or set {AFFINITY}: prefer, so that nodes for sessions "
            "take the hubs meanwhile",
            AFFINITY,
            core[0].name,
        )
