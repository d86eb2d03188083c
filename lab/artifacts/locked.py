"""One build at a time in one cache: two would take each other's half-made results for leftovers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "collections"))

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock, SystemClock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.lock import (
    Holder,
    LockBusy,
    LockFile,
    held,
)
from steps import BuildError

__all__ = ["alone"]

# A cold build on a slow machine takes half of that.
_WAIT_SECONDS = 3600.0


@contextmanager
def alone(
    cache: Path, what: str, *, timeout_seconds: float = _WAIT_SECONDS, clock: Clock | None = None
) -> Iterator[None]:
    """Have a cache for oneself; say who has it while waiting.

    Args:
        cache: the folder; it holds the lock.
        what: begins each line that is printed.
        timeout_seconds: how long to wait.
        clock: time.

    Raises:
        BuildError: another build has the cache for longer.
    """

    def waiting(holder: Holder | None) -> None:
        print(
            f"{what}: {_who(holder)} builds into {cache} too; waiting for its end, {timeout_seconds / 60:.0f} minutes at most",
            flush=True,
        )

    lock = LockFile(cache / "lock")
    try:
        with held(
            lock, str(ROOT), clock=clock or SystemClock(), timeout_seconds=timeout_seconds, waiting=waiting
        ):
            yield
    except LockBusy as busy:
        remedy = f"end it by `kill {busy.holder.pid}`" if busy.holder else f"see `fuser -v {busy.path}`"
        raise BuildError(
            f"{_who(busy.holder)} still builds into {cache} after {busy.seconds / 60:.0f} minutes: wait for it or {remedy}, "
            "or set IRONBINDER_CACHE to another folder"
        ) from busy


def _who(holder: Holder | None) -> str:
    return f"process {holder.pid} of {holder.what}" if holder else "another process"
