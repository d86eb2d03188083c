# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What processes run."""

from __future__ import annotations

from pathlib import Path

__all__ = ["was_replaced"]


def was_replaced(pid: int, root: Path = Path("/")) -> bool:
    """Whether the program of a process is no longer the one on the disk, as after an upgrade.

    False where the kernel does not tell: the process is gone, or may not be looked into.
    """
    try:
        # https://man7.org/linux/man-pages/man5/proc_pid_exe.5.html
        return str((root / f"proc/{pid}/exe").readlink()).endswith(" (deleted)")
    except OSError:
        return False
