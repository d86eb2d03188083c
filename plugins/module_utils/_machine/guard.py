# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the guard of a node says of itself. Runs on targets, reads only, never raises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import run_command

__all__ = ["PROGRAM", "guard_faults"]

# Where role guard writes it.
PROGRAM = "/usr/local/sbin/ironbinder-guard"
# It takes a second where something differs, as it looks twice.
TIMEOUT_SECONDS = 20.0


def guard_faults(program: str = PROGRAM, timeout_seconds: float = TIMEOUT_SECONDS) -> dict[str, Any]:
    """Ask the guard how the kernel's table differs from what it has to be. Only root may.

    Returns:
        `present`, whether the guard is installed; `faults`, a line for each difference that a restart of its service puts
        right, or one that says why it cannot tell.
    """
    if not Path(program).is_file():
        return {"present": False, "faults": []}
    argv = [program, "check", "--table"]
    done = run_command(argv, timeout_seconds)
    found = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    if done.rc != 0 and not (done.rc == 1 and found):
        found = (done.said or f"{' '.join(argv)} ended with {done.rc}").splitlines()[-1:]
    return {"present": True, "faults": found if done.rc else []}
