# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about nodes that were taken away, and about how long what people run may take.

Who was taken away is a note on the head, see `_machine/removed.py`.
"""

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

AGAIN = "site_nodes_added_again"
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


def _again(site: Site) -> list[str]:
    return [as_text(name) for name in as_list(site.values.get(AGAIN))]


@rule(
    "removed-host-in-inventory",
    ERROR,
    "A host that was removed from the site is still in the inventory, or another one has its name.",
    acceptable=False,
)
def removed_host_in_inventory(site: Site) -> Iterator[Problem]:
    """Also where the removal was stopped half-way: then the machine has a kubelet that its cluster does not know."""
    told: dict[str, str] = {}
    for head in site.seen("head"):
        for entry in as_list(as_mapping(head.probe.get("kubernetes")).get("removed_nodes")):
            told.setdefault(as_text(as_mapping(entry).get("node")), as_text(as_mapping(entry).get("at")))
    seen = {host.name: host for host in site.seen("head", "workers")}
    for host in site.hosts.values():
        if host.name not in told or not {"head", "workers"} & host.groups:
            continue
        when = f" on {told[host.name][:10]}" if told[host.name] else ""
        # The kubelet's files are the last that a removal takes: with them it was stopped.
        if host.name in seen and seen[host.name].joined:
            yield Problem(
                f"its removal{when} was not finished",
                f"finish it: ansible-playbook playbooks/remove_node.yml -e node={host.name} -e confirm={host.name}",
                "groups.workers",
                host.name,
            )
        elif host.name not in _again(site):
            yield Problem(
                f"was removed from this site{when}, and would join it again",
                f"take it out of hosts.yml; or, if it is to join again or this is a new machine of that name, "
                f"set {AGAIN}: [{host.name}] for one run",
                AGAIN,
                host.name,
            )


@rule("added-again-unknown", WARNING, "A host that is to be added again is not in the inventory.")
def added_again_unknown(site: Site) -> Iterator[Problem]:
    lost = [name for name in _again(site) if name not in site.hosts]
    if lost:
        yield Problem(f"names {', '.join(lost)}", "correct the name, or take it out", AGAIN)
