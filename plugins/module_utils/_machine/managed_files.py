# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Folders in which some files are ours: what has to be written, put in order, and taken away."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Optional

from ansible_collections.ironbinder.platform.plugins.module_utils._base.text_blocks import with_block
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.file_groups import (
    UNCHANGED,
    Group,
    Plan,
    Step,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.file_states import (
    KEPT_SUFFIX,
    FileState,
    ManagedFilesError,
    carries,
    group_id,
    leftovers,
    look,
    user_id,
)

__all__ = ["outdated", "plan"]


def _owner(group: Group, check_mode: bool) -> tuple[int, int]:
    """Give the numbers of the group's owner. In a check a package may still have to make them."""
    numbers = []
    for what, name, number in (("user", group.owner, user_id), ("group", group.group, group_id)):
        found = number(name) if name else UNCHANGED
        if found is None and not check_mode:
            raise ManagedFilesError(
                f"the files in {group.folder} shall belong to the {what} {name}, and this machine has none: "
                f"see `getent {'passwd' if what == 'user' else 'group'} {name}`, install what brings it, or name another"
            )
        numbers.append(UNCHANGED if found is None else found)
    return numbers[0], numbers[1]


def _wanted(path: Path, content: str, group: Group, seen: FileState) -> bytes:
    if group.block:
        return with_block(seen.data or b"", group.block, content)
    data = content.encode()
    if group.mark and not carries(data, group.mark) and not _named(path, group):
        raise ManagedFilesError(
            f"the content for {path} has no {group.mark!r} in its first line, by which it would be known again"
        )
    return data


def _named(path: Path, group: Group) -> bool:
    return any(PurePosixPath(path.name).match(pattern) for pattern in group.names)


def _folders(path: Path, group: Group) -> list[Step]:
    """Make what is missing above `path`, of which `look` has said that no file stands in the way."""
    missing = []
    for folder in path.parents:
        if folder.is_dir():
            break
        missing.append(folder)
    return [Step("folder", folder, group, mode=group.directory_mode) for folder in reversed(missing)]


def _is_ours(data: bytes, wanted: bytes, mark: str) -> bool:
    """Whether a file is known by its mark, or lacks the mark alone."""
    return carries(data, mark) or (bool(mark) and data.strip() == wanted.partition(b"\n")[2].strip())


def _write(path: Path, group: Group, seen: FileState, data: bytes, owner: tuple[int, int]) -> Step:
    foreign = seen.kind != "missing" and not (
        group.block
        or _named(path, group)
        or (seen.kind == "file" and _is_ours(seen.data or b"", data, group.mark))
    )
    # Around a block the file is somebody else's, mode and owner included.
    mode = seen.mode if group.block and seen.kind == "file" else group.mode
    # A new file belongs to whoever writes it, a changed one to whom it belonged.
    uid, gid = (
        present if number == UNCHANGED and seen.kind == "file" else number
        for number, present in zip(owner, (seen.uid, seen.gid))
    )
    return Step(
        "write",
        path,
        group,
        before=seen.data,
        after=data,
        mode=mode,
        owner=(uid, gid),
        foreign=foreign,
        kept_as=_kept_as(path, seen) if foreign else None,
    )


def _kept_as(path: Path, seen: FileState) -> Optional[Path]:
    """Choose a name for what is not ours, None where the same is kept already."""
    kept = path.with_name(path.name + KEPT_SUFFIX)
    if not os.path.lexists(kept):
        return kept
    data = seen.data or b""
    try:
        same = seen.data is not None and look(kept).data == seen.data
    except ManagedFilesError:  # a folder, for example
        same = False
    other = kept.with_name(f"{kept.name}.{hashlib.sha256(data).hexdigest()[:8]}")
    return None if same or os.path.lexists(other) else other


def _drift(path: Path, group: Group, seen: FileState, owner: tuple[int, int]) -> list[Step]:
    """Compare what is there with mode and owner. A link is as its maker wanted it."""
    if group.block or seen.kind != "file":
        return []
    steps = []
    if any(wanted not in (UNCHANGED, is_now) for wanted, is_now in zip(owner, (seen.uid, seen.gid))):
        was, will = (f"{pair[0]}:{pair[1]}".encode() for pair in ((seen.uid, seen.gid), owner))
        steps.append(Step("owner", path, group, was, will.replace(b"-1", b"*"), owner=owner))
    if seen.mode != group.mode:
        was, will = (f"{mode:04o}".encode() for mode in (seen.mode, group.mode))
        steps.append(Step("mode", path, group, was, will, mode=group.mode))
    return steps


def plan(groups: Sequence[Group], *, check_mode: bool = False) -> Plan:
    """Compare the machine with what is wanted; changes nothing.

    Args:
        groups: what is wanted.
        check_mode: whether users may be missing that something before would have made.

    Raises:
        ManagedFilesError: something stands in the way, or cannot be read.
    """
    steps: list[Step] = []
    missing: list[Path] = []
    # Groups may share a folder: what one of them wants is no leftover of another.
    wanted = {path for group in groups for path in group.paths()}
    for group in groups:
        owner = _owner(group, check_mode)
        for path, content in group.paths().items():
            seen = look(path)
            if content is None:
                if not seen.data:  # a disk that was full leaves an empty one
                    missing.append(path)
                    steps += _folders(path, group)
                steps += _drift(path, group, seen, owner)
                continue
            data = _wanted(path, content, group, seen)
            if seen.data == data or (group.block and seen.data is None and not data):
                steps += _drift(path, group, seen, owner)
            else:
                steps += [*_folders(path, group), _write(path, group, seen, data, owner)]
        for path in leftovers(group.folder, wanted, mark=group.mark, names=group.names, depth=group.depth):
            steps.append(Step("remove", path, group, before=look(path).data))
    # Two files in one new folder need it once.
    unique: dict[tuple[str, Path], Step] = {}
    for step in steps:
        unique.setdefault((step.kind, step.path), step)
    return Plan(list(unique.values()), missing)


def outdated(groups: Sequence[Group], steps: Sequence[Step], now: float) -> list[str]:
    """List what uses these files and is older than they are, or will be after `steps`.

    Args:
        groups: what is wanted.
        steps: what was planned, whether it is done or not.
        now: seconds since the epoch. A time later than this is of a clock that was wrong, and says nothing.

    Returns:
        The `used_by` of those groups, each once. A removed file shows by its folder's time, so that a run
        which was stopped right after the removal is made good too.

    Raises:
        ManagedFilesError: a time cannot be read.
    """
    found: dict[str, None] = {}
    for group in groups:
        if not group.used_by:
            continue
        made = _time(Path(group.used_by))
        times = [_time(path) for path in (group.folder, *group.paths())]
        if any(step.group is group and step.kind in ("write", "remove") for step in steps) or any(
            made < time <= now for time in times
        ):
            found[group.used_by] = None
    return list(found)


def _time(path: Path) -> float:
    """When a file or folder was changed last, -1 where there is none."""
    try:
        return path.stat().st_mtime
    except (FileNotFoundError, NotADirectoryError):
        return -1.0
    except OSError as error:
        raise ManagedFilesError(f"{path} cannot be looked at: {error.strerror or error}") from error
