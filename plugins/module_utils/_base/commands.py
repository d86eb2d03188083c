# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Programs that are asked something: without a terminal, in plain English, and with an end."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["NOT_THERE", "TOOK_TOO_LONG", "Ran", "Runner", "run_command"]

# As a shell and coreutils' `timeout` have them.
NOT_THERE = 127
TOOK_TOO_LONG = 124


@dataclass(frozen=True)
class Ran:
    """How a program ended, and what it said."""

    rc: int
    stdout: str = ""
    stderr: str = ""

    @property
    def said(self) -> str:
        """What it said about a failure: its errors, or else its output."""
        return self.stderr.strip() or self.stdout.strip()


# Takes an argument list and a timeout in seconds.
Runner = Callable[[Sequence[str], float], Ran]


def run_command(argv: Sequence[str], timeout_seconds: float) -> Ran:
    """Run a program to its end.

    Args:
        argv: the program and its arguments; no shell is involved.
        timeout_seconds: after these it is killed.

    Returns:
        Its end; `NOT_THERE` where it cannot be started, `TOOK_TOO_LONG` where it was killed.
    """
    try:
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**os.environ, "LC_ALL": "C"},
            text=True,
            errors="replace",
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Ran(TOOK_TOO_LONG, stderr=f"{argv[0]} was ended after {timeout_seconds:.0f} s")
    except OSError as error:
        return Ran(NOT_THERE, stderr=f"{argv[0]}: {error.strerror}")
    return Ran(done.returncode, done.stdout, done.stderr)
