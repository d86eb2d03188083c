# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A lock that lives as long as the work does, whoever began it.

The kernel keeps a flock until the last copy of the file descriptor is closed. A child that inherits the descriptor
therefore goes on holding the lock when its parent was killed, and nothing has to be cleaned up when it ends.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.waiting import wait_until

__all__ = ["Holder", "LockBusy", "LockFile", "held"]

_STEP_SECONDS = 1.0
_MOST_BYTES = 4096


@dataclass(frozen=True)
class Holder:
    """Who took a lock, by their own words."""

    pid: int
    what: str

    @property
    def alive(self) -> bool:
        """Whether a process of this number is there. Where none is, a child of it has the lock."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


class LockBusy(Exception):
    """The lock was not free in time."""

    def __init__(self, path: Path, holder: Optional[Holder], seconds: float) -> None:
        """Keep who has it, if that is known, and how long it was waited for."""
        super().__init__(f"{path} is held by {holder or 'somebody'} after {seconds:.0f} s")
        self.path = path
        self.holder = holder
        self.seconds = seconds


class LockFile:
    """A file whose lock one process, and those that it hands it to, can have."""

    def __init__(self, path: Path) -> None:
        """Open nothing yet."""
        self.path = path
        self._handle: Optional[int] = None

    def try_take(self, *, create: bool = True) -> bool:
        """Take the lock if it is free.

        Args:
            create: False for who must not change anything: a lock without a file is free.

        Raises:
            OSError: the file cannot be made, opened or locked.
        """
        if self._handle is not None:
            return True
        if create:
            self.path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        try:
            handle = os.open(self.path, os.O_RDWR | (os.O_CREAT if create else 0), 0o600)
        except FileNotFoundError:
            if create:
                raise
            return True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Removed and made anew since it was opened: what is locked then keeps nobody out.
            if not os.path.samestat(os.fstat(handle), self.path.stat()):
                raise BlockingIOError
        except (BlockingIOError, FileNotFoundError):
            os.close(handle)
            return False
        except BaseException:
            os.close(handle)
            raise
        self._handle = handle
        return True

    def tell(self, pid: int, what: str) -> None:
        """Write down who has the lock, for whoever waits for it; nothing where there is nothing to say."""
        if self._handle is not None:
            # In place: a renamed file would be another lock.
            os.ftruncate(self._handle, 0)
            if what:
                os.pwrite(self._handle, json.dumps({"pid": pid, "what": what}).encode(), 0)

    def holder(self) -> Optional[Holder]:
        """Read who has the lock; None where that was not written, or only half."""
        try:
            data = json.loads(self.path.read_bytes()[:_MOST_BYTES])
            return Holder(int(data["pid"]), str(data["what"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def handles(self) -> tuple[int, ...]:
        """Give the descriptor that a child has to inherit; none where nothing is held."""
        return () if self._handle is None else (self._handle,)

    def release(self) -> None:
        """Let go. A child that inherited the descriptor still has the lock, and what was told of it stays."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


@contextmanager
def held(
    lock: LockFile,
    what: str,
    *,
    clock: Clock,
    timeout_seconds: float,
    create: bool = True,
    waiting: Optional[Callable[[Optional[Holder]], None]] = None,
) -> Iterator[LockFile]:
    """Have the lock while the block runs.

    Args:
        lock: the lock.
        what: what it is taken for, for those who will wait.
        clock: time.
        timeout_seconds: how long to wait for it.
        create: see `LockFile.try_take`. Who must not change anything does not write down its name either.
        waiting: told once who has the lock, before it is waited for.

    Raises:
        LockBusy: it was not free in time.
        OSError: see `LockFile.try_take`.
    """

    def look(_seconds: float) -> bool:
        nonlocal waiting
        free = lock.try_take(create=create)
        if not free and waiting:
            waiting(lock.holder())
            waiting = None
        return free

    waited = wait_until(look, bool, clock=clock, timeout_seconds=timeout_seconds, step_seconds=_STEP_SECONDS)
    if not waited.done:
        raise LockBusy(lock.path, lock.holder(), waited.seconds)
    try:
        if create:
            lock.tell(os.getpid(), what)
        yield lock
        if create:
            # An error may have left a child behind; an end like this has not.
            lock.tell(0, "")
    finally:
        lock.release()
