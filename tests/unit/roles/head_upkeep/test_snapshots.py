# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Snapshots as the head's program takes them: of a real etcd, with its own tools."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ironbinder_upkeep import cli, snapshots
from ironbinder_upkeep.etcd import Etcd, find_etcd, integrity
from ironbinder_upkeep.machine import UpkeepError
from ironbinder_upkeep.snapshots import Store, prove, take
from live_etcd import LiveEtcd, needs_etcd

GONE = object()
STAT = "7 (etcd) S " + " ".join(["0"] * 18) + " 4711 0 0"
WORDS = [
    "etcd",
    "--cert-file=/etc/kubernetes/pki/etcd/server.crt",
    "--listen-client-urls=https://192.0.2.11:2379,https://127.0.0.1:2379",
]


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveEtcd]:
    server = LiveEtcd(tmp_path_factory.mktemp("etcd"))
    for number in range(5):
        assert server.control("put", f"key{number}", "value") == 0
    yield server
    server.stop()


class Head:
    """A folder of snapshots and what is told of them."""

    def __init__(self, folder: Path, etcd: Etcd) -> None:
        self.folder, self.state, self.etcd = folder / "snapshots", folder / "state.json", etcd

    def take(self, keep: int = 3, unless_younger_seconds: int = 0) -> dict[str, Any]:
        return take(Store(self.folder), self.state, keep, unless_younger_seconds, lambda: self.etcd)

    def told(self) -> dict[str, Any]:
        return dict(json.loads(self.state.read_text()))

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir() if path.name != ".lock")

    def age(self, seconds: int) -> None:
        """Let all snapshots be older. The oldest first: in the same second another one may take its name."""
        found = [(json.loads(path.read_text()), path) for path in self.folder.glob("*.json")]
        for record, path in sorted(found, key=lambda entry: int(entry[0]["taken_at"])):
            record["taken_at"] -= seconds
            stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(record["taken_at"]))
            aged = self.folder / f"etcd-{stamp}-6.json"
            path.with_suffix(".db").rename(aged.with_suffix(".db"))
            path.unlink()
            aged.write_text(json.dumps(record))


@pytest.fixture
def head(tmp_path: Path, etcd: LiveEtcd) -> Head:
    return Head(tmp_path, etcd.found())


