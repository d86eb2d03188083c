# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about machines that come, go, or change their place. What they tell is documented in `_machine/members.py`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import (
    ERROR,
    WARNING,
    Problem,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Host,
    Site,
    as_list,
    as_mapping,
    as_text,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule

RETURNING = "site_returning_nodes"
# What a machine is called that a stage has made, and the way to another place in the site.
PLACES = {
    "head": (
        "the head of a cluster",
        "leave it in head: the cluster's data are on it, and another head is another cluster. Where that cluster is over, "
        "ansible-playbook playbooks/reset.yml lists what would go, and asks",
    ),
    "workers": (
        "a worker of the cluster",
        "leave it in workers, run ansible-playbook playbooks/remove_node.yml -e confirm={name}, and then give it its new group",
    ),
    "proxy": (
        "the site's proxy",
        "leave it in proxy; or put another machine there first, and on this one apt-get purge nginx and remove /etc/nginx",
    ),
    "registry": (
        "the site's registry",
        "leave it in registry: people's images are on it; or have another registry, and on this one apt-get purge docker-registry"
        " and remove /etc/systemd/system/docker-registry.service.d",
    ),
}


def _told(host: Host, part: str) -> Any:
    return as_mapping(host.probe.get("members")).get(part)


def _known(site: Site, part: str) -> Mapping[str, Any]:
    """Give what the first head that says anything tells of other machines."""
    return next((told for head in site.seen("head") if (told := as_mapping(_told(head, part)))), {})


def _joining(site: Site) -> list[Host]:
    """Workers that a run would bring into the cluster."""
    return [host for host in site.seen("workers") if not host.joined and "head" not in host.groups]


@rule(
    "role-changed",
    ERROR,
    "A machine that a stage has made one thing is to be another.",
    acceptable=False,
)
def role_changed(site: Site) -> Iterator[Problem]:
    for host in site.machines:
        for group in as_list(_told(host, "was")) if host.seen else ():
            if group not in PLACES or group in host.groups:
                continue
            what, way = PLACES[group]
            # Not more than what counts: a mirror or a group of people's own is no place in a site.
            now = " and ".join(name for name in PLACES if name in host.groups)
            yield Problem(
                f"is {what}, and hosts.yml has it in {now} only",
                way.format(name=host.name),
                f"groups.{group}",
                host.name,
            )


@rule(
    "node-name-taken",
    ERROR,
    "The cluster has a node of this name, and it is another machine.",
    acceptable=False,
)
def node_name_taken(site: Site) -> Iterator[Problem]:
    nodes = _known(site, "nodes")
    for host in _joining(site):
        own, known = as_text(host.probe.get("machine_id")), as_text(nodes.get(host.name))
        # One that was reset and not yet joined again is still itself.
        if own and known and own != known:
            yield Problem(
                f"the cluster's node {host.name} is another machine (machine-id {known[:8]}..., here {own[:8]}...), and this one "
                "has not joined: a new disk, a new installation, or a name that is in use",
                f"take the old one out first: ansible-playbook playbooks/remove_node.yml -e confirm={host.name}, which also "
                "works for a machine that is gone; or give this one another name",
                "groups.workers",
                host.name,
            )


@rule("removed-host-listed", ERROR, "A node that was removed from the cluster is still in the inventory.")
def removed_host_listed(site: Site) -> Iterator[Problem]:
    removed = _known(site, "removed")
    returning = as_list(site.values.get(RETURNING))
    for host in _joining(site):
        record = as_mapping(removed.get(host.name))
        if not record or host.name in returning:
            continue
        day = _day(record.get("since"))
        own, known = as_text(host.probe.get("machine_id")), as_text(record.get("machine_id"))
        another = (
            ", and this is another machine of that name, with which volumes and labels of the old one may be confused"
            if own and known and own != known
            else ""
        )
        yield Problem(
            f"was removed from this cluster on {day}{another}; a run would bring it in again",
            f'take it out of hosts.yml; or, to have it (back): -e \'{{"{RETURNING}": ["{host.name}"]}}\', once',
            RETURNING,
            host.name,
        )


def _day(epoch: Any) -> str:
    """Give the day of a time that a machine told; it may have told anything."""
    if isinstance(epoch, bool) or not isinstance(epoch, (int, float)) or not 0 <= epoch < 1 << 33:
        return "some day"
    return f"{datetime.fromtimestamp(epoch, timezone.utc):%Y-%m-%d}"


@rule(
    "limit-leaves-proxy",
    WARNING,
    "A node would join, and a proxy that --limit leaves out would not ask it.",
)
def limit_leaves_proxy(site: Site) -> Iterator[Problem]:
    left_out = [host.name for host in site.members("proxy") if host.state == "unasked"]
    is_new = any(not head.joined for head in site.seen("head"))
    for host in _joining(site):
        if left_out and not is_new:
            yield Problem(
                f"has not joined yet, and --limit leaves out {', '.join(left_out)}, whose NGINX will not know it",
                "nothing, if a run without --limit follows; else start again without --limit, or with --limit head:workers:proxy",
                "groups.proxy",
                host.name,
            )
