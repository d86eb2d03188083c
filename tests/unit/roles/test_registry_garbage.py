# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The program that collects the registry's garbage: on folders as a registry writes them, and on a registry."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from live_registry import REGISTRY, Live, needs_registry
from programs import load_program

GARBAGE = load_program("registry", "registry_garbage.py")
DAY = 86400
SUMMARY = "\n3 blobs marked, {} blobs and 0 manifests eligible for deletion\n"


class Store:
    """A registry's storage, written as version 2.8 writes it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.top = root / "docker/registry/v2"

    def link(self, name: str, place: str, digest: str, days: float) -> None:
        link = self.top / "repositories" / name / place / "link"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.write_text(digest)
        os.utime(link, (time.time() - days * DAY,) * 2)

    def push(self, name: str, days: float, *tags: str, parts: tuple[str, ...] = (), text: str = "") -> str:
        """Write a manifest of this age, an index where it has parts; return its digest."""
        manifest = json.dumps({"manifests": [{"digest": part} for part in parts]} if parts else {"x": text})
        text = hashlib.sha256(manifest.encode()).hexdigest()
        data = self.top / "blobs/sha256" / text[:2] / text / "data"
        data.parent.mkdir(parents=True, exist_ok=True)
        data.write_text(manifest)
        self.link(name, f"_manifests/revisions/sha256/{text}", f"sha256:{text}", days)
        for tag in tags:
            self.link(name, f"_manifests/tags/{tag}/current", f"sha256:{text}", days)
        return f"sha256:{text}"

    def left(self) -> dict[str, tuple[set[str], set[str]]]:
        """Give {repository: (tags, digests)}."""
        return {
            store.name: (set(store.tags()), {digest for digest, _ in store.revisions().values()})
            for store in GARBAGE.repositories(self.root)
        }


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "storage")


def expire(store: Store, *exempt: str, days: int = 30) -> list[tuple[int, int]]:
    rule = GARBAGE.Rule(days, "binder/", exempt)
    return [entry.expire(rule, time.time()) for entry in GARBAGE.repositories(store.root)]


def test_old_images_go_and_new_ones_stay(store: Store) -> None:
    store.push("binder/a", 40, "old", text="1")
    new = store.push("binder/a", 2, "new", text="2")
    assert expire(store) == [(1, 1)]
    assert store.left() == {"binder/a": ({"new"}, {new})}
    assert expire(store) == [(0, 0)]


def test_an_old_manifest_that_was_tagged_lately_stays(store: Store) -> None:
    """A launch of another commit with the same content pushes only a tag."""
    digest = store.push("binder/a", 40, "old", text="1")
    store.link("binder/a", "_manifests/tags/new/current", digest, 1)
    assert expire(store) == [(1, 0)]
    assert store.left() == {"binder/a": ({"new"}, {digest})}


def test_an_index_takes_its_parts_with_it_and_leaves_those_of_others(store: Store) -> None:
    """What an index consists of has no tag of its own, and is as old as it is."""
    one, shared, two = (store.push("binder/a", 40, text=text) for text in ("one", "shared", "two"))
    store.push("binder/a", 40, "old", parts=(one, shared))
    index = store.push("binder/a", 1, "new", parts=(shared, two))
    assert expire(store) == [(1, 2)]
    assert store.left() == {"binder/a": ({"new"}, {shared, two, index})}


def test_a_manifest_without_a_tag_goes_when_it_is_old(store: Store) -> None:
    store.push("binder/a", 40, text="1")
    young = store.push("binder/a", 3, text="2")
    assert expire(store) == [(0, 1)]
    assert store.left() == {"binder/a": (set(), {young})}


@pytest.mark.parametrize(
    ("name", "exempt", "stays"),
    [
        ("base/python", (), True),
        ("binder/a", (), False),
        ("binder/a", ("binder/a:course",), True),
        ("binder/a", ("binder/a:other",), False),
        ("binder/a", ("binder/a",), True),
        ("binder/b", ("binder/a",), False),
    ],
)
def test_what_is_exempt_stays(store: Store, name: str, exempt: tuple[str, ...], stays: bool) -> None:
    digest = store.push(name, 400, "course-2026", text="1")
    expire(store, *exempt)
    assert store.left() == {name: ({"course-2026"}, {digest}) if stays else (set(), set())}


def test_an_exemption_of_a_repository_holds_for_what_has_lost_its_tag(store: Store) -> None:
    digest = store.push("binder/a", 400, text="1")
    expire(store, "binder/a")
    assert store.left()["binder/a"][1] == {digest}


def test_repositories_below_others_are_found(store: Store) -> None:
    for name in ("binder/a", "binder/a/b", "c"):
        store.push(name, 1, "t")
    assert [entry.name for entry in GARBAGE.repositories(store.root)] == ["binder/a", "binder/a/b", "c"]


@pytest.mark.parametrize("text", ["no JSON", "[]", '{"manifests": 5}', '{"manifests": [{}]}', "\x00"])
def test_a_manifest_that_cannot_be_read_stops_nothing(store: Store, text: str) -> None:
    digest = store.push("binder/a", 40, "old", text="1")
    [blob] = (store.top / "blobs").rglob("data")
    blob.write_text(text)
    new = store.push("binder/a", 1, "new", parts=(digest,))
    assert expire(store) == [(1, 0)]
    assert store.left() == {"binder/a": ({"new"}, {digest, new})}


Tools = Callable[..., list[str]]


@pytest.fixture
def machine(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Return a function that runs the program beside a `systemctl` and a collector that write down how they were called."""
    programs, log, switch = tmp_path / "bin", tmp_path / "log", tmp_path / "switch.env"
    programs.mkdir()
    for name, text in {
        "systemctl": f'echo "systemctl $* $(test -e {switch} && echo read-only)" >> {log}\nexit ${{SYSTEMCTL_RC:-0}}',
        "docker-registry": f'echo "$*" >> {log}\ncat {tmp_path}/said\nexit ${{COLLECTOR_RC:-0}}',
        # Who may become another user is not this program's business.
        "runuser": 'shift 2\nexec "$@"',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")

    def run(action: str, *arguments: str, garbage: int = 5) -> tuple[int, list[str]]:
        (tmp_path / "said").write_text(SUMMARY.format(garbage))
        log.write_text("")
        code = GARBAGE.main(
            [action, f"--storage={store.root}", f"--switch={switch}", "--config=c.yml", *arguments]
        )
        return code, [line.rstrip() for line in log.read_text().splitlines()]

    run.switch = switch  # type: ignore[attr-defined]
    yield run


RESTART = "systemctl try-restart docker-registry.service"


def test_a_collection_and_its_end(machine: Any, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    store.push("binder/a", 1, "t")
    assert machine("collect") == (
        0,
        ["garbage-collect --dry-run c.yml", f"{RESTART} read-only", "garbage-collect c.yml"],
    )
    assert "5 blobs" in capsys.readouterr().out
    assert machine.switch.read_text() == "REGISTRY_STORAGE_MAINTENANCE_READONLY={enabled: true}\n"
    assert machine("end") == (0, [RESTART])
    assert not machine.switch.exists()
    assert machine("end") == (0, [])


def test_without_garbage_nobody_is_disturbed(machine: Any, store: Store) -> None:
    assert machine("collect") == (0, [])
    store.push("binder/a", 40, "t")
    assert machine("collect", garbage=0) == (0, ["garbage-collect --dry-run c.yml"])
    assert not machine.switch.exists()


def test_old_images_are_a_reason(machine: Any, store: Store) -> None:
    store.push("binder/a", 40, "t")
    assert machine("collect", "--days=30", "--prefix=binder/", garbage=0) == (
        0,
        [f"{RESTART} read-only", "garbage-collect c.yml"],
    )
    assert store.left() == {"binder/a": (set(), set())}
    store.push("base/a", 40, "t")
    assert machine("collect", "--days=30", "--prefix=binder/", garbage=0)[1] == [
        "garbage-collect --dry-run c.yml"
    ]


@pytest.mark.parametrize(
    "place",
    ["_uploads/1234/data", "_layers/sha256/abc/link"],
    ids=["an upload under way", "a layer just come"],
)
def test_a_push_is_not_cut_off(
    machine: Any,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    place: str,
) -> None:
    """It is waited for, and left alone where it never ends."""
    store.push("binder/a", 1, "t")
    pushed = store.top / "repositories/binder/a" / place
    pushed.parent.mkdir(parents=True)
    pushed.write_text("x")
    assert machine("collect", "--patience-seconds=0") == (0, ["garbage-collect --dry-run c.yml"])
    assert "left for another time" in capsys.readouterr().out
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        if seconds != GARBAGE.PAUSE_SECONDS:  # subprocess waits by the same clock
            return
        waited.append(seconds)
        for folder in (pushed, pushed.parent, pushed.parent.parent):
            os.utime(folder, (time.time() - 200,) * 2)

    monkeypatch.setattr(GARBAGE.time, "sleep", sleep)
    assert machine("collect")[1][-1] == "garbage-collect c.yml"
    assert waited == [20]


def test_a_failure_is_told(
    machine: Any, store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store.push("binder/a", 1, "t")
    monkeypatch.setenv("COLLECTOR_RC", "1")
    assert machine("collect")[0] == 1
    assert "ended with 1: 3 blobs marked" in capsys.readouterr().err
    monkeypatch.setenv("COLLECTOR_RC", "0")
    monkeypatch.setenv("SYSTEMCTL_RC", "1")
    assert machine("collect") == (1, ["garbage-collect --dry-run c.yml", f"{RESTART} read-only"])
    assert "journalctl -u docker-registry.service" in capsys.readouterr().err


def test_two_at_once_are_one(machine: Any, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    with machine.switch.with_suffix(".lock").open("w") as lock:
        GARBAGE.fcntl.flock(lock, GARBAGE.fcntl.LOCK_EX)
        assert machine("collect") == (1, [])
    assert "another collection" in capsys.readouterr().err


# ---- with a registry ---------------------------------------------------------------------------------


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    registry = Live(tmp_path)
    registry.restart()
    yield registry
    registry.stop()


@needs_registry
def test_a_registry_gives_its_space_back(live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deleted and old images go, others are served, pushes are refused meanwhile and taken afterwards."""
    deleted = live.push("binder/a", "deleted", b"deleted")
    live.push("binder/a", "old", b"old")
    live.push("binder/a", "kept", b"kept")
    assert live.ask("DELETE", f"/v2/binder/a/manifests/{deleted}")[0] == 202
    tag = live.storage / "docker/registry/v2/repositories/binder/a/_manifests/tags/old/current/link"
    past = (time.time() - 40 * DAY,) * 2
    [revision] = [
        link for link in live.storage.rglob("revisions/sha256/*/link") if link.read_text() == tag.read_text()
    ]
    for link in (tag, revision):
        os.utime(link, past)
    switch = tmp_path / "switch.env"
    registry = GARBAGE.Registry("x", str(REGISTRY), str(live.config), "root", live.storage, switch)
    # systemd reads the switch when it starts the unit; here it is read when the registry is.
    refused: list[int] = []

    def restart(_self: Any) -> None:
        live.restart(switch.read_text() if switch.exists() else "")
        refused.append(live.ask("POST", "/v2/binder/a/blobs/uploads/", b"")[0])

    monkeypatch.setattr(GARBAGE.Registry, "restart", restart)
    told = GARBAGE.collect(registry, GARBAGE.Rule(30, "binder/"), 0, 0, 60)
    assert told.startswith("removed 1 tags and 1 manifests")
    assert (live.data(b"deleted").exists(), live.data(b"old").exists(), live.data(b"kept").exists()) == (
        False,
        False,
        True,
    )
    assert live.ask("GET", "/v2/binder/a/manifests/kept")[0] == 200
    registry.end()
    assert refused == [405, 202]
    assert live.ask("GET", "/v2/binder/a/manifests/old")[0] == 404
    live.push("binder/a", "old", b"old")
    assert live.data(b"old").exists()
