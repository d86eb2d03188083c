#!/usr/bin/python3
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Keep what builds leave in Docker within bounds, and make room before the kubelet has to.

The kubelet cleans up containerd's images only, and evicts pods when that is not enough. This looks at the same file system in
the same way, earlier. It never touches containers, volumes or networks, nor an image that has a container, nor a name that no
build gives. Written for a timer: one line for each step that did something, nothing on a quiet day.

API: https://docs.docker.com/reference/api/engine/version-history/
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional
from urllib.parse import quote, urlencode

# From this version of the API on, `keep-storage` is what is kept at least, and `max-used-space` the bound it was before.
MAX_USED_SPACE = (1, 48)
# A build that has just ended is still being pushed.
PRESSED_AGE_HOURS = 1
# Removing a large cache takes minutes on a slow disk.
TIMEOUT_SECONDS = 600
# One pass nearly always does; each takes something away, and no more than this many are worth a timer's run.
PRUNING_PASSES = 50
NO_NAME = "<none>:<none>"
GIB = 1 << 30
# How Docker says that containerd keeps its images, and build cache with them; and where containerd does by default.
IN_CONTAINERD = ["driver-type", "io.containerd.snapshotter.v1"]
CONTAINERD_ROOT = "/var/lib/containerd"


class DockerError(RuntimeError):
    """Docker did not do what it was asked. The text says what that was, and what Docker said."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Docker:
    """The daemon behind a socket. Every method raises DockerError where it does not answer, or refuses."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._prefix = ""
        version = str(self._ask("GET", "/version")["ApiVersion"])
        self.api = tuple(int(part) for part in version.split("."))
        self._prefix = f"/v{version}"

    def roots(self) -> list[str]:
        """The folders of Docker's images and cache: its own, and containerd's where that one keeps them."""
        told = self._ask("GET", "/info")
        kept_there = IN_CONTAINERD in (told.get("DriverStatus") or [])
        found = [str(told["DockerRootDir"]), *([CONTAINERD_ROOT] if kept_there else [])]
        return [root for root in found if Path(root).is_dir()] or found[:1]

    def images(self) -> list[Mapping[str, Any]]:
        """All images that have a name or had one."""
        return list(self._ask("GET", "/images/json"))

    def used_images(self) -> set[str]:
        """Ids of images that have a container, whatever its state."""
        return {str(entry["ImageID"]) for entry in self._ask("GET", "/containers/json?all=1")}

    def remove(self, name: str) -> bool:
        """Take a name off an image, and the image away with its last one. False where Docker still needs it."""
        status, told = self._call("DELETE", f"/images/{quote(name, safe='/:@')}")
        if status in (404, 409):
            return False
        _refused(status, told, f"remove the image {name}")
        return True

    def prune_cache(self, keep_bytes: int) -> int:
        """Remove build cache, what was used longest ago first, until this much is left. Returns the bytes that Docker freed.

        BuildKit bounds what no image has, yet counts as freed also what an image goes on to have, and so ends a pass early: the
        bound is reached once a pass finds nothing more to do.
        """
        query = {"all": "1"}
        if keep_bytes:
            query["max-used-space" if self.api >= MAX_USED_SPACE else "keep-storage"] = str(keep_bytes)
        freed = 0
        for _ in range(PRUNING_PASSES):
            status, told = self._call("POST", f"/build/prune?{urlencode(query)}")
            if status == 409:  # somebody else is at it
                break
            _refused(status, told, "prune its build cache")
            passed = int((told or {}).get("SpaceReclaimed") or 0)
            freed += passed
            if not (passed and keep_bytes):
                break
        return freed

    def _ask(self, method: str, path: str) -> Any:
        status, told = self._call(method, path)
        _refused(status, told, f"answer {method} {path}")
        return told

    def _call(self, method: str, path: str) -> tuple[int, Any]:
        connection = _UnixConnection(self._path)
        try:
            connection.request(method, self._prefix + path)
            reply = connection.getresponse()
            text = reply.read()
        except (OSError, http.client.HTTPException) as error:
            raise DockerError(
                f"Docker does not answer at {self._path}: {error}. See `systemctl status docker`"
            ) from error
        finally:
            connection.close()
        try:
            return reply.status, json.loads(text) if text.strip() else None
        except ValueError as error:
            raise DockerError(f"Docker answered {path} with no JSON: {text[:80]!r}") from error


