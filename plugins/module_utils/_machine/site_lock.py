# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The lock of a site: a lease in a file of the first head, which is there before there is a cluster.

Two admins have two controllers, and neither can see whether the other's run lives. So a lock is good for as long as it was
heard of lately: whoever has it touches the file, and one that nobody has touched for `LEASE_SECONDS` is free. All times are
the head's own, so controllers' clocks do not matter.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Optional

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.files import write_atomically
from ansible_collections.ironbinder.platform.plugins.module_utils._base.lock import LockFile, held

__all__ = ["LEASE_SECONDS", "LOCK_DIR", "Holder", "Taken", "read_holder", "site_lock_facts", "take"]

# Outlives what `kubeadm reset` empties; the same folder as the markers of the module kubeadm.
LOCK_DIR = "/var/lib/ironbinder"
LEASE_FILE = "site-lock.json"
# Kept by the kernel while somebody judges the lease, so that of two at one moment one is first.
JUDGED_FILE = "site-lock.judged"
JUDGING_SECONDS = 10
# Six renewals: a head that starts again, or pulls images on a slow disk, loses nothing.
LEASE_SECONDS = 180.0


@dataclass(frozen=True)
class Holder:
    """Who has the lock, by their own words.

    `who` is a person at a controller, `what` their playbook; `controller`, `pid` and `started` are what that controller knows
    the run's process by; `since` is in seconds since the epoch and `heard` seconds since the last sign of life, both the head's.
    """

    id: str
    who: str = ""
    what: str = ""
    controller: str = ""
    pid: int = 0
    started: str = ""
    since: float = 0.0
    heard: float = 0.0

    @property
    def is_good(self) -> bool:
        """Whether the lease has not lapsed. A file from the future is of a clock that was wrong, and lapses."""
        return -LEASE_SECONDS < self.heard < LEASE_SECONDS


@dataclass(frozen=True)
class Taken:
    """Whether the lock is ours now, and whose it was, None where it was nobody's."""

    done: bool
    before: Optional[Holder]


def read_holder(folder: Path, now: float) -> Optional[Holder]:
    """Read whose the lock is, lapsed or not; None where it is nobody's, or the file says nothing."""
    file = folder / LEASE_FILE
    try:
        heard = now - file.stat().st_mtime
        return _holder(json.loads(file.read_bytes()), heard)
    except (OSError, ValueError, TypeError):
        return None


def _holder(told: Any, heard: float) -> Optional[Holder]:
    """Read what somebody wrote; nothing in it has to have the right type."""
    if not isinstance(told, Mapping) or not isinstance(told.get("id"), str) or not told["id"]:
        return None
    words = {name: str(told.get(name, "")) for name in ("id", "who", "what", "controller", "started")}
    return Holder(**words, pid=int(told.get("pid", 0)), since=float(told.get("since", 0.0)), heard=heard)


def take(
    folder: Path,
    mine: Holder,
    clock: Clock,
    *,
    instead_of: Collection[str] = (),
    epoch: Callable[[], float] = time.time,
) -> Taken:
    """Take the lock where it is free, ours already, or one of those that are over.

    Args:
        folder: where the lease lies; it is made.
        mine: who takes it. `since` and `heard` are filled in.
        clock: time, while somebody else judges.
        instead_of: ids of holders that are known to be over.
        epoch: gives seconds since the epoch.

    Raises:
        LockBusy: somebody has been judging for `JUDGING_SECONDS`.
        OSError: the folder or a file cannot be written.
    """
    judged = LockFile(folder / JUDGED_FILE)
    with held(
        judged, f"a run that looks whose {LEASE_FILE} is", clock=clock, timeout_seconds=JUDGING_SECONDS
    ):
        now = epoch()
        before = read_holder(folder, now)
        if before and before.is_good and before.id not in {mine.id, *instead_of}:
            return Taken(False, before)
        told = {**asdict(mine), "since": now}
        told.pop("heard")
        write_atomically(folder / LEASE_FILE, json.dumps(told, sort_keys=True) + "\n", mode=0o644)
        return Taken(True, before)


def site_lock_facts(root: Path, now: float) -> dict[str, Any]:
    """Tell preflight who has the lock: the fields of `Holder`, nothing where it is free or has lapsed. Never raises."""
    holder = read_holder(root / LOCK_DIR.lstrip("/"), now)
    return asdict(holder) if holder and holder.is_good else {}
