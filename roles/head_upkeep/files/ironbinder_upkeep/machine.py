# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""This machine: its processes, its commands, and records that are there whole or not at all."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "KUBEADM_LOCK",
    "UNFINISHED",
    "Process",
    "UpkeepError",
    "kubeadm_alone",
    "number",
    "processes",
    "read_json",
    "run",
    "why",
    "write_json",
]

# Whose kubeadm works on this machine. Runs of Ansible that have one work take the same.
KUBEADM_LOCK = "kubeadm.lock"
# Beginning of the names of what a kill may leave.
UNFINISHED = ".unfinished-"
COMMAND_SECONDS = 900
# This machine's, and that of a container of it.
CONTAINER_DEPTH = 2
# What no second since the epoch reaches.
HUGE = 1 << 53


class UpkeepError(RuntimeError):
    """What could not be done. The text says what was tried, what was seen, and what to do."""


@dataclass(frozen=True)
class Process:
    """A running program: its name, its options as --name=value, and where its files can be reached from outside."""

    pid: int
    name: str
    options: Mapping[str, str]
    root: Path
    # In the kernel's ticks since the start of the machine: another process of the same id has another.
    started_ticks: int = 0


def processes(proc: Path = Path("/proc")) -> Iterator[Process]:
    """Give the programs that run, those in this machine's containers as well.

    A container may itself be a machine of somebody else's cluster, with the same programs and paths: what runs in containers of
    containers, as the kernel counts process ids, is left out. proc_pid_status(5)
    """
    for folder in sorted(proc.glob("[0-9]*")):
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            # After the name, which is in brackets and may hold anything; field 22, proc_pid_stat(5).
            depth = re.search(r"^NSpid:\t(.*)$", (folder / "status").read_text(), re.MULTILINE)
            ticks = int((folder / "stat").read_text().rpartition(")")[2].split()[19])
        except (OSError, ValueError, IndexError):  # it has ended
            continue
        if depth and len(depth.group(1).split()) > CONTAINER_DEPTH:
            continue
        options = dict(word.split("=", 1) for word in words[1:] if word.startswith("--") and "=" in word)
        yield Process(int(folder.name), Path(words[0]).name, options, folder / "root", ticks)


def run(argv: Sequence[str]) -> str:
    """Run a command and give what it prints. Raises UpkeepError with its last words where it fails."""
    environment = {key: value for key, value in os.environ.items() if key != "KUBECONFIG"}
    try:
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env={**environment, "LC_ALL": "C"},
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UpkeepError(f"{argv[0]}: {error}") from error
    if done.returncode != 0:
        # etcd's tools log a line of JSON for each step, and end with a plain one.
        said = [line for line in (done.stderr or done.stdout).splitlines() if not line.startswith("{")]
        shown = " ".join([Path(argv[0]).name, *(word for word in argv[1:] if not word.startswith("--"))])
        raise UpkeepError(f"`{shown}` ended with {done.returncode}: {' | '.join(said[-2:]) or 'nothing'}")
    return done.stdout


@contextmanager
def kubeadm_alone(folder: Path, what: str) -> Iterator[None]:
    """Wait until no other kubeadm works on this machine, an upgrade's for example, and keep others waiting meanwhile.

    Args:
        folder: where the lock is.
        what: who works now, for those who wait.
    """
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    with os.fdopen(os.open(folder / KUBEADM_LOCK, os.O_RDWR | os.O_CREAT, 0o600), "r+") as lock:
        # As long as it takes: the unit that this runs in has its own bound.
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        json.dump({"pid": os.getpid(), "what": what}, lock)
        lock.flush()
        yield
        lock.truncate(0)


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write a record, whole or not at all. Only root reads it."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f"{UNFINISHED}{path.name}")
    with os.fdopen(handle, "w") as stream:
        json.dump(data, stream, indent=1, sort_keys=True)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    Path(beside).replace(path)


def number(record: Mapping[str, Any], key: str) -> float:
    """Read a number of a record; 0 where it has none, or one that is none, as JSON of Python may have."""
    value: Any = record.get(key)
    plain = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if plain and -HUGE < value < HUGE else 0.0


def why(error: BaseException) -> str:
    """Say what went wrong, never nothing. Errors of ours need no name."""
    return str(error) if isinstance(error, UpkeepError) else f"{type(error).__name__}: {error}"


def read_json(path: Path) -> dict[str, Any]:
    """Read a record; empty where there is none, or none that can be read."""
    try:
        told = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}
