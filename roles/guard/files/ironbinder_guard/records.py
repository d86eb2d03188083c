# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the network plugin knew of each pod when it connected it, a small file each, gone with a restart of the machine."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, Optional


class Record(NamedTuple):
    """One connection of one pod. `key` is container and interface, `made` in seconds since the epoch."""

    key: str
    address: str
    namespace: str
    name: str
    made: float
    milliseconds: int = 0


# Longer than nft may take, and shorter than containerd waits for a plugin.
LOCK_SECONDS, LOOK_SECONDS = 20.0, 0.01


def _lock(descriptor: int, path: str) -> None:
    """Wait in small steps: a lock that somebody keeps for ever must not keep everybody for ever."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                text = f"held by another process for {LOCK_SECONDS:.0f} s (fuser -v {path} names it)"
                raise OSError(errno.ETIMEDOUT, text, path) from None
            time.sleep(LOOK_SECONDS)


@contextmanager
def locked(state_dir: str) -> Iterator[None]:
    """Keep everyone else who changes records or the table away. Waits for them, and raises OSError when that takes too long."""
    os.makedirs(f"{state_dir}/pods", mode=0o700, exist_ok=True)  # noqa: PTH103 see config.py
    descriptor = os.open(f"{state_dir}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(descriptor, f"{state_dir}/lock")
        yield
    finally:
        os.close(descriptor)


def write_json(path: str, data: Any) -> None:
    """Write a file that is there whole or not at all."""
    with open(f"{path}.new", "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(data, file)
    os.replace(f"{path}.new", path)  # noqa: PTH105


def read_json(path: str) -> Any:
    """Read a file of ours, None where there is none that can be read."""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            return json.load(file)
    except (OSError, ValueError):
        return None


def _path(state_dir: str, key: str) -> str:
    return f"{state_dir}/pods/{key.replace('/', '_')}.json"


def write_record(state_dir: str, record: Record) -> None:
    """Keep a record."""
    write_json(_path(state_dir, record.key), record._asdict())


def read_record(state_dir: str, key: str) -> Optional[Record]:
    """Give the record of a connection, None where there is none."""
    return _record(read_json(_path(state_dir, key)))


def _record(data: Any) -> Optional[Record]:
    try:
        return Record(**data)
    except TypeError:  # none, or of another version
        return None


def remove_record(state_dir: str, key: str) -> None:
    """Forget a connection; nothing where it is not known."""
    with suppress(FileNotFoundError):
        os.unlink(_path(state_dir, key))  # noqa: PTH108


def all_records(state_dir: str) -> list[Record]:
    """Give all records, the oldest first: of two with one address, the later is right."""
    try:
        names = os.listdir(f"{state_dir}/pods")  # noqa: PTH208
    except FileNotFoundError:
        return []
    found = (_record(read_json(f"{state_dir}/pods/{name}")) for name in names if name.endswith(".json"))
    return sorted((record for record in found if record), key=lambda record: record.made)
