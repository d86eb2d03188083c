# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A file that must not replace another one, also where a file system has no hard links."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._base.files import write_atomically


@pytest.fixture(params=[0, errno.EPERM, errno.ENOTSUP])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on a file system that refuses hard links in each of the known ways, or makes them."""
    number: int = request.param

    def link(*_given: object, **_named: object) -> None:
        raise OSError(number, os.strerror(number))

    if number:
        monkeypatch.setattr(os, "link", link)
    return tmp_path


def test_it_is_written_once(folder: Path) -> None:
    path = folder / "x"
    assert write_atomically(path, "first", mode=0o640, replace=False)
    assert not write_atomically(path, "second", replace=False)
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("first", 0o640)
    assert list(folder.iterdir()) == [path]


def test_a_link_to_nothing_is_an_error(folder: Path) -> None:
    """Neither is a file there, nor can one be written without taking the link away."""
    path = folder / "x"
    path.symlink_to("nowhere")
    with pytest.raises(FileExistsError, match=r"a link to what does not exist.*/x"):
        write_atomically(path, "first", replace=False)
    assert list(folder.iterdir()) == [path]
    assert write_atomically(path, "first")
    assert not path.is_symlink()


def test_another_error_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_given: object, **_named: object) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(OSError, match="broken"):
        write_atomically(tmp_path / "x", "first", replace=False)
    assert list(tmp_path.iterdir()) == []


def left(path: Path, name: str, age_seconds: float) -> Path:
    """What a killed writer of `path` left."""
    stray = path.with_name(name)
    stray.write_text("half a")
    then = time.time() - age_seconds
    os.utime(stray, (then, then))
    return stray


def test_what_a_killed_writer_left_goes_with_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    left(path, ".x.json.ab_01xyz", 10)
    others = [
        left(path, name, 10)
        for name in (".y.json.ab_01xyz", ".x.json.ab_01xyz2", ".x.json", "x.json.ab_01xyz")
    ]
    assert write_atomically(path, "whole")
    assert sorted(tmp_path.iterdir()) == sorted([path, *others])


def test_a_writer_at_work_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "x"
    begun, at_work = left(path, ".x.abcdefgh", 0), left(path, ".x.hgfedcba", 10)
    with at_work.open() as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert write_atomically(path, "whole")
    assert sorted(tmp_path.iterdir()) == sorted([begun, at_work, path])


def test_a_folder_in_the_place_of_a_stray_stays(tmp_path: Path) -> None:
    folder = tmp_path / ".x.abcdefgh"
    folder.mkdir()
    os.utime(folder, (0, 0))
    assert write_atomically(tmp_path / "x", "whole")
    assert folder.is_dir()
