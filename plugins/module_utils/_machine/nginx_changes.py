# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Files of a machine's NGINX that differ, and how each is put right."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from ansible_collections.ironbinder.platform.plugins.module_utils._base.files import write_atomically

__all__ = ["Change", "Owner", "file_change", "move", "removal"]

# A user and a group, as numbers.
Owner = tuple[int, int]


@dataclass(frozen=True)
class Change:
    """One file that differs. `before` and `after` are for people; no secret is in them.

    `kept_as` names the path that keeps a file which was not ours.
    """

    path: Path
    before: str
    after: str
    make: Callable[[], object]
    kept_as: Optional[Path] = None


def file_change(
    path: Path, content: Optional[str], mode: int, owner: Owner, hidden: bool = False
) -> Optional[Change]:
    """Compare a file, and give the change that it needs.

    Args:
        path: the file.
        content: what it has to hold, None for whatever it holds.
        mode: its permissions.
        owner: its user and group.
        hidden: whether what it holds is a secret, which `before` and `after` do not show.

    Raises:
        OSError: it cannot be read.
    """
    wanted = _access(mode, owner)
    try:
        seen = path.stat()
        old = None if content is None else path.read_bytes()
        present: Optional[str] = _access(stat.S_IMODE(seen.st_mode), (seen.st_uid, seen.st_gid))
    except FileNotFoundError:
        old, present = None, None
    new = None if content is None else content.encode()
    if old == new and present is not None:
        if present == wanted:
            return None
        return Change(path, present, wanted, lambda: _own(path, mode, owner))
    before, after = (old or b"").decode(errors="replace"), content or wanted
    if hidden:
        before, after = "(not shown)\n" if old is not None else "", "(not shown, and different)\n"
    return Change(path, before, after, lambda: write_atomically(path, new or b"", mode=mode, owner=owner))


def removal(path: Path) -> Optional[Change]:
    """Give the change that removes a file, None where there is none."""
    if not path.is_symlink() and not path.exists():
        return None
    return Change(path, "(is there)\n", "", path.unlink)


def move(path: Path, kept: Path) -> None:
    """Move a file to a name that nobody has; content, mode and owner stay.

    Raises:
        OSError: it cannot be moved, or somebody else has just written another file there.
    """
    seen, data = path.stat(), path.read_bytes()
    owner = (seen.st_uid, seen.st_gid)
    kept.parent.mkdir(exist_ok=True)
    written = write_atomically(kept, data, mode=stat.S_IMODE(seen.st_mode), owner=owner, replace=False)
    if not written and kept.read_bytes() != data:
        raise FileExistsError(errno.EEXIST, "somebody else has just written it: start again", str(kept))
    path.unlink()


def _access(mode: int, owner: Owner) -> str:
    return f"mode {mode:04o}, owner {owner[0]}:{owner[1]}\n"


def _own(path: Path, mode: int, owner: Owner) -> None:
    os.chown(path, *owner)
    path.chmod(mode)
