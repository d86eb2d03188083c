# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Changes of files, each of them whole or not done."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from ansible_collections.ironbinder.platform.plugins.module_utils._base.files import write_atomically
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.file_groups import UNCHANGED, Step
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.file_states import (
    ManagedFilesError,
)

__all__ = ["bring_about"]


def bring_about(steps: Sequence[Step], done: Callable[[Step], None] = lambda step: None) -> None:
    """Do what was planned, one step after the other; each is whole, or not done.

    Args:
        steps: what `plan` gave.
        done: told after each step.

    Raises:
        ManagedFilesError: the system refuses.
    """
    for step in steps:
        try:
            _do(step)
        except OSError as error:
            raise ManagedFilesError(
                f"{step.path} cannot be changed ({step.kind}): {error.strerror or error}. See `ls -ld {step.path.parent}`, "
                "`mount` for a file system that is read-only, and `df` for one that is full"
            ) from error
        done(step)


def _do(step: Step) -> None:
    if step.kind == "folder":
        step.path.mkdir(exist_ok=True)
        step.path.chmod(step.mode)
    elif step.kind == "write":
        _keep(step)
        _put(step.path, step.after or b"", step.mode, step.owner)
    elif step.kind == "owner":
        os.chown(step.path, *step.owner)
    elif step.kind == "mode":
        step.path.chmod(step.mode)
    else:
        step.path.unlink(missing_ok=True)
        _remove_empty(step.path.parent, step.group.folder)


def _keep(step: Step) -> None:
    """Give what was there before us a second name; it keeps mode, owner and times."""
    if step.kept_as is None:
        return
    try:
        os.link(step.path, step.kept_as, follow_symlinks=False)
    except FileExistsError:
        return
    except OSError:
        # A mount of its own, or a file system without such links.
        write_atomically(step.kept_as, step.before or b"", mode=step.path.stat().st_mode & 0o7777)


def _put(path: Path, data: bytes, mode: int, owner: tuple[int, int]) -> None:
    try:
        write_atomically(path, data, mode=mode, owner=None if owner == (UNCHANGED, UNCHANGED) else owner)
    except OSError as error:
        # A file that is a mount of its own, as /etc/hosts in a container, cannot be replaced by another.
        if error.errno not in (errno.EBUSY, errno.EXDEV):
            raise
        with path.open("r+b") as stream:
            stream.write(data)
            stream.truncate()
            stream.flush()
            os.fsync(stream.fileno())
        os.chown(path, *owner)
        path.chmod(mode)


def _remove_empty(folder: Path, top: Path) -> None:
    """Remove folders that a removal left empty, up to `top`, which stays."""
    while top in folder.parents:
        try:
            folder.rmdir()
        except OSError:
            return  # not empty, or in use
        folder = folder.parent
