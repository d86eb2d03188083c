#!/usr/bin/python3
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Give back the space of images that are gone from the registry, and let old ones go where the site wants that.

The registry's own collector removes what no manifest needs, and may run only while nothing is pushed. So the registry is
restarted without writing, which people who pull do not notice, and restarted again afterwards: by `end`, which systemd calls
whatever became of `collect`. A push meanwhile is refused with 405.

Which images are old is read from the registry's folders, as its API does not tell when something was pushed. Removing a tag and
a revision there is what the API does, too. The collector's own --delete-untagged is not used: version 2 takes the parts of
images for several platforms for untagged, and leaves their indexes broken.

Layout: https://github.com/distribution/distribution/blob/v2.8.2/registry/storage/paths.go
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

DAY_SECONDS = 86400
# A layer that has just been uploaded has no manifest yet.
QUIET_SECONDS = 120
PAUSE_SECONDS = 20
# The registry reads `storage.maintenance.readonly` from it as YAML.
READ_ONLY = "REGISTRY_STORAGE_MAINTENANCE_READONLY={enabled: true}\n"
SUMMARY = re.compile(r"(\d+) blobs marked, (\d+) blobs and \d+ manifests eligible for deletion")


class GarbageError(RuntimeError):
    """What could not be done. The text says what was tried, what was seen, and what to do."""


@dataclass(frozen=True)
class Rule:
    """Which images may go: how old, below which beginning of names, and which not; names are `repository:tag`."""

    days: int
    prefix: str
    exempt: Sequence[str] = ()

    def keeps(self, name: str) -> bool:
        """Whether an image stays however old it is."""
        return not name.startswith(self.prefix) or name.startswith(tuple(self.exempt))


class Repository:
    """One repository in the registry's folders: `top` is docker/registry/v2."""

    def __init__(self, top: Path, folder: Path) -> None:
        self._top = top
        self._folder = folder
        self.name = folder.relative_to(top / "repositories").as_posix()

    def _links(self, kind: str, below: str) -> dict[str, tuple[str, float]]:
        """Give {name of a folder: (digest, when it was written)}."""
        found = {}
        folder = self._folder / "_manifests" / kind
        for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
            link = entry / below
            if link.is_file():
                found[entry.name] = (link.read_text().strip(), link.stat().st_mtime)
        return found

    def tags(self) -> dict[str, tuple[str, float]]:
        """Give {tag: (digest, when it was pushed)}."""
        return self._links("tags", "current/link")

    def revisions(self) -> dict[str, tuple[str, float]]:
        """Give {hexadecimal part: (digest, when it was pushed)} of every manifest."""
        return self._links("revisions/sha256", "link")

    def parts(self, digest: str) -> list[str]:
        """List the digests of the manifests of which an index consists; none of what is no index."""
        kind, _, text = digest.partition(":")
        try:
            told = json.loads((self._top / "blobs" / kind / text[:2] / text / "data").read_bytes())
            return [str(entry["digest"]) for entry in told.get("manifests", [])]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return []

    def expire(self, rule: Rule, now: float) -> tuple[int, int]:
        """Remove old tags, and manifests that are old and that nothing needs. Returns how many of each."""
        limit = now - rule.days * DAY_SECONDS
        old = [
            tag
            for tag, (_, pushed) in self.tags().items()
            if pushed < limit and not rule.keeps(f"{self.name}:{tag}")
        ]
        for tag in old:
            shutil.rmtree(self._folder / "_manifests/tags" / tag)
        revisions = self.revisions()
        wanted = [digest for digest, _ in self.tags().values()]
        # Without a tag somebody may still know it by its digest: age and exemption decide as for tags.
        wanted += [
            digest for digest, pushed in revisions.values() if pushed >= limit or rule.keeps(f"{self.name}:")
        ]
        needed: set[str] = set()
        while wanted:
            digest = wanted.pop()
            if digest not in needed:
                needed.add(digest)
                wanted += self.parts(digest)
        gone = [name for name, (digest, _) in revisions.items() if digest not in needed]
        for name in gone:
            shutil.rmtree(self._folder / "_manifests/revisions/sha256" / name)
        return len(old), len(gone)


def repositories(storage: Path) -> Iterator[Repository]:
    """Give every repository of a storage. A repository may lie below another one."""
    top = storage / "docker/registry/v2"
    for place, folders, _ in os.walk(top / "repositories"):
        if "_manifests" in folders:
            yield Repository(top, Path(place))
        folders[:] = sorted(name for name in folders if not name.startswith("_"))


def last_upload(storage: Path) -> float:
    """When a layer was begun, went on or was finished last, in seconds since the epoch; 0 where never."""
    newest = 0.0
    for place, folders, _ in os.walk(storage / "docker/registry/v2/repositories"):
        for kind in ("_uploads", "_layers/sha256"):
            folder = Path(place, kind)
            if folder.is_dir():
                newest = max(newest, folder.stat().st_mtime, *_times(folder if kind == "_uploads" else None))
        folders[:] = [name for name in folders if not name.startswith("_")]
    return newest


def _times(folder: Optional[Path]) -> list[float]:
    """Times of the data that is being uploaded. What was cleaned up meanwhile has none."""
    found = [0.0]
    for data in folder.glob("*/data") if folder else ():
        try:
            found.append(data.stat().st_mtime)
        except FileNotFoundError:
            continue
    return found


