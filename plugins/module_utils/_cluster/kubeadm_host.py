# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The machine as `kubeadm` sees it: commands and files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Optional, Protocol

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock, SystemClock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.files import write_atomically
from ansible_collections.ironbinder.platform.plugins.module_utils._base.lock import LockFile

__all__ = ["CommandResult", "Host", "KubeadmError", "LocalHost"]

_CHUNK_BYTES = 1 << 20


class KubeadmError(Exception):
    """What could not be done. `lines` are kubeadm's own words, redacted."""

    def __init__(self, message: str, lines: Sequence[str] = ()) -> None:
        """Keep the words beside the message and in it."""
        super().__init__("\n".join([message, *lines]))
        self.lines = list(lines)


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
    """What the work needs of a machine. Every method may raise OSError."""

    def run(
        self, argv: Sequence[str], timeout_seconds: float, lock: Optional[LockFile] = None
    ) -> CommandResult:
        """Run a command; rc 127 where it is not installed, 124 where it took too long.

        `lock` is inherited by the command, which then holds it as long as it lives.
        """

    def matches(self, pattern: str) -> list[str]:
        """Name the existing paths that match a glob pattern."""

    def contains(self, pattern: str, needle: bytes) -> bool:
        """Say whether a file that matches the pattern holds these bytes."""

    def read(self, path: str) -> Optional[str]:
        """Read a text file; None where there is none."""

    def write(self, path: str, data: Mapping[str, Any]) -> None:
        """Write a JSON file of mode 0600, whole or not at all."""

    def remove(self, path: str) -> None:
        """Remove a file that may be missing."""


class LocalHost:
    """The machine this runs on."""

    def __init__(self, root: Path = Path("/"), clock: Optional[Clock] = None) -> None:
        """Take the folder that files are looked for in, and time."""
        self.root = root
        self.clock = clock or SystemClock()

    def run(
        self, argv: Sequence[str], timeout_seconds: float, lock: Optional[LockFile] = None
    ) -> CommandResult:
        """Run a command without a terminal, in a process group that a timeout ends as a whole.

        A command that is given the lock hands it on to what it starts. kubeadm starts nothing that stays: the kubelet
        is started by systemd, which systemctl only asks.
        """
        started = self.clock.now()
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
                pass_fds=lock.handles() if lock else (),
            )
        except OSError as error:
            return CommandResult(rc=127, stdout="", stderr=f"{argv[0]}: {error.strerror}")
        if lock:
            lock.tell(process.pid, " ".join(argv[:2]))
        streams: dict[str, list[str]] = {"stdout": [], "stderr": []}
        lines: list[tuple[float, str]] = []

        def collect(name: str, stream: IO[str]) -> None:
            for line in stream:
                streams[name].append(line)
                lines.append((self.clock.now() - started, line.rstrip("\n")))

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
            seconds=self.clock.now() - started,
        )

    def matches(self, pattern: str) -> list[str]:
        """Name the existing paths that match a glob pattern, sorted."""
        found = self.root.glob(pattern.lstrip("/"))
        return sorted(f"/{path.relative_to(self.root)}" for path in found)

    def contains(self, pattern: str, needle: bytes) -> bool:
        """Read the files in pieces, with an overlap, so that a large database costs no memory."""
        for name in self.matches(pattern):
            try:
                stream = self._path(name).open("rb")
            except FileNotFoundError:
                continue  # etcd removes its old logs while it runs
            with stream:
                tail = b""
                while chunk := stream.read(_CHUNK_BYTES):
                    tail += chunk
                    if needle in tail:
                        return True
                    tail = tail[-len(needle) :]
        return False

    def read(self, path: str) -> Optional[str]:
        """Read a text file, broken bytes replaced; None where there is none."""
        try:
            return self._path(path).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None

    def write(self, path: str, data: Mapping[str, Any]) -> None:
        """Write whole or not at all, so that a kill leaves the old file or the new one."""
        target = self._path(path)
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        write_atomically(target, json.dumps(data, indent=2, sort_keys=True) + "\n")

    def remove(self, path: str) -> None:
        """Remove a file that may be missing."""
        self._path(path).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.root / name.lstrip("/")
