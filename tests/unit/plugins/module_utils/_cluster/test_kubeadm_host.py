"""The real machine, used gently: commands end, files are whole, bytes are found across pieces."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import SystemClock
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster import (
    kubeadm_host as _kubeadm_host,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.kubeadm_host import LocalHost


class Heard(SystemClock):
    """A clock that makes a file when somebody looks at it for the second time: when a line has come."""

    def __init__(self, file: Path) -> None:
        self.file, self.looks = file, 0

    def now(self) -> float:
        self.looks += 1
        if self.looks > 1:
            self.file.touch()
        return super().now()


def test_run_keeps_streams_apart_and_lines_together(tmp_path: Path) -> None:
    """Standard output alone is what JSON is read from. Of two streams that are read by two, the first line is there first."""
    said = f"echo one; while [ ! -e {tmp_path}/heard ]; do sleep 0.01; done; sleep 0.2; echo two >&2; exit 3"
    result = LocalHost(clock=Heard(tmp_path / "heard")).run(["sh", "-c", said], 60)
    assert (result.rc, result.stdout, result.stderr) == (3, "one\n", "two\n")
    assert [line for _seconds, line in result.lines] == ["one", "two"]
    assert result.lines[1][0] >= 0.2
    assert result.output == "one\ntwo"


def test_run_ends_what_takes_too_long_with_its_children() -> None:
    """The whole process group ends, and the reason is in the output."""
    started = time.monotonic()
    result = LocalHost().run(["sh", "-c", "sleep 600 & sleep 600"], 0.3)
    assert result.rc == 124
    assert "was ended after" in result.output
    assert time.monotonic() - started < 60


def test_run_says_when_a_command_is_missing() -> None:
    """As a shell does."""
    assert LocalHost().run(["no-such-command-here"], 5).rc == 127


def test_write_is_private_and_whole(tmp_path: Path) -> None:
    """Mode 0600 from the first moment, nothing left beside it."""
    target = tmp_path / "deep" / "marker.json"
    LocalHost().write(str(target), {"node_name": "head1"})
    assert json.loads(target.read_text()) == {"node_name": "head1"}
    assert target.stat().st_mode & 0o777 == 0o600
    assert list(target.parent.iterdir()) == [target]
    LocalHost().remove(str(target))
    LocalHost().remove(str(target))
    assert not target.exists()


@pytest.mark.parametrize("start", [0, 5, 8, 30])
def test_contains_finds_bytes_wherever_pieces_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: int
) -> None:
    """A key that two reads cut in half is still found; a part of it is not enough."""
    monkeypatch.setattr(_kubeadm_host, "_CHUNK_BYTES", 8)
    key = b"/registry/key"
    (tmp_path / "one.wal").write_bytes(b"\0" * start + key[:-1])
    assert not LocalHost().contains(f"{tmp_path}/*.wal", key)
    (tmp_path / "two.wal").write_bytes(b"\0" * start + key + b"\0" * 9)
    assert LocalHost().contains(f"{tmp_path}/*.wal", key)
    assert not LocalHost().contains(f"{tmp_path}/*.db", key)


def test_matches(tmp_path: Path) -> None:
    """Plain names and patterns."""
    (tmp_path / "a.crt").touch()
    assert LocalHost().matches(f"{tmp_path}/a.crt") == [f"{tmp_path}/a.crt"]
    assert LocalHost().matches(f"{tmp_path}/*") == [f"{tmp_path}/a.crt"]
    assert LocalHost().matches(f"{tmp_path}/b*") == []


def test_read_and_a_file_that_vanishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None where there is no file; etcd may remove a log between the listing and the reading."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "one").write_bytes(b"half \xff")
    host = LocalHost(tmp_path)
    assert host.read("/etc/one") == "half \ufffd"
    assert host.read("/etc/two") is None
    assert host.matches("/etc/*") == ["/etc/one"]
    monkeypatch.setattr(host, "matches", lambda _pattern: ["/etc/gone", "/etc/one"])
    assert host.contains("/etc/*", b"half")
    with pytest.raises(IsADirectoryError):
        host.read("/etc")