@needs_etcd
def test_a_snapshot_is_restored_as_a_proof(head: Head) -> None:
    made = head.take()
    assert (made["taken"], made["restored"], made["revision"], made["total_keys"]) == (True, True, 6, 5)
    path = Path(made["path"])
    assert path.stat().st_size == made["bytes"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == made["sha256"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert head.folder.stat().st_mode & 0o777 == 0o700
    # Nothing of the proof is left.
    assert head.names() == [path.name, path.with_suffix(".json").name]
    told = head.told()
    assert (told["error"], told["directory"]) == ("", str(head.folder))
    assert [entry["file"] for entry in told["snapshots"]] == [path.name]


@needs_etcd
def test_as_many_are_kept_as_wanted(head: Head) -> None:
    for _ in range(4):
        last = head.take(keep=2)
        head.age(60)
    assert len(last["removed"]) == 1
    assert len([name for name in head.names() if name.endswith(".db")]) == 2
    assert len(head.names()) == 4


@needs_etcd
def test_a_clock_that_was_ahead_costs_no_later_one(head: Head, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that it dated go first, and of the others the oldest."""
    began = time.time()
    ahead, clock = began + 200 * 86400, SimpleNamespace(**vars(time))
    monkeypatch.setattr(snapshots, "time", clock)

    def take_at(now: float) -> tuple[str, list[str]]:
        clock.time = lambda: now
        made = head.take(keep=2, unless_younger_seconds=30)
        assert made["taken"] is True
        return made["file"], made["removed"]

    damaged, _ = take_at(ahead)
    (head.folder / damaged).write_bytes(b"short")
    first, _ = take_at(ahead + 60)
    second, _ = take_at(ahead + 120)
    third, removed = take_at(began)
    assert removed == [first]
    fourth, removed = take_at(began + 60)
    assert removed == [second]
    fifth, removed = take_at(began + 120)
    assert removed == [third]
    assert [entry["file"] for entry in head.told()["snapshots"]] == [damaged, fourth, fifth]


@needs_etcd
def test_a_clock_that_is_put_back_a_little_changes_no_order(head: Head) -> None:
    """What was taken last is never what goes."""
    head.take()
    head.age(-600)
    last = head.take(keep=1)
    assert len(last["removed"]) == 1
    assert Path(last["path"]).exists()


@needs_etcd
def test_a_young_one_is_enough(head: Head) -> None:
    first = head.take()
    again = head.take(unless_younger_seconds=3600)
    assert (again["taken"], again["path"]) == (False, first["path"])
    head.age(3601)
    assert head.take(unless_younger_seconds=3600)["taken"] is True


@needs_etcd
def test_a_truncated_one_is_told_and_kept_and_does_not_count(head: Head) -> None:
    made = Path(head.take()["path"])
    # etcd's file has as many pages as it came to need by now: how many is the moment's.
    left = made.read_bytes()[:-5000]
    made.write_bytes(left)
    head.age(60)
    assert head.take(keep=1, unless_younger_seconds=3600)["removed"] == []
    old, new = head.told()["snapshots"]
    assert f"is truncated, or no snapshot: it has {len(left)} bytes" in old["damage"]
    assert new["damage"] == ""
    with pytest.raises(UpkeepError, match="is truncated"):
        prove(head.folder / old["file"], lambda: head.etcd)
    assert prove(head.folder / new["file"], lambda: head.etcd)["restored"] is True


@needs_etcd
def test_a_changed_byte_is_told(head: Head) -> None:
    made = Path(head.take()["path"])
    data = bytearray(made.read_bytes())
    data[9000] ^= 1
    made.write_bytes(data)
    with pytest.raises(UpkeepError, match="another checksum than etcd wrote behind it"):
        integrity(made)


@needs_etcd
def test_one_of_another_is_told(head: Head) -> None:
    """Whole in itself, and not what was recorded."""
    made = Path(head.take()["path"])
    record = made.with_suffix(".json")
    record.write_text(json.dumps({**json.loads(record.read_text()), "sha256": "0" * 64}))
    [entry] = Store(head.folder).records()
    assert "is another one than its record says" in entry["damage"]


@needs_etcd
def test_a_failure_removes_nothing_and_is_told(head: Head) -> None:
    head.take(keep=1)
    head.age(60)
    before = head.names()
    head.etcd = replace(head.etcd, endpoint="http://127.0.0.1:1")
    with pytest.raises(UpkeepError, match="etcdctl endpoint status"):
        head.take(keep=1)
    assert head.names() == before
    told = head.told()
    assert "etcdctl endpoint status" in told["error"]
    assert len(told["snapshots"]) == 1
    assert told["ended"] >= told["began"]


@needs_etcd
@pytest.mark.parametrize("taken_at", [None, "yesterday", True, float("nan"), float("inf"), 10**400, GONE])
def test_a_record_that_somebody_changed_stops_nothing(head: Head, taken_at: Any) -> None:
    """Nor is a snapshot young that does not say when it was taken."""
    head.take()
    head.age(60)
    [record] = head.folder.glob("*.json")
    known = {**json.loads(record.read_text()), "taken_at": taken_at}
    record.write_text(json.dumps({key: value for key, value in known.items() if value is not GONE}))
    assert head.take(unless_younger_seconds=3600)["taken"] is True
    assert (head.told()["error"], len(head.told()["snapshots"])) == ("", 2)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """With what was in it, as far as anybody knows."""
    head = Head(tmp_path, Etcd(1, tmp_path, ""))
    head.folder.write_text("in the way")
    known = {"directory": str(head.folder), "snapshots": [{"file": "etcd-1.db"}, 7], "error": "", "ended": 9}
    head.state.write_text(json.dumps(known))
    with pytest.raises(UpkeepError, match=r"snapshots cannot be used: .*site_etcd_snapshot_dir"):
        head.take()
    told = head.told()
    assert "cannot be used" in told["error"]
    assert told["snapshots"] == [{"file": "etcd-1.db"}]
    assert told["ended"] >= told["began"]
    # Those of another folder are no longer told of.
    head.state.write_text(json.dumps({**known, "directory": "/elsewhere"}))
    with pytest.raises(UpkeepError, match="cannot be used"):
        head.take()
    assert head.told()["snapshots"] == []


@pytest.mark.parametrize("fault", [TypeError("no list"), AssertionError(), KeyboardInterrupt()])
def test_no_failure_ends_without_a_reason(tmp_path: Path, fault: BaseException) -> None:
    """Also one that nobody thought of."""

    def find() -> Etcd:
        raise fault

    state = tmp_path / "state.json"
    with pytest.raises(type(fault)):
        take(Store(tmp_path / "snapshots"), state, 3, 0, find)
    assert json.loads(state.read_text())["error"].startswith(type(fault).__name__)


@needs_etcd
def test_a_full_disk_is_told_before_anything_is_written(head: Head, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10, 9, 1000))  # type: ignore[attr-defined]
    with pytest.raises(UpkeepError, match=r"has 0 MiB left.*site_etcd_snapshot_dir"):
        head.take()
    assert head.names() == []


@needs_etcd
def test_what_a_kill_left_is_cleared_away(head: Head) -> None:
    head.folder.mkdir()
    (head.folder / ".unfinished-abc").mkdir()
    (head.folder / ".unfinished-abc" / "snapshot.db").write_text("half")
    (head.folder / "etcd-20200101T000000Z-1.json").write_text("{}")
    made = Path(head.take()["path"])
    assert head.names() == [made.name, made.with_suffix(".json").name]


@needs_etcd
def test_what_others_keep_there_is_theirs(head: Head) -> None:
    """It is no snapshot of ours, so it is no reason to remove one, and it stays."""
    for _ in range(2):
        head.take()
        head.age(60)
    oldest, newest = sorted(path.name for path in head.folder.glob("*.db"))
    links = ["etcd-latest.db", "etcd-20300101T000000Z-7.db"]
    files = ["etcd-before-my-change.db", "etcd-plan.json", "etcd-20209999T000000Z-9.db"]
    for name in links:
        (head.folder / name).symlink_to(newest)
    for name in files:
        (head.folder / name).write_text("theirs")
    (head.folder / "etcd-20200101T000000Z-8.db").mkdir()
    last = head.take(keep=2)
    assert last["removed"] == [oldest]
    assert [entry["file"] for entry in head.told()["snapshots"]] == [newest, last["file"]]
    assert {*links, *files, "etcd-20200101T000000Z-8.db"} <= set(head.names())


@needs_etcd
def test_an_image_without_etcdutl_proves_the_checksum(head: Head, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "etcdctl").symlink_to(head.etcd.tools / "etcdctl")
    head.etcd = replace(head.etcd, tools=tools)
    made = head.take()
    assert (made["restored"], made["revision"]) == (False, 6)


def machine(proc: Path, *words: str, pids: str = "7\t1") -> Path:
    folder = proc / "7"
    folder.mkdir(parents=True)
    (folder / "cmdline").write_bytes(b"\0".join(word.encode() for word in words))
    (folder / "stat").write_text(STAT)
    (folder / "status").write_text(f"Name:\tetcd\nNSpid:\t{pids}\nUid:\t0\n")
    return proc


def test_etcd_is_found_with_the_tools_of_its_image(tmp_path: Path) -> None:
    found = find_etcd(machine(tmp_path, *WORDS))
    assert found == Etcd(7, tmp_path / "7/root/usr/local/bin", "https://127.0.0.1:2379")


@pytest.mark.parametrize("words", [["etcd", "--cert-file=/opt/other.crt"], ["bash", *WORDS[1:]], [""]])
def test_somebody_elses_etcd_is_left_alone(tmp_path: Path, words: list[str]) -> None:
    with pytest.raises(UpkeepError, match="no etcd runs here"):
        find_etcd(machine(tmp_path, *words))


def test_another_cluster_in_a_container_is_left_alone(tmp_path: Path) -> None:
    """A machine of the lab, say: it has the same paths inside."""
    with pytest.raises(UpkeepError, match="no etcd runs here"):
        find_etcd(machine(tmp_path, *WORDS, pids="7\t5\t1"))


@pytest.mark.parametrize("size", [0, 10, 32, 512, 543, 4096])
def test_what_is_no_snapshot_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"x" * size)
    with pytest.raises(UpkeepError, match="is truncated, or no snapshot"):
        integrity(path)


def test_one_that_somebody_asked_for_is_told_of_elsewhere(tmp_path: Path) -> None:
    """What the timer's last attempt left says how the timer stands."""
    timers, folder = tmp_path / "etcd-snapshot.json", tmp_path / "in-the-way"
    for path in (timers, folder):
        path.write_text("{}")
    words = [f"--state-dir={tmp_path}", "snapshot", f"--directory={folder}", "--keep=1"]
    assert cli.main([*words, "--state-name=asked.json"]) == 1
    assert timers.read_text() == "{}"
    assert "cannot be used" in json.loads((tmp_path / "asked.json").read_text())["error"]
    assert cli.main(words) == 1
    assert "cannot be used" in timers.read_text()


def test_the_command_says_what_was_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"x" * 100)
    assert cli.main(["prove", str(path)]) == 1
    assert str(path) in capsys.readouterr().err
    assert cli.main(["prove", str(tmp_path / "none.db")]) == 1
