# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A file that must not replace another one, also where a file system has no hard links."""

from __future__ import annotations

import errno
import os
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
