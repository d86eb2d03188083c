# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the kernel tells of a machine in /proc and /sys, and the few files of /etc, /run and /lib beside them.

The one reader of these files: `limits`, which decides settings, and `probe`, which reports to preflight,
stand on it, so that they agree.
Formats: https://man7.org/linux/man-pages/man5/proc.5.html
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["MachineError", "MachineFiles", "Mount", "Proc", "Resolver", "Swap"]

CONNTRACK = "proc/sys/net/netfilter/nf_conntrack_max"
LISTEN = "0A"
# An entry of the table of neighbours that has an answer, include/uapi/linux/if_arp.h.
ATF_COM = 0x2
# Signs that a module's work is done by the kernel, however it got there: a file, and a word in it.
FEATURES = {
    "overlay": ("proc/filesystems", "overlay"),
    "br_netfilter": ("proc/sys/net/bridge/bridge-nf-call-iptables", ""),
}
# The user namespace that the kernel starts with maps every id to itself.
INITIAL_ID_MAP = ["0", "0", "4294967295"]
# Where the name servers stand when /etc/resolv.conf only names a stub on the machine itself.
RESOLVER_FILES = (
    "etc/resolv.conf",
    "run/systemd/resolve/resolv.conf",
    "run/NetworkManager/no-stub-resolv.conf",
)
CONTAINER_MARKS = ("run/systemd/container", "run/host/container-manager", "run/.containerenv", ".dockerenv")


class MachineError(RuntimeError):
    """A machine that cannot be read. The text says which file, what was seen and what to do."""


@dataclass(frozen=True)
class Mount:
    """Where a file system is mounted, and its type."""

    target: str
    kind: str


@dataclass(frozen=True)
class Swap:
    """A device or file that the kernel swaps to."""

    name: str
    size_bytes: int


@dataclass(frozen=True)
class Resolver:
    """Whether /etc/resolv.conf names a server on the machine itself, and a file that names none there, or ``."""

    is_loopback: bool
    resolv_conf: str


def _unescaped(text: str) -> str:
    """Undo the kernel's escapes of spaces and the like: `\\040`."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), text)


def _is_loopback(server: str) -> bool:
    try:
        return ipaddress.ip_address(server.split("%", 1)[0]).is_loopback
    except ValueError:
        return False


class MachineFiles:
    """Files of the machine whose file system starts at `root`.

    Args:
        root: `/`, or a folder in tests.
        strict: whether what cannot be read or understood raises MachineError. Else it counts as not being
            there, as where nobody knows yet whether this is root.
    """

    def __init__(self, root: Path = Path("/"), strict: bool = True) -> None:
        self.root = root
        self.strict = strict

    def text(self, name: str) -> str:
        """Give a file's text, `` where there is none."""
        path = self.root / name
        try:
            return path.read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            return ""
        except OSError as error:
            if not self.strict:
                return ""
            raise MachineError(f"{path} cannot be read: {error}. Run as root (become: true)") from error

    def exists(self, name: str) -> bool:
        """Tell whether there is a file or a folder of this name."""
        try:
            return (self.root / name).exists()
        except OSError as error:
            if not self.strict:
                return False
            raise MachineError(
                f"{self.root / name} cannot be looked at: {error}. Run as root (become: true)"
            ) from error

    def rows(self, name: str, fewest: int = 1, skip: int = 0, comments: bool = False) -> list[list[str]]:
        """Give the words of each line, after the first `skip`, that has at least `fewest`."""
        lines = self.text(name).splitlines()[skip:]
        rows = [(line.split("#", 1)[0] if comments else line).split() for line in lines]
        return [row for row in rows if len(row) >= fewest]

    def number(self, text: str, name: str, base: int = 10) -> int:
        """Read a number that the kernel wrote into the file `name`."""
        try:
            return int(text, base)
        except ValueError as error:
            if not self.strict:
                return 0
            raise MachineError(
                f"{self.root / name} has {text[:40]!r} where a number belongs: report this with the kernel's version"
            ) from error


