# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about machines that come, go, or change their place. What they tell is documented in `_machine/members.py`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
        "leave it in workers, run ansible-playbook playbooks/remove_node.yml -e node={name} -e confirm={name}, and then give "
        "it its new group",
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
                f"take the old one out first: ansible-playbook playbooks/remove_node.yml -e node={host.name} "
                f"-e confirm={host.name} -e lost=true, which asks no machine; or give this one another name",
                "groups.workers",
                host.name,
            )


def _returning(site: Site) -> list[str]:
    return [as_text(name) for name in as_list(site.values.get(RETURNING))]


@rule(
    "removed-host-listed",
    ERROR,
    "A node that was removed from the cluster is still in the inventory, or another machine has its name.",
    acceptable=False,
)
def removed_host_listed(site: Site) -> Iterator[Problem]:
    """Also where the removal was stopped half-way: then the machine has a kubelet that its cluster does not know, or will not."""
    removed = _known(site, "removed")
    for host in site.hosts.values():
        if host.name not in removed or not {"head", "workers"} & host.groups:
            continue
        record = as_mapping(removed[host.name])
        when = _day(record)
        # Of what a removal takes from the machine the kubelet's files go first, and the mark of the join last of the cluster's.
        if host.seen and (host.joined or "workers" in as_list(_told(host, "was"))):
            yield Problem(
                f"its removal{when} was not finished",
                f"finish it: ansible-playbook playbooks/remove_node.yml -e node={host.name} -e confirm={host.name}",
                "groups.workers",
                host.name,
            )
        elif host.name not in _returning(site):
            yield Problem(
                f"was removed from this cluster{when}{_another(host, record)}; a run would bring it in again",
                f'take it out of hosts.yml; or, to have it (back): -e \'{{"{RETURNING}": ["{host.name}"]}}\', once',
                RETURNING,
                host.name,
            )


def _day(record: Any) -> str:
    """Say when a node was removed, as far as its record tells."""
    at = as_text(as_mapping(record).get("at"))
    return f" on {at[:10]}" if at else ""


def _another(host: Host, record: Mapping[str, Any]) -> str:
    """Say so where the machine is not the one that was removed; nothing where that cannot be told."""
    own = as_text(host.probe.get("machine_id")) if host.seen else ""
    known = as_text(record.get("machine_id"))
    if not own or not known or own == known:
        return ""
    return (
        f", and this is another machine of that name (machine-id {known[:8]}..., here {own[:8]}...), with which volumes and "
        "labels of the old one may be confused"
    )


@rule("returning-node-unknown", WARNING, "A node that is to return is not in the inventory.")
def returning_node_unknown(site: Site) -> Iterator[Problem]:
    lost = [name for name in _returning(site) if name not in site.hosts]
    if lost:
        yield Problem(f"names {', '.join(lost)}", "correct the name, or take it out", RETURNING)


def _is_told(site: Site, name: str) -> bool:
    """Whether a node is a machine of the inventory, or `role-changed` speaks of it."""
    return any(
        group in host.groups or (host.seen and group in as_list(_told(host, "was")))
        for host in site.hosts.values()
        if host.name.lower() == name
        for group in ("head", "workers")
    )


@rule(
    "node-not-listed",
    WARNING,
    "The cluster has nodes that the inventory has not.",
)
def node_not_listed(site: Site) -> Iterator[Problem]:
    """Taken out of hosts.yml and not out of the cluster; or removed as lost, and its kubelet registers it whenever it starts."""
    removed = _known(site, "removed")
    strays = sorted(name for name in _known(site, "nodes") if not _is_told(site, name))
    if not strays:
        return
    words = [
        f"{name} (removed{_day(removed[name])}, and back)" if name in removed else name for name in strays
    ]
    name = strays[0] if len(strays) == 1 else "NAME"
    yield Problem(
        f"the cluster has {', '.join(words)}, and hosts.yml does not: people's sessions start there, and no run maintains it",
        "put it back into workers; or, where its machine is switched off for good, ansible-playbook playbooks/remove_node.yml "
        f"-e node={name} -e confirm={name} -e lost=true. A machine that stays on is removed without lost, while hosts.yml has it",
        "groups.workers",
    )


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
