# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Folders in which some files are ours: written, kept in order, and taken away when nobody wants them."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Optional

from ansible_collections.ironbinder.platform.plugins.module_utils._base.files import write_atomically
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
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.text_blocks import with_block

__all__ = ["Group", "Plan", "Step", "bring_about", "outdated", "plan"]

# Of os.chown: this one stays.
_UNCHANGED = -1


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
        found = {}
        for name, content in self.files.items():
            parts = PurePosixPath(name).parts
            if not parts or parts[0] == "/" or ".." in parts:
                raise ManagedFilesError(f"{name!r} is no name of a file below {self.folder}")
            path = self.folder / name
            found[Path(os.path.realpath(path)) if self.block else path] = content
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
    owner: tuple[int, int] = (_UNCHANGED, _UNCHANGED)
    foreign: bool = False
    kept_as: Optional[Path] = None


@dataclass(frozen=True)
class Plan:
    """What there is to do, in order, and the files that somebody else has yet to write."""

    steps: Sequence[Step]
    missing: Sequence[Path] = field(default_factory=tuple)

    def paths(self, *kinds: str) -> list[str]:
        """Give the paths of the steps of these kinds."""
        return [str(step.path) for step in self.steps if step.kind in kinds]


def _owner(group: Group, check_mode: bool) -> tuple[int, int]:
    """Give the numbers of the group's owner. In a check a package may still have to make them."""
    numbers = []
    for what, name, number in (("user", group.owner, user_id), ("group", group.group, group_id)):
        found = number(name) if name else _UNCHANGED
        if found is None and not check_mode:
            raise ManagedFilesError(
                f"the files in {group.folder} shall belong to the {what} {name}, and this machine has none: "
                f"see `getent {'passwd' if what == 'user' else 'group'} {name}`, install what brings it, or name another"
            )
        numbers.append(_UNCHANGED if found is None else found)
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


def _write(path: Path, group: Group, seen: FileState, data: bytes, owner: tuple[int, int]) -> Step:
    foreign = seen.kind != "missing" and not (
        group.block
        or _named(path, group)
        or (seen.kind == "file" and seen.data is not None and carries(seen.data, group.mark))
    )
    kept_as = path.with_name(path.name + KEPT_SUFFIX) if foreign else None
    # Around a block the file is somebody else's, mode and owner included.
    mode = seen.mode if group.block and seen.kind == "file" else group.mode
    # A new file belongs to whoever writes it, a changed one to whom it belonged.
    uid, gid = (
        present if number == _UNCHANGED and seen.kind == "file" else number
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
        kept_as=None if kept_as is None or os.path.lexists(kept_as) else kept_as,
    )


def _drift(path: Path, group: Group, seen: FileState, owner: tuple[int, int]) -> list[Step]:
    """Compare what is there with mode and owner. A link is as its maker wanted it."""
    if group.block or seen.kind != "file":
        return []
    steps = []
    if any(wanted not in (_UNCHANGED, is_now) for wanted, is_now in zip(owner, (seen.uid, seen.gid))):
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
                if seen.data is None:
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
        write_atomically(path, data, mode=mode, owner=None if owner == (_UNCHANGED, _UNCHANGED) else owner)
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
