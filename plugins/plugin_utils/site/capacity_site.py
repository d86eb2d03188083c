# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The nodes of a site, as they were seen, in the words of `capacity`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.capacity import (
    FileSystem,
    Machine,
    Session,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Host,
    Site,
    as_int,
    as_list,
    as_mapping,
    as_text,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.node_faults import wishes_at
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.sizes import mebibytes, millicores

__all__ = ["Seen", "seen_nodes", "session_of"]

MEBIBYTE = 1 << 20
# What is stored where, see `MachineProbe.capacity`.
STORES = {"/var/lib/docker": "docker", "/var/lib/containerd": "containerd", "/var/lib/kubelet": "kubelet"}


@dataclass(frozen=True)
class Seen:
    """The nodes whose memory and processors are known, and the names of the others.

    `inotify` is the most that any node's kernel allows now, by the parameter's last name; empty where all nodes are
    containers, whose parameters are their computer's.
    """

    machines: tuple[Machine, ...]
    unknown: tuple[str, ...]
    inotify: dict[str, int]


def _capacity(host: Host) -> dict[str, object]:
    return dict(as_mapping(host.probe.get("capacity")))


def _known(host: Host) -> bool:
    return host.seen and as_int(host.facts.get("memtotal_mb")) > 0


def _computer(host: Host) -> str:
    """Name what a machine's kernel runs on: containers of one computer have one kernel."""
    return as_text(_capacity(host).get("boot_id")) or host.name


def _stores(host: Host) -> Iterator[tuple[str, str, int]]:
    """Give device, store and size in MiB of each file system on which the node stores something."""
    for entry in as_list(_capacity(host).get("file_systems")):
        told = as_mapping(entry)
        store, size = STORES.get(as_text(told.get("path"))), as_int(told.get("total_bytes"))
        if store and size > 0:
            yield f"{_computer(host)} {told.get('device')}", store, size // MEBIBYTE


def _disks(host: Host, users: Counter[str]) -> tuple[FileSystem, ...]:
    holds: dict[str, set[str]] = {}
    sizes: dict[str, int] = {}
    for device, store, size in _stores(host):
        holds.setdefault(device, set()).add(store)
        sizes[device] = size // max(1, users[device])
    return tuple(FileSystem(sizes[device], frozenset(stores)) for device, stores in holds.items())


def seen_nodes(site: Site) -> Seen:
    """Read heads and workers. Nodes on one computer get an equal part each of its memory, processors and disks."""
    known = [host for host in site.nodes if _known(host)]
    sharers = Counter(_computer(host) for host in known)
    users = Counter(device for host in known for device in {device for device, _, _ in _stores(host)})
    heads = {host.name for host in site.members("head")}
    purposes = {host.name: site.purposes(host) for host in known}
    # Where hubs have to keep to nodes for the core alone, they tolerate kubeadm's taint, which a head without sessions has.
    strict = site.text("site_node_purpose_affinity") == "require"
    core = [
        name
        for name, wanted in purposes.items()
        if "core" in wanted and ("user" not in wanted if strict else "user" in wanted or name not in heads)
    ]
    machines = []
    for host in known:
        parts = sharers[_computer(host)]
        user = "user" in purposes[host.name]
        machines.append(
            Machine(
                name=host.name,
                memory_mib=as_int(host.facts.get("memtotal_mb")) // parts,
                processors=max(1, as_int(host.facts.get("processor_vcpus"), 1)) / parts,
                disks=_disks(host, users),
                is_head=host.name in heads,
                runs_sessions=user,
                runs_hubs=host.name in core if core else user,
                sharers=parts,
                wishes=wishes_at(site, host),
            )
        )
    return Seen(tuple(machines), tuple(host.name for host in site.nodes if not _known(host)), _inotify(known))


def _inotify(known: list[Host]) -> dict[str, int]:
    now: dict[str, int] = {}
    for host in known:
        told = as_mapping(_capacity(host).get("inotify"))
        for name, value in {} if host.contained else told.items():
            now[name] = max(now.get(name, 0), as_int(value))
    return now


def session_of(site: Site) -> Session:
    """Read what the site gives a session. Kubernetes takes a limit for the request where none is given."""
    values = site.values
    return Session(
        memory_mib=mebibytes(values.get("site_session_memory_guarantee")),
        memory_limit_mib=mebibytes(values.get("site_session_memory_limit")),
        millicores=millicores(values.get("site_session_cpu_guarantee"))
        or millicores(values.get("site_session_cpu_limit")),
        disk_mib=mebibytes(values.get("site_session_ephemeral_storage_guarantee")),
        disk_limit_mib=mebibytes(values.get("site_session_ephemeral_storage_limit")),
    )