def _refused(status: int, told: Any, what: str) -> None:
    if status >= 300:
        message = told.get("message") if isinstance(told, dict) else told
        raise DockerError(f"Docker would not {what} ({status}): {message}")


def used_percent(path: str) -> int:
    """How full a file system is, as the kubelet counts: what root alone may use counts as used."""
    told = os.statvfs(path)
    return 100 - told.f_bavail * 100 // told.f_blocks


def fullest(roots: Iterable[str]) -> tuple[int, str]:
    """Give the fill of the fullest file system, and its folder."""
    return max((used_percent(root), root) for root in roots)


def old_builds(
    images: Iterable[Mapping[str, Any]], used: set[str], prefixes: Sequence[str], before: float
) -> list[str]:
    """Name what can go: the names of built images, and the ids of built images that have lost theirs.

    Args:
        images: as Docker lists them, with Id, RepoTags, RepoDigests and Created.
        used: ids of images that have a container.
        prefixes: beginnings of the names that builds give.
        before: seconds since the epoch; what was made later stays.
    """
    starts, found = tuple(prefixes), []
    for image in images:
        if image["Id"] in used or float(image["Created"]) >= before:
            continue
        names = [name for name in image.get("RepoTags") or [] if name != NO_NAME]
        # Of an image that was pulled and has lost its name, the repository is still known; a build's has none.
        digests = [name for name in image.get("RepoDigests") or [] if not name.startswith("<none>")]
        if not names and all(name.startswith(starts) for name in digests):
            found.append(str(image["Id"]))
        found += [name for name in names if name.startswith(starts)]
    return found


@dataclass(frozen=True)
class Bounds:
    """What may stay: bytes of build cache, hours of a built image, and a percentage of the file system."""

    cache_bytes: int
    image_hours: int
    above_percent: int
    prefixes: Sequence[str]

    @property
    def last_percent(self) -> int:
        """Fill above which pods are next: half of what the kubelet was left, 85 of 100 where pruning begins at 70."""
        return (self.above_percent + 100) // 2

    def steps(self) -> list[tuple[int, int]]:
        """Give (bytes of cache, hours of images) that stay, each step stricter than the one before."""
        pressed = min(PRESSED_AGE_HOURS, self.image_hours)
        return [
            (self.cache_bytes, self.image_hours),
            (self.cache_bytes // 2, pressed),
            (0, pressed),
        ]


def prune(docker: Docker, bounds: Bounds, roots: Sequence[str], now: float) -> list[str]:
    """Prune by size and age, and further for as long as the file system is too full. Returns what to tell.

    Where a stricter step finds nothing, others fill the file system: builds keep the rest of their cache, until pods would have
    to go for it.

    Raises:
        DockerError: Docker does not answer, or refuses.
    """
    told: list[str] = []
    for number, (cache_bytes, hours) in enumerate(bounds.steps()):
        fill, root = fullest(roots)
        if number and fill <= bounds.above_percent:
            break
        freed = docker.prune_cache(cache_bytes)
        names = old_builds(docker.images(), docker.used_images(), bounds.prefixes, now - hours * 3600)
        gone = [name for name in names if docker.remove(name)]
        if number and not (freed or gone) and fill <= bounds.last_percent:
            break
        if freed or gone:
            told.append(
                f"{root} was {fill} % full: freed {freed / GIB:.2f} GiB of build cache to keep {cache_bytes / GIB:.1f}, "
                f"removed {len(gone)} built images older than {hours} h"
            )
    fill, root = fullest(roots)
    if fill > bounds.above_percent:
        told.append(
            f"{root} is still {fill} % full, above {bounds.above_percent}: what builds left is not the cause. "
            "Look at `docker system df` and `du -x`"
        )
    return told


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Prune once. 0 when that went well, whatever it brought."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--cache-bytes", type=int, required=True, help="size of the build cache that may stay"
    )
    parser.add_argument("--image-hours", type=int, required=True, help="age of a built image that may stay")
    parser.add_argument("--above-percent", type=int, required=True, help="fill of the disk that is too full")
    parser.add_argument("--built", action="append", default=[], help="beginning of the names of built images")
    parser.add_argument("--socket", default="/run/docker.sock")
    given = parser.parse_args(arguments)
    bounds = Bounds(given.cache_bytes, given.image_hours, given.above_percent, given.built)
    try:
        docker = Docker(given.socket)
        for line in prune(docker, bounds, docker.roots(), time.time()):
            print(line)
    except DockerError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
