# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The machine as `_kubeadm` sees it: commands, files, addresses, time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

__all__ = ["CommandResult", "Host", "LocalHost"]

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class CommandResult:
    """How a command ended. `lines` are (seconds since its start, line) of both streams."""

    rc: int
    stdout: str
    stderr: str
    lines: Sequence[tuple[float, str]] = ()
    seconds: float = 0.0

    @property
    def output(self) -> str:
        """Both streams, line by line as they were printed."""
        return "\n".join(line for _seconds, line in self.lines) or "\n".join((self.stdout, self.stderr))


class Host(Protocol):
    """What the work needs of a machine."""

    def run(self, argv: Sequence[str], timeout_seconds: float) -> CommandResult:
        """Run a command; rc 127 where it is not installed, 124 where it took too long."""

    def matches(self, pattern: str) -> list[str]:
        """Name the existing paths that match a glob pattern."""

    def contains(self, pattern: str, needle: bytes) -> bool:
        """Say whether a file that matches the pattern holds these bytes."""

    def get(self, url: str, timeout_seconds: float) -> tuple[int, str]:
        """Get a URL: status (0 where nothing answers) and body or reason."""

    def write(self, path: str, data: Mapping[str, Any]) -> None:
        """Write a JSON file of mode 0600, whole or not at all."""

    def remove(self, path: str) -> None:
        """Remove a file that may be missing."""

    def monotonic(self) -> float:
        """Tell the seconds of a clock that never steps."""

    def sleep(self, seconds: float) -> None:
        """Let time pass."""


class LocalHost:
    """The machine this runs on."""

    def run(self, argv: Sequence[str], timeout_seconds: float) -> CommandResult:
        """Run a command without a terminal, in a process group that a timeout ends as a whole."""
        started = time.monotonic()
        environment = {**os.environ, "LC_ALL": "C"}
        environment.pop("KUBECONFIG", None)
        try:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            return CommandResult(rc=127, stdout="", stderr=f"{argv[0]}: {error.strerror}")
        streams: dict[str, list[str]] = {"stdout": [], "stderr": []}
        lines: list[tuple[float, str]] = []

        def collect(name: str, stream: IO[str]) -> None:
            for line in stream:
                streams[name].append(line)
                lines.append((time.monotonic() - started, line.rstrip("\n")))

        if not (process.stdout and process.stderr):
            raise AssertionError("Popen was asked for both pipes")
        readers = [
            threading.Thread(target=collect, args=(name, stream), daemon=True)
            for name, stream in (("stdout", process.stdout), ("stderr", process.stderr))
        ]
        for reader in readers:
            reader.start()
        try:
            rc = process.wait(timeout=timeout_seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            rc = 124
            lines.append((timeout_seconds, f"error: {argv[0]} was ended after {timeout_seconds:.0f} s"))
        for reader in readers:
            # A daemon that inherited the pipe would keep it open for ever.
            reader.join(timeout=5)
        return CommandResult(
            rc=rc,
            stdout="".join(streams["stdout"]),
            stderr="".join(streams["stderr"]),
            lines=tuple(lines),
            seconds=time.monotonic() - started,
        )

    def matches(self, pattern: str) -> list[str]:
        """Name the existing paths that match a glob pattern, sorted."""
        return sorted(str(path) for path in Path("/").glob(pattern.lstrip("/")))

    def contains(self, pattern: str, needle: bytes) -> bool:
        """Read the files in pieces, with an overlap, so that a large database costs no memory."""
        for name in self.matches(pattern):
            with Path(name).open("rb") as stream:
                tail = b""
                while chunk := stream.read(_CHUNK_BYTES):
                    tail += chunk
                    if needle in tail:
                        return True
                    tail = tail[-len(needle) :]
        return False

    def get(self, url: str, timeout_seconds: float) -> tuple[int, str]:
        """Get a URL of this machine, past any proxy in the environment."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(url, timeout=timeout_seconds) as answer:
                return answer.status, answer.read(4096).decode(errors="replace")
        except urllib.error.HTTPError as error:
            return error.code, error.read(4096).decode(errors="replace")
        except (OSError, urllib.error.URLError) as error:
            return 0, str(getattr(error, "reason", error))

    def write(self, path: str, data: Mapping[str, Any]) -> None:
        """Write beside the file and rename, so that a kill leaves the old one or the new one."""
        target = Path(path)
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        beside = target.with_name(target.name + ".new")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            json.dump(data, stream, indent=2, sort_keys=True)
            stream.write("\n")
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(target)

    def remove(self, path: str) -> None:
        """Remove a file that may be missing."""
        Path(path).unlink(missing_ok=True)

    def monotonic(self) -> float:
        """Tell the seconds of the monotonic clock."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)
