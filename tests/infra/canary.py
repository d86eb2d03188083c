# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Looks for secrets where none may be. Runs on any host: Python 3.9, the standard library, reads only.

It is told what to look for on its standard input, since arguments are among the places it looks at:
{"secrets": {name: value}, "action": "scan" or "watch", "loose": [folders], "never": [folders], ...}.
It answers with JSON that names places, and never a secret.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import stat
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Optional

CHUNK = 1 << 20
# A shorter piece of a secret would be found in anything.
SHORTEST = 8
# How often a process is looked at when it is new, and how long it is left alone afterwards.
NEW_LOOKS, WATCH_EVERYBODY_SECONDS = 3, 1.0
# Trees that are no files of anybody's, or hold the images of containers.
SKIPPED = re.compile(
    r"^/(proc|sys|dev)(/|$)|^/var/lib/(docker|containerd|etcd)(/|$)|^/var/lib/kubelet/pods/[^/]+/(volumes|containers)(/|$)"
    r"|^/run/(containerd|docker)(/|$)"
)


def _in_base64(secret: bytes) -> set[bytes]:
    """What the secret becomes inside of longer text that is then encoded: one form for each alignment."""
    found = set()
    for offset in range(3):
        text = base64.b64encode(b"\0" * offset + secret)
        # The first and the last characters mix with what stands around it.
        found.add(text[-(-offset * 4 // 3) : len(text) // 4 * 4 - 4])
    return found


def forms(secret: str) -> set[bytes]:
    """Every way in which this secret may have been written down."""
    raw = secret.encode()
    texts = {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        urllib.parse.quote(secret, safe=""),
        urllib.parse.quote_plus(secret),
        shlex.quote(secret),
        secret.replace("'", "''"),
    }
    found = {text.encode() for text in texts} | _in_base64(raw) | {raw.hex().encode()}
    return {form for form in found if len(form) >= SHORTEST}


class Canaries:
    """The secrets to look for."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self.by_form = {form: name for name, secret in secrets.items() for form in forms(secret)}
        self.longest = max((len(form) for form in self.by_form), default=0)
        # One pass for all of them.
        self.pattern = re.compile(
            b"|".join(re.escape(form) for form in sorted(self.by_form, key=len, reverse=True)) or b"(?!)"
        )

    def in_bytes(self, data: bytes) -> set[str]:
        """Names of the secrets in `data`."""
        return {self.by_form[match.group()] for match in self.pattern.finditer(data)}

    def in_stream(self, stream: IO[bytes], length: float = float("inf")) -> set[str]:
        """Names of the secrets in a stream of any length, or in so many bytes of it."""
        found: set[str] = set()
        rest = b""
        while length > 0:
            block = stream.read(int(min(CHUNK, length)))
            if not block:
                break
            length -= len(block)
            found |= self.in_bytes(rest + block)
            rest = (rest + block)[-self.longest :]
        return found


def _matches(folder: str) -> Iterator[str]:
    if "*" not in folder:
        yield folder
    else:
        yield from map(str, Path("/").glob(folder.lstrip("/")))


def files(folders: Iterable[str], since: float = 0.0) -> Iterator[tuple[str, os.stat_result]]:
    """Regular files below these folders (`*` stands for any name) that changed after `since`, none of them twice."""
    seen = set()
    for folder in (match for given in folders for match in _matches(given)):
        for place, names, entries in os.walk(folder):
            names[:] = [name for name in names if not SKIPPED.match(f"{place.rstrip('/')}/{name}")]
            for entry in entries:
                path = f"{place.rstrip('/')}/{entry}"
                try:
                    told = os.lstat(path)
                except OSError:  # gone in the meantime
                    continue
                if (
                    stat.S_ISREG(told.st_mode)
                    and told.st_mtime >= since
                    and (told.st_dev, told.st_ino) not in seen
                ):
                    seen.add((told.st_dev, told.st_ino))
                    yield path, told


def _in_file(path: str, canaries: Canaries) -> set[str]:
    found: set[str] = set()
    try:
        with Path(path).open("rb", buffering=0) as stream:
            end, begin = os.fstat(stream.fileno()).st_size, 0
            # Piece by piece of what was written: a sparse file may be larger than any disk.
            while begin < end:
                begin = os.lseek(stream.fileno(), begin, os.SEEK_DATA)
                hole = os.lseek(stream.fileno(), begin, os.SEEK_HOLE)
                stream.seek(begin)
                found |= canaries.in_stream(stream, hole - begin)
                begin = hole
    except OSError:  # gone in the meantime, no file to read, or nothing but a hole from here on
        pass
    return found


def scan(
    canaries: Canaries, loose: Iterable[str], never: Iterable[str], since: float = 0.0
) -> list[dict[str, str]]:
    """Look through files.

    Args:
        loose: folders in which a secret may lie, but only in files that nobody but their owner can read.
        never: folders in which no secret may be: logs, caches, temporary files.
        since: leave out files that have not changed since this time, in seconds.
    """
    told = []
    for path, _ in files(never, since):
        for name in sorted(_in_file(path, canaries)):
            told.append({"secret": name, "place": path, "why": "no secret may be here"})
    for path, about in files(loose, since):
        mode = stat.S_IMODE(about.st_mode)
        if mode & 0o077:
            for name in sorted(_in_file(path, canaries)):
                told.append({"secret": name, "place": path, "why": f"its mode is {mode:04o}"})
    return told


def scan_journal(canaries: Canaries, since: float = 0.0) -> list[dict[str, str]]:
    """Look through the system's journal, which is compressed on disk, from a time in seconds on."""
    command = ["journalctl", "--no-pager", "--output=export", f"--since=@{since:.0f}"]
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as journal:
            found = canaries.in_stream(journal.stdout) if journal.stdout else set()
    except OSError:  # no systemd here
        return []
    return [
        {"secret": name, "place": "the journal", "why": "no secret may be here"} for name in sorted(found)
    ]


def processes(root: Path = Path("/proc")) -> list[str]:
    """List the ids of all processes."""
    return [name for name in os.listdir(root) if name.isdigit()]  # noqa: PTH208 many times a second


def scan_processes(
    canaries: Canaries, root: Path = Path("/proc"), chosen: Optional[Iterable[str]] = None
) -> list[dict[str, str]]:
    """Look through the arguments of all processes, or of those with these ids."""
    told = []
    for process in processes(root) if chosen is None else chosen:
        try:
            arguments = (root / process / "cmdline").read_bytes()
        except OSError:  # it has ended
            continue
        for name in sorted(canaries.in_bytes(arguments)):
            program = arguments.split(b"\0")[0].decode(errors="replace")
            told.append(
                {"secret": name, "place": f"arguments of {program}", "why": "everybody can list processes"}
            )
    return told


def watch(canaries: Canaries, stop: Path, seconds: float, pause: float = 0.05) -> list[dict[str, str]]:
    """Look at processes again and again, until the file `stop` is there or the time is up.

    A process is looked at when it is new, as it begins with the arguments of whoever started it, and then once a second: who
    looks at all of them all the time takes the machine away from what is being watched.
    """
    found: dict[tuple[str, ...], dict[str, str]] = {}
    looks: dict[str, int] = {}
    deadline, everybody = time.monotonic() + seconds, 0.0
    while time.monotonic() < deadline and not stop.exists():
        chosen = there = processes()
        if time.monotonic() < everybody:
            chosen = [process for process in there if looks.get(process, 0) < NEW_LOOKS]
        else:
            everybody = time.monotonic() + WATCH_EVERYBODY_SECONDS
        for hit in scan_processes(canaries, chosen=chosen):
            found[tuple(hit.values())] = hit
        looks = {process: looks.get(process, 0) + 1 for process in there}
        time.sleep(pause)
    return list(found.values())


def answer(given: Mapping[str, Any]) -> dict[str, Any]:
    """Do what the standard input asks for."""
    canaries = Canaries(given["secrets"])
    if given["action"] == "watch":
        return {"found": watch(canaries, Path(given["stop"]), float(given["seconds"]))}
    since = float(given.get("since", 0))
    found = scan(canaries, given.get("loose", []), given.get("never", []), since)
    return {"found": found + scan_processes(canaries) + scan_journal(canaries, since)}


if __name__ == "__main__":
    print(json.dumps(answer(json.load(sys.stdin))))