@dataclass(frozen=True)
class Registry:
    """The registry of this machine: its unit, program, configuration and storage, and the file that stops writing."""

    unit: str
    program: str
    config: str
    user: str
    storage: Path
    switch: Path

    def collect(self, timeout_seconds: int, dry_run: bool = False) -> int:
        """Run the registry's collector, or let it look. Returns how many blobs it removed, or would; -1: it does not tell.

        Raises:
            GarbageError: it failed, or took too long.
        """
        argv = [self.program, "garbage-collect", *(["--dry-run"] if dry_run else []), self.config]
        if os.geteuid() == 0:
            argv = ["runuser", f"--user={self.user}", "--", *argv]
        try:
            ran = subprocess.run(argv, capture_output=True, text=True, timeout=timeout_seconds, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise GarbageError(f"{' '.join(argv)}: {error}") from error
        if ran.returncode != 0:
            said = " | ".join((ran.stderr or ran.stdout).strip().splitlines()[-3:])
            raise GarbageError(f"{' '.join(argv)} ended with {ran.returncode}: {said}")
        told = SUMMARY.search(ran.stdout)
        return int(told.group(2)) if told else -1

    def restart(self) -> None:
        """Have the unit read the switch again; one that is stopped stays so."""
        argv = ["systemctl", "try-restart", self.unit]
        ran = subprocess.run(argv, capture_output=True, text=True, check=False)
        if ran.returncode != 0:
            raise GarbageError(f"{' '.join(argv)}: {ran.stderr.strip()}. See `journalctl -u {self.unit}`")

    def stop_writing(self) -> None:
        """Let it serve, and take nothing."""
        self.switch.write_text(READ_ONLY)
        self.restart()

    def end(self) -> None:
        """Let it take pushes again, whatever happened; nothing where it does already."""
        if self.switch.exists():
            self.switch.unlink()
            self.restart()


def is_quiet(storage: Path, quiet_seconds: int, patience_seconds: int) -> bool:
    """Wait until nobody has pushed for a while. False where somebody always does."""
    until = time.time() + patience_seconds
    while time.time() - last_upload(storage) < quiet_seconds:
        if time.time() >= until:
            return False
        time.sleep(PAUSE_SECONDS)
    return True


def collect(
    registry: Registry, rule: Rule, quiet_seconds: int, patience_seconds: int, timeout_seconds: int
) -> str:
    """Collect once, where there is something to collect and nobody is pushing. Returns what to tell.

    Args:
        registry: the machine's.
        rule: which images are to go.
        quiet_seconds: how long nobody must have pushed.
        patience_seconds: how long to wait for that.
        timeout_seconds: how long the collector may take.

    Raises:
        GarbageError: the collector or the registry's unit failed.
    """
    now = time.time()
    stores = list(repositories(registry.storage))
    if not stores:
        return "the registry is empty"
    limit = now - rule.days * DAY_SECONDS
    expired = rule.days > 0 and any(
        pushed < limit and not rule.keeps(f"{store.name}:{tag}")
        for store in stores
        for tag, (_, pushed) in store.tags().items()
    )
    if not expired and registry.collect(timeout_seconds, dry_run=True) == 0:
        return "nothing to collect"
    if not is_quiet(registry.storage, quiet_seconds, patience_seconds):
        return f"left for another time: there was a push every {quiet_seconds} seconds"
    registry.stop_writing()
    tags = manifests = 0
    for store in stores if rule.days > 0 else ():
        of_tags, of_manifests = store.expire(rule, now)
        tags, manifests = tags + of_tags, manifests + of_manifests
    blobs = registry.collect(timeout_seconds)
    return f"removed {tags} tags and {manifests} manifests older than {rule.days} days, and {blobs} blobs that nothing needs"


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Collect, or end a collection. 0 when that went well."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("action", choices=["collect", "end"])
    parser.add_argument("--storage", type=Path, required=True)
    parser.add_argument("--config", default="/etc/docker/registry/config.yml")
    parser.add_argument("--program", default="docker-registry")
    parser.add_argument("--unit", default="docker-registry.service")
    parser.add_argument("--user", default="docker-registry")
    parser.add_argument(
        "--switch", type=Path, required=True, help="environment file of the unit, made and removed"
    )
    parser.add_argument("--days", type=int, default=0, help="age at which images go; 0 never")
    parser.add_argument("--prefix", default="", help="beginning of the names of images that may go")
    parser.add_argument("--exempt", action="append", default=[], help="beginning of names that stay")
    parser.add_argument("--quiet-seconds", type=int, default=QUIET_SECONDS)
    parser.add_argument("--patience-seconds", type=int, default=3600)
    parser.add_argument("--timeout-seconds", type=int, default=3600)
    given = parser.parse_args(arguments)
    registry = Registry(given.unit, given.program, given.config, given.user, given.storage, given.switch)
    try:
        if given.action == "end":
            registry.end()
            return 0
        with given.switch.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            rule = Rule(given.days, given.prefix, given.exempt)
            print(collect(registry, rule, given.quiet_seconds, given.patience_seconds, given.timeout_seconds))
    except BlockingIOError:
        print("another collection is at work", file=sys.stderr)
        return 1
    except (GarbageError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
