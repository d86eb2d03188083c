# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A process that keeps a site's lock for as long as the run lives, and gives it back when that ends.

Ansible tells nobody that a run has failed in the middle, was interrupted, or killed. Whoever watches its process knows all three.
"""

from __future__ import annotations

import math
import os
import shlex
import signal
from collections.abc import Callable
from enum import Enum
from pathlib import PurePosixPath
from typing import NoReturn, Optional

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.waiting import wait_until
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.site_lock import (
    JUDGED_FILE,
    LEASE_FILE,
    LEASE_SECONDS,
)

__all__ = ["LOST", "RENEW_SECONDS", "Ending", "keep", "process_apart", "release_command", "renew_command"]

RENEW_SECONDS = LEASE_SECONDS / 6
LOOK_SECONDS = 1.0
# What the commands end with where the lease is somebody else's, or gone.
LOST = 42


class Ending(Enum):
    """Why a lock is no longer kept."""

    GIVEN_BACK = "given back"  # the run has ended
    LOST = "lost"  # somebody broke it, or it lapsed while the head was away
    UNKNOWN = "unknown"  # the run has ended and the head cannot be told: it lapses


def renew_command(folder: str, lock_id: str) -> str:
    """Give the shell command that renews the lease where it is ours, and ends with `LOST` where it is not."""
    return _command(folder, lock_id, "touch -c")


def release_command(folder: str, lock_id: str) -> str:
    """Give the shell command that removes the lease where it is ours."""
    return _command(folder, lock_id, "rm -f")


def _command(folder: str, lock_id: str, verb: str) -> str:
    """Do it while nobody judges. flock(1) is essential in Debian, and a shell costs the head less than a Python."""
    lease, judged = (shlex.quote(str(PurePosixPath(folder) / name)) for name in (LEASE_FILE, JUDGED_FILE))
    # The id is hexadecimal, so it needs no quotes of any shell.
    inner = f"grep -qsF {lock_id} {lease} || exit {LOST}; {verb} {lease}"
    return f"test -e {judged} || exit {LOST}; flock --wait 10 {judged} sh -c {shlex.quote(inner)}"


def keep(
    tell: Callable[[str], int],
    lives: Callable[[], bool],
    clock: Clock,
    *,
    folder: str,
    lock_id: str,
    renew_seconds: float = RENEW_SECONDS,
) -> Ending:
    """Renew the lease while the run lives; give it back then.

    Args:
        tell: runs a shell command on the head, gives its exit code; any other than 0 and `LOST` is a head that is away.
        lives: whether the run lives.
        clock: time.
        folder: where the lease lies, on the head.
        lock_id: whose it is.
        renew_seconds: how often it is renewed.
    """
    renewed = clock.now()

    def look(_seconds: float) -> Optional[Ending]:
        nonlocal renewed
        if not lives():
            told = tell(release_command(folder, lock_id))
            return Ending.GIVEN_BACK if told in (0, LOST) else Ending.UNKNOWN
        if clock.now() - renewed < renew_seconds:
            return None
        # A head that was away is asked again at the next time, and not in between.
        renewed = clock.now()
        return Ending.LOST if tell(renew_command(folder, lock_id)) == LOST else None

    waited = wait_until(
        look,
        lambda ended: ended is not None,
        clock=clock,
        timeout_seconds=math.inf,
        step_seconds=LOOK_SECONDS,
    )
    return waited.seen or Ending.UNKNOWN


def process_apart(work: Callable[[], object]) -> int:
    """Do the work in a process that has nothing to do with this one any more; return its number.

    It has a session of its own, so a Ctrl-C meant for the run does not reach it, no terminal, and none of the files that are
    open here: a pipe that it kept open would have whoever started `ansible-playbook` wait for it.
    """
    pid = os.fork()
    if pid:
        return pid
    _alone(work)


def _alone(work: Callable[[], object]) -> NoReturn:
    code = 1
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        os.closerange(3, os.sysconf("SC_OPEN_MAX") if os.sysconf("SC_OPEN_MAX") > 0 else 4096)
        work()
        code = 0
    finally:
        # Not what the parent would do at its own end, and no word to anybody.
        os._exit(code)
