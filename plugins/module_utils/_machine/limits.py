# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the kernel lets this machine do, without changing anything."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from ansible_collections.ironbinder.platform.plugins.module_utils._machine.proc import Proc

__all__ = ["MachineLimits", "read_machine_limits", "size_of"]

# https://man7.org/linux/man-pages/man7/capabilities.7.html
CAP_SYS_RESOURCE = 24
MODULES = ("overlay", "br_netfilter")
# Pods reach each other through bridges, and iptables has to see that traffic.
FORWARDING_PARAMETERS = (
    "net.ipv4.ip_forward",
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
)
# What one user of a machine may watch. All sessions of a node are one user.
INOTIFY_PARAMETERS = ("fs.inotify.max_user_instances", "fs.inotify.max_user_watches")
# Files that Docker mounts into containers one by one.
MOUNTED = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf")
# Images, build caches and what pods write: often one file system, sometimes several.
FILLED_BY_PODS = ("var/lib/docker", "var/lib/containerd", "var/lib/kubelet")


def size_of(path: Path) -> int:
    """Give the size of the file system that holds a path, or will once it is there; 0 where the system does not tell."""
    while not path.exists() and path != path.parent:
        path = path.parent
    try:
        told = os.statvfs(path)
    except OSError:
        return 0
    return told.f_blocks * told.f_frsize


@dataclass(frozen=True)
class MachineLimits:
    """One machine's limits. Field by field as documented in the module machine_limits_info."""

    cgroup_version: int
    can_lower_oom_score: bool
    can_set_conntrack: bool
    resolver_is_loopback: bool
    resolv_conf: str
    is_container: bool
    has_cloud_init: bool
    swap_bytes: int
    fstab_has_swap: bool
    swap_target_masked: bool
    missing_kernel_modules: Sequence[str]
    kernel_parameters: Mapping[str, str]
    inotify_parameters: Mapping[str, str]
    mounted_files: Sequence[str]
    memory_bytes: int
    cpus: int
    disk_bytes: int


def read_machine_limits(
    root: Path = Path("/"),
    is_writable: Callable[[Path], bool] = lambda path: os.access(path, os.W_OK),
    release: Optional[str] = None,
    disk_size: Callable[[Path], int] = size_of,
) -> MachineLimits:
    """Read the limits of the machine whose file system starts at `root`.

    Args:
        root: where /proc, /sys, /etc and /run are looked for.
        is_writable: whether the kernel would accept a write to a path.
        release: of the kernel; None takes that of the running one.
        disk_size: bytes of the file system that holds a path.

    Raises:
        MachineError: a file cannot be read, or no control groups are mounted.
    """
    proc = Proc(root)
    resolver = proc.resolver()
    kernel = os.uname().release if release is None else release
    return MachineLimits(
        cgroup_version=proc.cgroup_version(),
        # Services inherit from PID 1.
        can_lower_oom_score=proc.init_has_capability(CAP_SYS_RESOURCE),
        can_set_conntrack=proc.can_set_conntrack(is_writable),
        resolver_is_loopback=resolver.is_loopback,
        resolv_conf=resolver.resolv_conf,
        is_container=proc.is_container(),
        has_cloud_init=proc.exists("etc/cloud/cloud.cfg.d"),
        swap_bytes=sum(swap.size_bytes for swap in proc.swaps()),
        fstab_has_swap=proc.fstab_has_swap(),
        swap_target_masked=proc.is_masked("swap.target"),
        missing_kernel_modules=[name for name in MODULES if proc.module(name, kernel) != "present"],
        kernel_parameters={name: proc.kernel_parameter(name) for name in FORWARDING_PARAMETERS},
        inotify_parameters={name: proc.kernel_parameter(name) for name in INOTIFY_PARAMETERS},
        mounted_files=sorted({mount.target for mount in proc.mounts()} & set(MOUNTED)),
        memory_bytes=sum(
            proc.number(row[1], "proc/meminfo") * 1024
            for row in proc.rows("proc/meminfo", 2)
            if row[0] == "MemTotal:"
        ),
        cpus=max(1, sum(row[0] == "processor" for row in proc.rows("proc/cpuinfo"))),
        disk_bytes=min(disk_size(root / path) for path in FILLED_BY_PODS),
    )