class Proc(MachineFiles):
    """What these files say."""

    def mounts(self) -> list[Mount]:
        """What is mounted, in the order in which it came to be."""
        return [Mount(_unescaped(row[1]), row[2]) for row in self.rows("proc/mounts", 3)]

    def cgroup_version(self) -> int:
        """Version of the control groups at /sys/fs/cgroup, 1 or 2; 0 or an error where nothing is mounted there."""
        kinds = [mount.kind for mount in self.mounts() if mount.target == "/sys/fs/cgroup"]
        if kinds:
            # The last mount on a path is the one in sight. A hybrid tree has tmpfs there and counts as 1.
            return 2 if kinds[-1] == "cgroup2" else 1
        if not self.strict:
            return 0
        raise MachineError(
            "/proc/mounts shows nothing on /sys/fs/cgroup, so no container can run here: "
            "boot with systemd, or mount cgroup2 on /sys/fs/cgroup"
        )

    def cgroup_controllers(self) -> list[str]:
        """Controllers that can be used in that version."""
        version = self.cgroup_version()
        if version == 2:
            return self.text("sys/fs/cgroup/cgroup.controllers").split()
        rows = self.rows("proc/cgroups", 4) if version else []
        # Hierarchy 0 is that of version 2: in a hybrid tree such a controller is out of reach for version 1.
        return [row[0] for row in rows if row[0][0] != "#" and row[3] == "1" and row[1] != "0"]

    def swaps(self) -> list[Swap]:
        """What the kernel swaps to. In a container this is the host's."""
        return [
            Swap(_unescaped(row[0]), self.number(row[2], "proc/swaps") * 1024)
            for row in self.rows("proc/swaps", 3, skip=1)
        ]

    def fstab_has_swap(self) -> bool:
        """Tell whether /etc/fstab brings swap back at the next start."""
        return any(row[2] == "swap" for row in self.rows("etc/fstab", 3, comments=True))

    def is_masked(self, unit: str) -> bool:
        """Tell whether systemd may not start a unit. The link is what `systemctl mask` makes, and all that counts."""
        path = self.root / "etc/systemd/system" / unit
        return path.is_symlink() and str(path.readlink()) == "/dev/null"

    def program_was_replaced(self, pid: int) -> bool:
        """Tell whether the program of a process is no longer the one on the disk, as after an upgrade.

        False where the kernel does not tell: the process is gone, or may not be looked into.
        https://man7.org/linux/man-pages/man5/proc_pid_exe.5.html
        """
        try:
            return str((self.root / f"proc/{pid}/exe").readlink()).endswith(" (deleted)")
        except OSError:
            return False

    def kernel_parameter(self, name: str) -> str:
        """Give a parameter's value, `` where the kernel has none, for want of a module."""
        return self.text(f"proc/sys/{name.replace('.', '/')}").strip()

    def module(self, name: str, release: str) -> str:
        """Say of a kernel module whether it is `present`, `loadable`, `absent` or `unknown`.

        Args:
            name: with underscores, as the kernel has it.
            release: of the running kernel. Without a folder of its modules what is not present is unknown.
        """
        file, word = FEATURES.get(name, ("", ""))
        # What it does is what shows: a module that is built in, or loaded around a container, may be in no list.
        shows = file and self.exists(file) and (not word or word in self.text(file).split())
        loaded = any(row[0] == name for row in self.rows("proc/modules"))
        if shows or loaded or self.exists(f"sys/module/{name}"):
            return "present"
        entry = re.compile(rf"/{re.escape(name).replace('_', '[-_]')}\.ko")
        built_in, loadable = (
            self.text(f"lib/modules/{release}/{list_name}")
            for list_name in ("modules.builtin", "modules.dep")
        )
        if entry.search(built_in):
            return "present"
        if not built_in and not loadable:
            return "unknown"
        return "loadable" if entry.search(loadable) else "absent"

    def init_has_capability(self, number: int) -> bool:
        """Tell whether PID 1 may have a capability, in the user namespace that the kernel starts with."""
        name = "proc/1/status"
        sets = [row[1] for row in self.rows(name, 2) if row[0] == "CapBnd:"]
        return (
            bool(sets)
            and bool(self.number(sets[0], name, 16) >> number & 1)
            and self.rows("proc/1/uid_map") == [INITIAL_ID_MAP]
        )

    def can_set_conntrack(self, is_writable: Callable[[Path], bool]) -> bool:
        """Tell whether the size of the connection tracking table can be set.

        The kernel refuses that outside the first network namespace, whoever asks.
        """
        if self.exists(CONNTRACK):
            return is_writable(self.root / CONNTRACK)
        # nf_conntrack is not loaded yet, which only a machine of its own can change.
        return not self.is_container()

    def is_container(self) -> bool:
        """Tell whether the machine is a container that runs an init system."""
        try:
            environment = self.text("proc/1/environ").split("\0")
        except MachineError:
            # Some containers keep even root from it. systemd leaves the other marks there.
            environment = []
        return any(self.exists(mark) for mark in CONTAINER_MARKS) or any(
            entry.startswith("container=") for entry in environment
        )

    def resolver(self) -> Resolver:
        """Tell where pods can find a name server."""
        servers = {
            name: [row[1] for row in self.rows(name, 2, comments=True) if row[0] == "nameserver"]
            for name in RESOLVER_FILES
        }
        fit = [name for name, found in servers.items() if found and not any(map(_is_loopback, found))]
        is_loopback = any(map(_is_loopback, servers[RESOLVER_FILES[0]]))
        return Resolver(is_loopback, f"/{fit[0]}" if fit else "")

    def neighbours(self) -> dict[str, str]:
        """The kernel's table of IPv4 neighbours: {address: hardware address} of complete entries."""
        name = "proc/net/arp"
        return {
            row[0]: row[3]
            for row in self.rows(name, 4, skip=1)
            if row[3] != "00:00:00:00:00:00"
            and row[2].startswith("0x")
            and self.number(row[2], name, 16) & ATF_COM
        }

    def listening(self) -> dict[int, str]:
        """Listening TCP ports with the process that holds each, `` where it cannot be seen."""
        holders = self._holders()
        if "" in holders.values():  # a service that restarts between the two looks has another socket now
            holders = self._holders()
        return {port: holders[port] for port in sorted(holders)}

    def _sockets(self) -> Iterator[tuple[str, int]]:
        """Listening TCP sockets: (inode, port)."""
        for name in ("proc/net/tcp", "proc/net/tcp6"):
            for row in self.rows(name, 10, skip=1):
                port = self.number(row[1].rpartition(":")[2], name, 16) if row[3] == LISTEN else 0
                if port:
                    yield row[9], port

    def _holders(self) -> dict[int, str]:
        sockets = dict(self._sockets())
        holders: dict[int, str] = dict.fromkeys(sockets.values(), "")
        for process in (self.root / "proc").glob("[0-9]*"):
            for link in _links(process / "fd"):
                port = sockets.get(link[8:-1]) if link.startswith("socket:[") else None
                if port is not None and not holders[port]:
                    holders[port] = self.text(f"proc/{process.name}/comm").strip()
        return holders


def _links(folder: Path) -> Iterator[str]:
    try:
        entries = list(folder.iterdir())
    except OSError:  # the process ended, or is somebody else's
        return
    for entry in entries:
        # Files are closed while we look; that says nothing about the process's others.
        with suppress(OSError):
            yield str(entry.readlink())
