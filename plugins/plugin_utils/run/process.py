# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Processes of this controller: by what a run is known here, and whether it lives."""

from __future__ import annotations

import getpass
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["controller_name", "is_alive", "is_of_run", "is_over", "person", "started"]

PROC = Path("/proc")


def person() -> str:
    """Name who is at work, and where: `alice@ctl1`."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a number without a name, as in some containers
        name = str(os.getuid())
    return f"{name}@{platform.node()}"


def controller_name(proc: Path = PROC) -> str:
    """Name this controller, so that process numbers said under this name are those of here, and since the last start.

    Containers of one computer share the kernel's boot id and have process numbers of their own, hence the name space.
    """
    try:
        boot = (proc / "sys/kernel/random/boot_id").read_text().strip()
        space = str((proc / "self/ns/pid").readlink())
    except OSError:  # no Linux
        boot = space = ""
    return " ".join((platform.node(), boot, space)).strip()


def started(pid: int, proc: Path = PROC) -> str:
    """When a process began, in the kernel's ticks; "" where that cannot be told, so that a number used again is found out."""
    try:
        return (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def is_alive(pid: int, began: str) -> bool:
    """Whether the process is there, and the one that began then."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    now = started(pid)
    # A process that nobody has fetched yet has a number and does nothing.
    return not (now and began and now != began) and not _is_ended(pid)


def _is_ended(pid: int) -> bool:
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] in ("Z", "X")
    except (OSError, IndexError):
        return False


def is_over(holder: Mapping[str, Any], proc: Path = PROC) -> bool:
    """Whether a lock's holder is a run of this controller whose process is gone; False of what cannot be told from here."""
    if not holder.get("pid") or holder.get("controller") != controller_name(proc):
        return False
    return not is_alive(int(holder["pid"]), str(holder.get("started", "")))


def is_of_run(holder: Mapping[str, Any], pid: int, proc: Path = PROC) -> bool:
    """Whether a lock's holder is the run of this process of this controller."""
    return (
        holder.get("controller") == controller_name(proc)
        and holder.get("pid") == pid
        and holder.get("started") == started(pid, proc)
    )
