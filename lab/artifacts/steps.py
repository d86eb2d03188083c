"""Resumable build steps: each result is a folder named after a hash of everything that went into it."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from progress import Part

__all__ = ["BuildError", "Step", "hash_of", "part_of", "run"]


class BuildError(RuntimeError):
    """A step failed. Its text says which command, where its log is, and how it ended."""


@dataclass(frozen=True)
class Step:
    """One artefact.

    `build` fills the empty folder that it is given. The result is kept as <kind>/<name>-<key>, where
    `key` hashes the inputs, so a changed pin builds this step again and nothing else. `seconds` is its weight, see `Part`.
    """

    kind: str
    name: str
    key: str
    seconds: float
    build: Callable[[Path], None] = field(compare=False)

    def path(self, cache: Path) -> Path:
        """Return where the finished result is."""
        return cache / self.kind / f"{self.name}-{self.key}"

    def is_built(self, cache: Path) -> bool:
        """Whether the result is there. Docker makes empty folders of those that a container wants and that are gone."""
        return any(path.is_file() for path in self.path(cache).rglob("*"))


def hash_of(*inputs: str | bytes | Path) -> str:
    """Hash texts and the content of files and folders to 12 hex digits."""
    digest = hashlib.sha256()
    for entry in inputs:
        for part in _parts(entry):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:12]


def _parts(entry: str | bytes | Path) -> Iterable[bytes]:
    if isinstance(entry, Path):
        files = sorted(path for path in entry.rglob("*") if path.is_file()) if entry.is_dir() else [entry]
        for file in files:
            yield (str(file.relative_to(entry)) if entry.is_dir() else file.name).encode()
            yield file.read_bytes()
    else:
        yield entry.encode() if isinstance(entry, str) else entry


def run(
    argv: Sequence[str | Path],
    log: Path,
    *,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    stdin: str | None = None,
) -> None:
    """Run a command with its output in `log`; raise BuildError with the log's end when it fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        stream.write(("$ " + " ".join(str(part) for part in argv) + "\n").encode())
        stream.flush()
        result = subprocess.run(
            [str(part) for part in argv],
            cwd=cwd,
            env=env,
            stdin=None if stdin is not None else subprocess.DEVNULL,
            input=stdin.encode() if stdin is not None else None,
            stdout=stream,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if result.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise BuildError(f"{argv[0]} ended with {result.returncode}; the end of {log}:\n{tail}")


def part_of(step: Step, cache: Path) -> Part:
    """Give a step as a part of the work. A build that was killed leaves nothing that looks done."""

    def make() -> str:
        target = step.path(cache)
        partial = target.with_name(target.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        step.build(partial)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
        _drop_older(step, cache)
        return ""

    return Part(f"{step.kind} {step.name}", step.seconds, lambda: not step.is_built(cache), make)


def _drop_older(step: Step, cache: Path) -> None:
    """Remove results of the same step with other inputs: a cache that only grows fills the disk."""
    for path in (cache / step.kind).glob(f"{step.name}-*"):
        suffix = path.name.removeprefix(f"{step.name}-").removesuffix(".partial")
        if path != step.path(cache) and len(suffix) == 12:
            shutil.rmtree(path, ignore_errors=True)
