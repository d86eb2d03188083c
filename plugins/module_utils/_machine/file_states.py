# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What is in a folder: whose it is, and what a stopped run left behind."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import re
import stat
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Optional

__all__ = [
    "KEPT_SUFFIX",
    "FileState",
    "ManagedFilesError",
    "carries",
    "group_id",
    "leftovers",
    "look",
    "user_id",
]

# Of the name under which a file that was not ours is kept. Daemons that read whole folders go by
# endings such as .crt, .conf, .toml or .sources, and pass this one by.
KEPT_SUFFIX = ".before-ironbinder"
# A later one, which differs, has the beginning of its SHA-256 behind that.
_KEPT = re.compile(rf".+{re.escape(KEPT_SUFFIX)}(\.[0-9a-f]{{8}})?")
# A mark stands in the first line, and no first line is longer.
_FIRST_LINE_BYTES = 4096
# What write_atomically leaves beside a file when it is killed: a dot, the file's name, eight characters.
_STRAY = re.compile(r"\.(?P<name>.+)\.[a-z0-9_]{8}")


class ManagedFilesError(RuntimeError):
    """A file or folder that is not as it has to be. The text says which, what was seen and what to do."""


@dataclass(frozen=True)
class FileState:
    """What is at a path. `data` is None where there is no file to be read: nothing, or a dead link."""

    kind: str  # missing, file, link
    data: Optional[bytes] = None
    mode: int = 0
    uid: int = -1
    gid: int = -1


def _refused(path: Path, error: OSError, doing: str) -> ManagedFilesError:
    return ManagedFilesError(
        f"{path} cannot be {doing}: {error.strerror or error}. Run as root (become: true), and see `ls -ld {path}`"
    )


def look(path: Path) -> FileState:
    """Read what is at `path`.

    Raises:
        ManagedFilesError: there is something else than a file or a link, or it cannot be read.
    """
    try:
        seen = path.lstat()
    except FileNotFoundError:
        return FileState("missing")
    except NotADirectoryError as error:
        raise ManagedFilesError(
            f"{path} cannot be written: one of its folders is a file. Move that file away"
        ) from error
    except OSError as error:
        raise _refused(path, error, "looked at") from error
    is_link = stat.S_ISLNK(seen.st_mode)
    try:
        target = path.stat() if is_link else seen
        if not stat.S_ISREG(target.st_mode):
            if is_link:
                return FileState("link")
            what = "a folder" if stat.S_ISDIR(target.st_mode) else "no ordinary file"
            raise ManagedFilesError(f"{path} is {what}, and a file has to stand there: move it away")
        data = path.read_bytes()
    except FileNotFoundError:
        return FileState("link" if is_link else "missing")
    except OSError as error:
        if is_link and error.errno == errno.ELOOP:
            return FileState("link")
        raise _refused(path, error, "read") from error
    return FileState(
        "link" if is_link else "file", data, stat.S_IMODE(target.st_mode), target.st_uid, target.st_gid
    )


def carries(data: bytes, mark: str) -> bool:
    """Whether the first line of `data` holds `mark`."""
    return bool(mark) and mark.encode() in data[:_FIRST_LINE_BYTES].split(b"\n", 1)[0]


def _files(folder: Path, depth: int) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise _refused(folder, error, "listed") from error
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            if depth > 1:
                yield from _files(Path(entry.path), depth - 1)
        # A link is somebody's decision: what we write are files.
        elif entry.is_file(follow_symlinks=False):
            yield Path(entry.path)


def leftovers(
    folder: Path, wanted: Collection[Path], *, mark: str, names: Sequence[str], depth: int
) -> list[Path]:
    """List the files in `folder` that are ours and not wanted.

    Args:
        folder: where to look; it may be missing.
        wanted: files that stay.
        mark: text in the first line of files that are ours; empty: no file is ours by it.
        names: patterns of names of files that are ours whatever they hold.
        depth: how many levels of folders to look at; 1 is `folder` alone.

    Raises:
        ManagedFilesError: something cannot be read.
    """
    found = []
    for path in _files(folder, depth):
        stray = _STRAY.fullmatch(path.name)
        if path in wanted or _KEPT.fullmatch(path.name):
            continue
        if (stray and path.with_name(stray["name"]) in wanted) or any(
            fnmatchcase(path.name, pattern) for pattern in names
        ):
            found.append(path)
        elif mark:
            try:
                with path.open("rb") as stream:
                    if carries(stream.read(_FIRST_LINE_BYTES), mark):
                        found.append(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise _refused(path, error, "read") from error
    return found


def user_id(name: str) -> Optional[int]:
    """Give a user's number, None where the machine has no such user."""
    try:
        return int(name) if name.isdigit() else pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def group_id(name: str) -> Optional[int]:
    """Give a group's number, None where the machine has no such group."""
    try:
        return int(name) if name.isdigit() else grp.getgrnam(name).gr_gid
    except KeyError:
        return None
