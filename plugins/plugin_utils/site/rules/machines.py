# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about each machine: what it is, what it has, and whether it lets us in."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Host,
    Site,
    as_int,
    as_list,
    as_mapping,
    as_text,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.node_faults import (
    DISK_NEEDED_MB,
    memory_below_floor,
    memory_needed_mb,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule

SUPPORTED = "site_supported_systems"
ARCHITECTURES = ("x86_64", "aarch64")

# What kubeadm demands of a control plane, https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/
HEAD_CPUS = 2
# What leaves room for a term's images.
DISK_ADVISED_MB = 20_000
# Tokens and certificates are judged by the clock.
SKEW_SECONDS = 30.0
CONTROLLERS = ("cpu", "memory", "pids")


def _looked_at(site: Site) -> Iterator[Host]:
    return (host for host in site.seen("head", "workers", "proxy", "registry"))


@rule(
    "os-unsupported",
    ERROR,
    "A machine's operating system is not one Ironbinder is written for.",
    acceptable=False,
)
def os_unsupported(site: Site) -> Iterator[Problem]:
    supported = [as_text(entry) for entry in as_list(site.values.get(SUPPORTED))]
    for host in _looked_at(site) if supported else ():
        name, version = (as_text(host.facts.get(fact)) for fact in ("distribution", "distribution_version"))
        runs = f"{name} {version}"
        if name and not any(runs == wanted or runs.startswith(f"{wanted}.") for wanted in supported):
            yield Problem(f"runs {runs}", f"install {' or '.join(supported)}", "", host.name)


@rule("architecture-unsupported", ERROR, "A machine's processor is not one the images are built for.")
def architecture_unsupported(site: Site) -> Iterator[Problem]:
    for host in _looked_at(site):
        kind = as_text(host.facts.get("architecture"))
        if kind and kind not in ARCHITECTURES:
            yield Problem(f"is {kind}", f"use machines of {' or '.join(ARCHITECTURES)}", "", host.name)


@rule("architectures-mixed", WARNING, "Build nodes have different processors.")
def architectures_mixed(site: Site) -> Iterator[Problem]:
    kinds = sorted({as_text(host.facts.get("architecture")) for host in site.seen("head", "workers")} - {""})
    if len(kinds) > 1:
        yield Problem(
            f"the nodes are {' and '.join(kinds)}, and an image built on one kind does not start on the other",
            "keep to one kind of processor for head and workers",
        )


@rule("memory-too-small", ERROR, "A node has too little memory.")
def memory_too_small(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers"):
        if memory_below_floor(site, host):
            yield Problem(
                f"has {as_int(host.facts.get('memtotal_mb'))} MB of memory",
                f"give it at least {memory_needed_mb(site, host)} MB",
                "",
                host.name,
            )


@rule("cpu-too-small", ERROR, "The head has too few processors.")
def cpu_too_small(site: Site) -> Iterator[Problem]:
    for host in site.seen("head"):
        cpus = as_int(host.facts.get("processor_vcpus"))
        if 0 < cpus < HEAD_CPUS:
            yield Problem(
                f"has {cpus} processor", f"give it at least {HEAD_CPUS}, as kubeadm demands", "", host.name
            )


def _disks(site: Site, host: Host) -> Iterator[tuple[int, str]]:
    """Free MB of each file system that holds images here, and which folders it holds. Where nothing builds, no Docker is."""
    told = as_mapping(host.probe.get("disk"))
    passed = () if site.builds_on(host) else ("/var/lib/docker",)
    mounts = [as_mapping(entry) for entry in as_list(told.get("mounts"))]
    for mount in mounts or [told]:
        paths = [as_text(path) for path in as_list(mount.get("paths"))] or [
            as_text(told.get("path")) or "/var/lib"
        ]
        used, free = [path for path in paths if path not in passed], mount.get("free_mb")
        if used and isinstance(free, int) and not isinstance(free, bool):
            yield free, " and ".join(used) if len(mounts) > 1 else as_text(told.get("path")) or "/var/lib"


@rule("disk-too-small", ERROR, "A node has too little free disk for its images.")
def disk_too_small(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers"):
        for free, where in _disks(site, host):
            if free < DISK_NEEDED_MB:
                yield Problem(
                    f"has {free} MB free under {where}",
                    f"free at least {DISK_NEEDED_MB} MB: docker system prune removes what builds left",
                    "",
                    host.name,
                )


@rule("disk-scarce", WARNING, "A node's free disk will not last for long.")
def disk_scarce(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers"):
        for free, where in _disks(site, host):
            if DISK_NEEDED_MB <= free < DISK_ADVISED_MB:
                yield Problem(
                    f"has {free} MB free for images under {where}",
                    f"plan for {DISK_ADVISED_MB} MB",
                    "",
                    host.name,
                )


@rule("swap-on", WARNING, "A node swaps; Ironbinder will turn that off for good.")
def swap_on(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers"):
        swaps = [str(entry) for entry in as_list(host.probe.get("swaps"))]
        # Swap of a unit of its own is swap-comes-back's.
        if swaps and (host.contained or not as_list(as_mapping(host.probe.get("past")).get("swap_units"))):
            inside = " of the machine around this container" if host.contained else ""
            remedy = (
                "turn it off there"
                if host.contained
                else "nothing, if losing the swap is fine: role node runs swapoff"
            )
            yield Problem(f"swaps to {', '.join(swaps)}{inside}", remedy, "", host.name)


@rule("cgroup-v1", WARNING, "A node has cgroup v1, which Kubernetes is giving up.")
def cgroup_v1(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers"):
        if as_mapping(host.probe.get("cgroup")).get("version") == 1:
            yield Problem(
                "runs with cgroup v1: it works today, with failCgroupV1 off; under load a container fails to start now and then "
                "(https://github.com/kubernetes/kubernetes/issues/131087)",
                "boot with systemd.unified_cgroup_hierarchy=1 when you can",
                "",
                host.name,
            )


@rule("cgroup-missing", ERROR, "A node has no control groups, so no container can run on it.")
def cgroup_missing(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers"):
        version = as_mapping(host.probe.get("cgroup")).get("version")
        if isinstance(version, int) and not isinstance(version, bool) and version == 0:
            yield Problem(
                "has nothing mounted on /sys/fs/cgroup",
                "boot it with systemd, or mount cgroup2 on /sys/fs/cgroup",
                "",
                host.name,
            )


@rule(
    "cgroup-controllers-missing", ERROR, "A node's kernel lacks a cgroup controller that the kubelet needs."
)
def cgroup_controllers_missing(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers"):
        controllers = as_list(as_mapping(host.probe.get("cgroup")).get("controllers"))
        missing = [name for name in CONTROLLERS if name not in controllers]
        if controllers and missing:
            yield Problem(
                f"has no cgroup controller {', '.join(missing)}",
                "boot with cgroup_enable=memory, or a kernel that has it",
                "",
                host.name,
            )


@rule("kernel-module-missing", ERROR, "A node's kernel lacks a module that pods need.")
def kernel_module_missing(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers"):
        for name, state in as_mapping(host.probe.get("modules")).items():
            if state == "absent":
                yield Problem(
                    f"has no kernel module {name}",
                    "install the distribution's full kernel (linux-image-amd64, linux-modules-extra), and reboot into it",
                    "",
                    host.name,
                )


@rule("kernel-module-unknown", WARNING, "It cannot be seen whether a node's kernel has a module.")
def kernel_module_unknown(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers"):
        names = [name for name, state in as_mapping(host.probe.get("modules")).items() if state == "unknown"]
        if names:
            yield Problem(
                f"shows neither {' nor '.join(names)} loaded, nor a folder /lib/modules for its kernel",
                "load it on the machine around a container; on a real one reboot into the installed kernel",
                "",
                host.name,
            )


@rule("clock-skew", ERROR, "A machine's clock differs from the controller's.")
def clock_skew(site: Site) -> Iterator[Problem]:
    for host in _looked_at(site):
        there, before = host.probe.get("epoch"), host.probe.get("asked_epoch")
        if not isinstance(there, (int, float)) or not isinstance(before, (int, float)) or not site.clock:
            continue
        # The machine was asked after `before` and had answered by `site.clock`, so only a time
        # outside of that interval is wrong.
        skew = max(before - there, there - site.clock, 0.0)
        if skew > SKEW_SECONDS:
            way = "behind" if there < before else "ahead of"
            yield Problem(
                f"its clock is {skew:.0f} s {way} the controller's",
                "set it once (timedatectl, or chronyc makestep), and set site_ntp_servers so that it stays right",
                "site_ntp_servers",
                host.name,
            )


@rule("no-route-between-nodes", ERROR, "A node cannot reach another node.")
def no_route_between_nodes(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers"):
        # Who refuses SSH in the words of a router is there all the same.
        there = {
            told.get("address")
            for told in map(as_mapping, as_list(host.probe.get("tried")))
            if not as_text(told.get("state")).startswith(("timeout", "unreachable"))
        }
        for address, state in as_mapping(host.probe.get("peers")).items():
            if as_text(state).startswith("unreachable") and address not in there:
                yield Problem(
                    f"has no route to {address} ({as_text(state).partition(': ')[2] or 'unreachable'})",
                    "put the nodes on one network, or set site_node_address to addresses that reach each other",
                    "site_node_address",
                    host.name,
                )
