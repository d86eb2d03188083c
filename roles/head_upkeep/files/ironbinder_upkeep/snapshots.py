# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Snapshots of etcd in a folder: taken, proved, and as many kept as the site wants.

A snapshot counts when etcd's own tool has restored it into a folder that is thrown away again, with the same revision and as many
keys. Where the image of etcd has no such tool, its checksum is all that is proved, and its record says so.

Each snapshot NAME.db has a record NAME.json beside it. What came of the last attempt stands in a file of its own, also where it
failed or was killed, so that no failure is silent. Nothing is removed before a new one is proved, and nothing that is damaged.
"""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import tempfile
import time
from calendar import timegm
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Optional

from ironbinder_upkeep.etcd import Etcd, find_etcd, integrity, restore
from ironbinder_upkeep.machine import UNFINISHED, UpkeepError, number, read_json, why, write_json

__all__ = ["Store", "prove", "take"]

# The snapshot, and the restored copy beside it.
ROOM = 2.2

# Names that are written here. Whatever else lies in the folder is somebody else's, such as a link to the newest.
NAME = re.compile(r"etcd-(\d{8}T\d{6}Z)-(\d+)")
STAMP = "%Y%m%dT%H%M%SZ"
# One that is dated this much after now was dated by a clock that was ahead.
AHEAD_SECONDS = 3600

Finder = Callable[[], Etcd]


def damage(path: Path) -> str:
    """Say what is wrong with a snapshot; nothing where nothing is."""
    try:
        found = integrity(path)
    except (UpkeepError, OSError) as error:
        return str(error)
    known = read_json(path.with_suffix(".json")).get("sha256", found)
    return "" if known == found else f"{path} is another one than its record says: remove both"


def written(path: Path) -> Optional[tuple[int, int]]:
    """Read when a snapshot was taken, in seconds since the epoch, and etcd's revision by its name; None where it is not ours."""
    found = NAME.fullmatch(path.stem)
    if found is None or path.is_symlink() or not path.is_file():
        return None
    try:
        return timegm(time.strptime(found.group(1), STAMP)), int(found.group(2))
    except ValueError:  # digits that are no time
        return None


class Store:
    """The folder of snapshots."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Make the folder, wait until nobody else works in it, and clear away what a kill left. Raises UpkeepError."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            opened = (self.folder / ".lock").open("w")
        except OSError as error:
            raise UpkeepError(
                f"{self.folder} cannot be used: {error}. Put that right, or name another folder in site_etcd_snapshot_dir"
            ) from error
        with opened as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for path in self.folder.glob(f"{UNFINISHED}*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            yield

    def records(self) -> list[dict[str, Any]]:
        """Read all snapshots: the record of each, with its `file` and what is wrong with it as `damage`.

        Those that a clock dated which was ahead come first, as they would outlive all that is taken from then on. The others by
        their age, the oldest first.
        """
        latest = time.time() + AHEAD_SECONDS
        found = ((written(path), path) for path in self.folder.glob("*.db"))
        ordered = sorted((told[0] <= latest, *told, path) for told, path in found if told)
        return [
            {**read_json(path.with_suffix(".json")), "file": path.name, "damage": damage(path)}
            for *_, path in ordered
        ]

    def take(self, etcd: Etcd, now: float) -> dict[str, Any]:
        """Take a snapshot and prove it. Returns its record. Raises UpkeepError."""
        told = json.loads(etcd.ask("endpoint", "status", "--write-out=json"))[0]["Status"]
        free, needed = shutil.disk_usage(self.folder).free, int(told["dbSize"] * ROOM)
        if free < needed:
            raise UpkeepError(
                f"{self.folder} has {free >> 20} MiB left, and a snapshot of {told['dbSize'] >> 20} MiB with its proof needs "
                f"{needed >> 20}: make room, or name another folder in site_etcd_snapshot_dir"
            )
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=UNFINISHED) as name:
            fresh = Path(name, "snapshot.db")
            etcd.ask("snapshot", "save", str(fresh))
            record = {"sha256": integrity(fresh), "bytes": fresh.stat().st_size, "taken_at": int(now)}
            record |= {"etcd_version": told["version"], "revision": told["header"]["revision"]}
            record |= restore(etcd, fresh, Path(name, "restored"))
            path = self.folder / f"etcd-{time.strftime(STAMP, time.gmtime(now))}-{record['revision']}.db"
            write_json(path.with_suffix(".json"), record)
            fresh.chmod(0o600)
            fresh.replace(path)
        return {**record, "file": path.name, "damage": ""}

    def prune(self, records: Sequence[Mapping[str, Any]], keep: int) -> list[str]:
        """Remove the first of those that are whole, but for `keep`, and records of nothing. Returns what was removed."""
        whole = [str(record["file"]) for record in records if not record["damage"]]
        gone = whole[: max(0, len(whole) - keep)]
        for name in gone:
            (self.folder / name).unlink()
        for record in filter(written, self.folder.glob("*.json")):
            if not record.with_suffix(".db").exists():
                record.unlink()
        return gone


def take(
    store: Store, state: Path, keep: int, unless_younger_seconds: int, find: Finder = find_etcd
) -> dict[str, Any]:
    """Take one, unless there is a young one; write down what came of it. Returns its record. Raises UpkeepError."""
    attempt: dict[str, Any] = {
        "directory": str(store.folder),
        "began": int(time.time()),
        "keep": keep,
        "error": "",
    }
    # What was told before, where the folder cannot even be looked into.
    records, removed, young = _told(state, attempt["directory"]), [], []
    with ExitStack() as stack:
        try:
            stack.enter_context(store.alone())
            now, records = time.time(), store.records()
            young = [
                record
                for record in records
                if not record["damage"] and 0 <= now - number(record, "taken_at") < unless_younger_seconds
            ]
            made = young[-1] if young else {}
            if not young:
                write_json(state, {**attempt, "snapshots": records})
                made = store.take(find(), now)
                records.append(made)
                removed = store.prune(records, keep)
        except BaseException as error:
            attempt["error"] = why(error)
            raise
        finally:
            left = [record for record in records if record["file"] not in removed]
            write_json(state, {**attempt, "ended": int(time.time()), "snapshots": left})
    return {**made, "path": str(store.folder / made["file"]), "removed": removed, "taken": not young}


def _told(state: Path, directory: str) -> list[dict[str, Any]]:
    """Give the snapshots of this folder that were told of last; none where it was another one."""
    known = read_json(state)
    entries = known.get("snapshots") if known.get("directory") == directory else None
    found = entries if isinstance(entries, list) else []
    return [entry for entry in found if isinstance(entry, dict) and "file" in entry]


def prove(snapshot: Path, find: Finder = find_etcd) -> dict[str, Any]:
    """Restore a snapshot, wherever it lies, into a folder beside it that is thrown away again. Raises UpkeepError."""
    digest = integrity(snapshot)
    with tempfile.TemporaryDirectory(dir=snapshot.parent, prefix=UNFINISHED) as scratch:
        return {"sha256": digest, **restore(find(), snapshot, Path(scratch, "restored"))}
