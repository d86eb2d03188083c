# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the kernel lets this machine do, read from /proc, /sys and /run without changing anything."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["MachineLimits", "MachineLimitsError", "read_machine_limits"]

# https://man7.org/linux/man-pages/man7/capabilities.7.html
CAP_SYS_RESOURCE = 24
# The user namespace that the kernel starts with maps every id to itself.
INITIAL_ID_MAP = ["0", "0", "4294967295"]
# Where the name servers stand when /etc/resolv.conf only names a stub on the machine itself.
RESOLVER_FILES = (
    "etc/resolv.conf",
    "run/systemd/resolve/resolv.conf",
    "run/NetworkManager/no-stub-resolv.conf",
)
CONTAINER_MARKS = ("run/systemd/container", "run/host/container-manager", "run/.containerenv", ".dockerenv")


class MachineLimitsError(RuntimeError):
    """A machine that cannot be read. The text says which file, what was seen and what to do."""


@dataclass(frozen=True)
class MachineLimits:
    """One machine's limits. Field by field as documented in the module machine_limits_info."""

    cgroup_version: int
    can_lower_oom_score: bool
    can_set_conntrack: bool
    resolver_is_loopback: bool
    resolv_conf: str
    is_container: bool
    swap_bytes: int
    fstab_has_swap: bool
    missing_kernel_modules: Sequence[str]
    mounted_files: Sequence[str]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        raise MachineLimitsError(f"{path} cannot be read: {error}. Run as root (become: true)") from error


def _rows(text: str) -> list[list[str]]:
    lines = (line.split("#", 1)[0].split() for line in text.splitlines())
    return [line for line in lines if line]


def _cgroup_version(mounts: Sequence[Sequence[str]]) -> int:
    types = [mount[2] for mount in mounts if mount[1] == "/sys/fs/cgroup"]
    if not types:
        raise MachineLimitsError(
            "/proc/mounts shows nothing on /sys/fs/cgroup, so no container can run here: "
            "boot with systemd, or mount cgroup2 on /sys/fs/cgroup"
        )
    # The last mount on a path is the one in sight. A hybrid tree has tmpfs there and counts as 1.
    return 2 if types[-1] == "cgroup2" else 1


def _has_capability(status: str, number: int) -> bool:
    sets = [row[1] for row in _rows(status) if row[0] == "CapBnd:"]
    return bool(sets) and bool(int(sets[0], 16) >> number & 1)


def _name_servers(text: str) -> list[str]:
    return [row[1] for row in _rows(text) if row[0] == "nameserver" and len(row) > 1]


def _is_loopback(server: str) -> bool:
    try:
        return ipaddress.ip_address(server.split("%", 1)[0]).is_loopback
    except ValueError:
        return False


def _resolver(root: Path) -> tuple[bool, str]:
    """Tell whether the machine's resolver is itself, and which file names one that pods can reach."""
    servers = {name: _name_servers(_text(root / name)) for name in RESOLVER_FILES}
    fit = [
        name for name, found in servers.items() if found and not any(_is_loopback(server) for server in found)
    ]
    is_loopback = any(_is_loopback(server) for server in servers[RESOLVER_FILES[0]])
    return is_loopback, f"/{fit[0]}" if fit else ""


def _is_container(root: Path) -> bool:
    try:
        environment = _text(root / "proc/1/environ").split("\0")
    except MachineLimitsError:
        # Some containers keep even root from it. systemd leaves the other marks there.
        environment = []
    return any((root / mark).exists() for mark in CONTAINER_MARKS) or any(
        entry.startswith("container=") for entry in environment
    )


def _missing_kernel_modules(root: Path) -> list[str]:
    # A module that is built in is in no list of modules; what it does is what shows.
    there = {
        "overlay": "overlay" in _text(root / "proc/filesystems").split(),
        "br_netfilter": (root / "proc/sys/net/bridge").is_dir()
        or (root / "sys/module/br_netfilter").is_dir(),
    }
    return [name for name, is_there in there.items() if not is_there]


def read_machine_limits(
    root: Path = Path("/"), is_writable: Callable[[Path], bool] = lambda path: os.access(path, os.W_OK)
) -> MachineLimits:
    """Read the limits of the machine whose file system starts at `root`.

    Args:
        root: where /proc, /sys, /etc and /run are looked for.
        is_writable: whether the kernel would accept a write to a path. The kernel itself refuses a
            write to nf_conntrack_max outside the first network namespace, whoever asks.

    Raises:
        MachineLimitsError: a file cannot be read, or no control groups are mounted.
    """
    mounts = [row for row in _rows(_text(root / "proc/mounts")) if len(row) > 2]
    is_container = _is_container(root)
    conntrack = root / "proc/sys/net/netfilter/nf_conntrack_max"
    is_loopback, resolv_conf = _resolver(root)
    swaps = [row for row in _rows(_text(root / "proc/swaps"))[1:] if len(row) > 2]
    return MachineLimits(
        cgroup_version=_cgroup_version(mounts),
        # Services inherit from PID 1. The kernel asks for the capability in the first user namespace.
        can_lower_oom_score=_has_capability(_text(root / "proc/1/status"), CAP_SYS_RESOURCE)
        and _rows(_text(root / "proc/1/uid_map")) == [INITIAL_ID_MAP],
        # Absent: nf_conntrack is not loaded yet, which only a machine of its own can change.
        can_set_conntrack=is_writable(conntrack) if conntrack.exists() else not is_container,
        resolver_is_loopback=is_loopback,
        resolv_conf=resolv_conf,
        is_container=is_container,
        swap_bytes=sum(int(row[2]) for row in swaps) * 1024,
        fstab_has_swap=any(row[2] == "swap" for row in _rows(_text(root / "etc/fstab")) if len(row) > 2),
        missing_kernel_modules=_missing_kernel_modules(root),
        mounted_files=sorted(
            {mount[1] for mount in mounts if mount[1] in ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf")}
        ),
    )
