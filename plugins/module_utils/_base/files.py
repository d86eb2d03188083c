# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Files that are there whole, or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import tempfile
import time
from pathlib import Path
from typing import Optional, Union

__all__ = ["write_atomically"]

# A writer has locked its file long before it is this old.
_STRAY_SECONDS = 2.0


def write_atomically(
    path: Path,
    content: Union[str, bytes],
    *,
    mode: int = 0o600,
    owner: Optional[tuple[int, int]] = None,
    replace: bool = True,
) -> bool:
    """Write beside the file, and rename: a kill at any moment leaves the old file or the new one.

    Args:
        path: the file; its folder has to exist.
        content: text, written as UTF-8, or bytes.
        mode: permissions of the file.
        owner: user and group as numbers; None leaves those of the process.
        replace: whether a file that is there already is replaced.

    Returns:
        Whether the file was written: False only where one is there and `replace` is False.

    Raises:
        FileExistsError: `replace` is False, and the name is that of a link to nothing: no file is there, and none can be
            written there without taking the link away.
        OSError: as the system has it; nothing is left behind.

    Without `replace`, and on a file system that has no hard links, a kill may leave an empty file in its place.
    """
    data = content.encode() if isinstance(content, str) else content
    _remove_strays(path)
    # 0600 from the start, so that a secret is never readable by others, not even for a moment.
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    kept = -1
    try:
        # Until it has its name: so others know that somebody is at work on it.
        kept = os.dup(handle)
        fcntl.flock(kept, fcntl.LOCK_EX)
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if owner is not None:
            os.chown(beside, *owner)
        Path(beside).chmod(mode)
        if replace:
            Path(beside).replace(path)
            return True
        try:
            _claim(Path(beside), path)
        except FileExistsError:
            if path.is_symlink() and not path.exists():
                said = "it is a link to what does not exist: remove it, or make what it leads to"
                raise FileExistsError(errno.EEXIST, said, str(path)) from None
            return False
        return True
    finally:
        Path(beside).unlink(missing_ok=True)
        if kept >= 0:
            os.close(kept)


def _remove_strays(path: Path) -> None:
    """Remove what a writer of this file left beside it when it was killed.

    Where one was killed the file is not as it has to be, so it is written again, and this is called. What cannot be looked at
    is left alone: nobody asked for it.
    """
    named = re.compile(rf"\.{re.escape(path.name)}\.[a-z0-9_]{{8}}")
    try:
        names = [name for name in os.listdir(path.parent) if named.fullmatch(name)]  # noqa: PTH208 names are all that counts
    except OSError:
        return
    for name in names:
        stray = path.with_name(name)
        try:
            handle = os.open(stray, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.time() - os.fstat(handle).st_mtime > _STRAY_SECONDS:
                stray.unlink(missing_ok=True)
        except OSError:
            continue  # somebody writes it just now
        finally:
            os.close(handle)


def _claim(beside: Path, path: Path) -> None:
    """Give a file a name that is free. Raises FileExistsError, also between two runs at the same moment."""
    try:
        os.link(beside, path)
    except OSError as error:
        # What file systems say that have no hard links, such as FAT and some of networks.
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP):
            raise
    else:
        return
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        beside.replace(path)
    except OSError:
        path.unlink()
        raise
