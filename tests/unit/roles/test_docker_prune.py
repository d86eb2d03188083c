# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The program that prunes Docker, against an API on a real socket: what it asks for, and what it leaves alone."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from programs import load_program

BUILT = "registry.example.org:5000/binder/site-"
HOUR = 3600
NOW = 1_800_000_000
GIB = 1 << 30


PRUNE = load_program("docker", "docker_prune.py")


class Daemon(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers as Docker does, and keeps what it was asked to change."""

    daemon_threads = True

    def __init__(self, path: Path, api: str) -> None:
        self.path, self.api = str(path), api
        self.images: list[dict[str, Any]] = []
        self.containers: list[dict[str, Any]] = []
        # Of build cache: what no image has, which is bounded, and what one has, which counts as freed all the same.
        self.cache_bytes = self.shared_bytes = 0
        self.info: dict[str, Any] = {"DockerRootDir": "/"}
        self.refusals: dict[str, tuple[int, str]] = {}
        self.changes: list[str] = []
        super().__init__(self.path, _Handler)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, method: str, path: str, query: dict[str, str]) -> tuple[int, Any]:
        if path == "/version":
            return 200, {"ApiVersion": self.api}
        assert path.startswith(f"/v{self.api}/"), (
            "a version that is not named may be one that is no longer served"
        )
        path = path[len(f"/v{self.api}") :]
        if method != "GET":
            self.changes.append(f"{method} {path} {json.dumps(query, sort_keys=True)}")
        if path in self.refusals:
            status, message = self.refusals[path]
            return status, {"message": message}
        if method == "DELETE":
            return 200, [{"Untagged": path}]
        if path == "/build/prune":
            keep = int(query.get("keep-storage", query.get("max-used-space", 0)))
            freed = max(0, self.cache_bytes - keep)
            shared = min(freed, self.shared_bytes)
            self.shared_bytes, self.cache_bytes = (
                self.shared_bytes - shared,
                self.cache_bytes - freed + shared,
            )
            return 200, {"SpaceReclaimed": freed}
        return 200, {
            "/info": self.info,
            "/images/json": self.images,
            "/containers/json": self.containers,
        }[path]


class _Handler(BaseHTTPRequestHandler):
    server: Daemon

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *args: object) -> None:
        pass

    def answer(self) -> None:
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        status, body = self.server.answer(self.command, unquote(url.path), query)
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_DELETE = answer


@pytest.fixture(params=["1.41"])
def daemon(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Daemon]:
    server = Daemon(tmp_path / "docker.sock", request.param)
    yield server
    server.shutdown()
    server.server_close()


def image(name: str, hours: float, *tags: str, digests: tuple[str, ...] = ()) -> dict[str, Any]:
    """An image of this age, as Docker lists it."""
    return {"Id": name, "Created": NOW - hours * HOUR, "RepoTags": list(tags), "RepoDigests": list(digests)}


def bounds(**changes: Any) -> Any:
    told = {"cache_bytes": 8 * GIB, "image_hours": 168, "above_percent": 70, "prefixes": [BUILT]}
    return PRUNE.Bounds(**{**told, **changes})


@pytest.fixture
def fills(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the file system tells, one after the other; the last for good."""
    told: list[int] = [10]
    monkeypatch.setattr(PRUNE, "used_percent", lambda _path: told.pop(0) if len(told) > 1 else told[0])
    return told


OLD, NEW, FRESH = 200, 24, 0.5
CASES: dict[str, tuple[list[dict[str, Any]], list[str]]] = {
    "an old build": ([image("a", OLD, f"{BUILT}x:1")], [f"{BUILT}x:1"]),
    "a new one": ([image("a", NEW, f"{BUILT}x:1")], []),
    "somebody else's image": ([image("a", OLD, "debian:12", "registry.example.org:5000/other:1")], []),
    "a build with a name that somebody gave": ([image("a", OLD, f"{BUILT}x:1", "mine:1")], [f"{BUILT}x:1"]),
    "a build that has lost its name": ([image("a", OLD)], ["a"]),
    "the same, as older Dockers tell it": ([image("a", OLD, "<none>:<none>")], ["a"]),
    "a pushed build that has lost its name": (
        [image("a", OLD, digests=(f"{BUILT}x@sha256:1",))],
        ["a"],
    ),
    "a pulled image that has lost its name": ([image("a", OLD, digests=("debian@sha256:1",))], []),
    "an image with a container": ([image("used", OLD, f"{BUILT}x:1")], []),
    "a list that is null": ([{"Id": "a", "Created": 0, "RepoTags": None, "RepoDigests": None}], ["a"]),
}


@pytest.mark.parametrize(("images", "gone"), CASES.values(), ids=CASES.keys())
def test_which_images_go(
    daemon: Daemon, fills: list[int], images: list[dict[str, Any]], gone: list[str]
) -> None:
    daemon.images, daemon.containers = images, [{"ImageID": "used", "State": "exited"}]
    PRUNE.prune(PRUNE.Docker(daemon.path), bounds(), ["/"], NOW)
    assert [change for change in daemon.changes if change.startswith("DELETE")] == [
        f"DELETE /images/{name} {{}}" for name in gone
    ]


@pytest.mark.parametrize(
    ("daemon", "option"),
    [
        ("1.41", "keep-storage"),
        ("1.45", "keep-storage"),
        ("1.48", "max-used-space"),
        ("1.52", "max-used-space"),
    ],
    indirect=["daemon"],
)
def test_the_cache_is_bounded_in_the_words_of_this_docker(
    daemon: Daemon, fills: list[int], option: str
) -> None:
    daemon.cache_bytes = 20 * GIB
    told = PRUNE.prune(PRUNE.Docker(daemon.path), bounds(), ["/"], NOW)
    # The second finds nothing more to do.
    assert daemon.changes == [f'POST /build/prune {{"all": "1", "{option}": "{8 * GIB}"}}'] * 2
    assert daemon.cache_bytes == 8 * GIB
    assert [line.split(",")[0] for line in told] == [
        "/ was 10 % full: freed 12.00 GiB of build cache to keep 8.0"
    ]


def test_a_pass_that_frees_what_images_have_is_not_the_last(daemon: Daemon, fills: list[int]) -> None:
    daemon.cache_bytes, daemon.shared_bytes = 20 * GIB, 25 * GIB
    PRUNE.prune(PRUNE.Docker(daemon.path), bounds(), ["/"], NOW)
    assert (daemon.cache_bytes, daemon.shared_bytes) == (8 * GIB, 0)


def test_a_docker_that_frees_without_end_is_not_asked_without_end(
    daemon: Daemon, fills: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PRUNE, "PRUNING_PASSES", 3)
    daemon.cache_bytes, daemon.shared_bytes = 20 * GIB, 500 * GIB
    PRUNE.prune(PRUNE.Docker(daemon.path), bounds(), ["/"], NOW)
    assert len(daemon.changes) == 3


def test_a_quiet_day_says_nothing(daemon: Daemon, fills: list[int]) -> None:
    daemon.cache_bytes = GIB
    assert PRUNE.prune(PRUNE.Docker(daemon.path), bounds(), ["/"], NOW) == []


def test_a_full_disk_goes_further_until_there_is_room(daemon: Daemon, fills: list[int]) -> None:
    """A step looks at the disk first, and what is younger than an hour may still be on its way to the registry."""
    fills[:] = [80, 75, 60]
    daemon.cache_bytes = 20 * GIB
    daemon.images = [image(str(age), age, f"{BUILT}x:{age}") for age in (OLD, NEW, FRESH)]
    PRUNE.prune(PRUNE.Docker(daemon.path), bounds(), ["/"], NOW)
    prunes = [change for change in daemon.changes if "prune" in change]
    assert [json.loads(change.split(" ", 2)[2])["keep-storage"] for change in prunes] == [
        str(size * GIB) for size in (8, 8, 4, 4)
    ]
    assert f"DELETE /images/{BUILT}x:{NEW} {{}}" in daemon.changes
    assert not any(f"x:{FRESH}" in change for change in daemon.changes)


def test_a_disk_that_stays_full_is_told_and_nothing_young_is_lost(daemon: Daemon, fills: list[int]) -> None:
    fills[:] = [95]
    daemon.cache_bytes = 20 * GIB
    daemon.images = [image("a", FRESH, f"{BUILT}x:1")]
    told = PRUNE.prune(PRUNE.Docker(daemon.path), bounds(), ["/"], NOW)
    assert daemon.cache_bytes == 0
    assert daemon.changes[-1] == 'POST /build/prune {"all": "1"}'
    assert "still 95 % full" in told[-1]
    assert not any(change.startswith("DELETE") for change in daemon.changes)


def test_a_site_that_keeps_images_for_minutes_only_is_obeyed() -> None:
    assert [hours for _, hours in bounds(image_hours=0).steps()] == [0, 0, 0]


def test_a_disk_that_others_fill_leaves_builds_some_cache(daemon: Daemon, fills: list[int]) -> None:
    """Where a stricter step finds nothing, builds are not the cause, and would begin from nothing from now on."""
    fills[:] = [80]
    daemon.cache_bytes = 3 * GIB
    daemon.images = [image("a", FRESH, f"{BUILT}x:1")]
    told = PRUNE.prune(PRUNE.Docker(daemon.path), bounds(), ["/"], NOW)
    assert daemon.cache_bytes == 3 * GIB
    assert "still 80 % full" in told[-1]


def test_images_are_reason_enough_to_go_on(daemon: Daemon, fills: list[int]) -> None:
    fills[:] = [80]
    daemon.cache_bytes = 3 * GIB
    daemon.images = [image("a", NEW, f"{BUILT}x:1")]
    PRUNE.prune(PRUNE.Docker(daemon.path), bounds(), ["/"], NOW)
    assert daemon.cache_bytes == 0


def test_before_pods_are_evicted_everything_goes(daemon: Daemon, fills: list[int]) -> None:
    """At the fill at which the kubelet begins to evict, with its defaults and ours."""
    fills[:] = [86]
    daemon.cache_bytes = 3 * GIB
    PRUNE.prune(PRUNE.Docker(daemon.path), bounds(), ["/"], NOW)
    assert daemon.cache_bytes == 0


@pytest.mark.parametrize("status", [404, 409])
def test_what_docker_still_needs_stays(daemon: Daemon, fills: list[int], status: int) -> None:
    daemon.images = [image("a", OLD, f"{BUILT}x:1")]
    daemon.refusals = {f"/images/{BUILT}x:1": (status, "in use"), "/build/prune": (409, "already running")}
    assert PRUNE.prune(PRUNE.Docker(daemon.path), bounds(), ["/"], NOW) == []


ARGUMENTS = ["--cache-bytes=1", "--image-hours=1", "--above-percent=100", f"--built={BUILT}"]


def test_a_docker_that_refuses_is_told(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.refusals = {"/build/prune": (500, "database is locked")}
    assert PRUNE.main([*ARGUMENTS, f"--socket={daemon.path}"]) == 1
    assert "would not prune its build cache (500): database is locked" in capsys.readouterr().err


def test_a_docker_that_is_away_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert PRUNE.main([*ARGUMENTS, f"--socket={tmp_path}/none"]) == 1
    assert "systemctl status docker" in capsys.readouterr().err


def test_the_program_as_a_unit_calls_it(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.cache_bytes = GIB
    assert PRUNE.main([*ARGUMENTS, f"--socket={daemon.path}"]) == 0
    assert "freed 1.00 GiB" in capsys.readouterr().out


def test_fullness_is_counted_as_the_kubelet_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that only root may use are no room for anybody's pods."""

    class Told:
        f_blocks, f_bavail, f_bfree = 1000, 250, 300

    monkeypatch.setattr(PRUNE.os, "statvfs", lambda _path: Told)
    assert PRUNE.used_percent("/") == 75


STORES = {
    "Docker's own": ({"DriverStatus": [["Backing Filesystem", "extfs"]]}, ["/docker"]),
    "containerd's": (
        {"DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]},
        ["/docker", "/containerd"],
    ),
    "of a Docker that does not tell": ({"DriverStatus": None}, ["/docker"]),
}


@pytest.mark.parametrize(("info", "expected"), STORES.values(), ids=STORES.keys())
def test_the_disk_is_looked_at_where_images_are(
    daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, info: dict[str, Any], expected: list[str]
) -> None:
    """A new Docker 29 keeps images and cache in containerd, which may have a disk of its own."""
    for name in ("docker", "containerd"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(PRUNE, "CONTAINERD_ROOT", f"{tmp_path}/containerd")
    daemon.info = {"DockerRootDir": f"{tmp_path}/docker", **info}
    assert PRUNE.Docker(daemon.path).roots() == [f"{tmp_path}{path}" for path in expected]
    (tmp_path / "containerd").rmdir()
    assert PRUNE.Docker(daemon.path).roots() == [f"{tmp_path}/docker"]


def test_the_fullest_disk_decides(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PRUNE, "used_percent", {"/docker": 20, "/containerd": 90}.get)
    (told,) = PRUNE.prune(PRUNE.Docker(daemon.path), bounds(), ["/docker", "/containerd"], NOW)
    assert told.startswith("/containerd is still 90 % full")
