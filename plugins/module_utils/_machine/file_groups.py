# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Files that are ours, as they are wanted, and what there is to do for them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Optional

from ansible_collections.ironbinder.platform.plugins.module_utils._machine.file_states import (
    ManagedFilesError,
)

__all__ = ["UNCHANGED", "Group", "Plan", "Step"]

# Of os.chown: this one stays.
UNCHANGED = -1


@dataclass(frozen=True)
class Group:
    """Files of one folder. Field by field as documented in the module managed_files."""

    folder: Path
    files: Mapping[str, Optional[str]]
    mark: str = ""
    names: Sequence[str] = ()
    block: str = ""
    depth: int = 1
    mode: int = 0o644
    directory_mode: int = 0o755
    owner: str = ""
    group: str = ""
    sensitive: bool = False
    used_by: str = ""

    def paths(self) -> dict[Path, Optional[str]]:
        """Give {path: content}, a link to a file that holds a block followed.

        Raises:
            ManagedFilesError: a name leads out of the folder.
        """
        found: dict[Path, Optional[str]] = {}
        for name, content in self.files.items():
            parts = PurePosixPath(name).parts
            if not parts or parts[0] == "/" or ".." in parts:
                raise ManagedFilesError(f"{name!r} is no name of a file below {self.folder}")
            path = self.folder / name
            if self.block:
                found[Path(os.path.realpath(path))] = content or ""
            else:
                found[path] = content
        return found


@dataclass(frozen=True)
class Step:
    """One thing to do to one path.

    `kind` is folder, write, mode, owner or remove. `before` and `after` are contents, or for modes and
    owners what a person calls them; None where there is nothing. `kept_as` names the path that keeps a
    file which was not ours.
    """

    kind: str
    path: Path
    group: Group
    before: Optional[bytes] = None
    after: Optional[bytes] = None
    mode: int = 0
    owner: tuple[int, int] = (UNCHANGED, UNCHANGED)
    foreign: bool = False
    kept_as: Optional[Path] = None


@dataclass(frozen=True)
class Plan:
    """What there is to do, in order, and the files that somebody else has yet to write."""

    steps: Sequence[Step]
    missing: Sequence[Path] = field(default_factory=tuple)
