"""The one list of a cold build, the lock on its cache, and what is found of an earlier one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "lab" / "artifacts"), str(ROOT)]

import build
from locked import alone
from progress import Part, Progress, Speed
from steps import BuildError, Step

GO = shutil.which("go") or str(Path(sys.executable).with_name("go"))
pytestmark = pytest.mark.skipif(not Path(GO).exists(), reason="needs the pinned go of requirements.txt")


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[build.Plan, build.Builder]:
    """A computer with nothing on it: no cache, no engine, no key."""
    monkeypatch.setattr(build, "has_engine", lambda: False)
    plan = build.Plan(tmp_path, Path(GO), build.signing_fingerprint(tmp_path, make=False))
    return plan, build.Builder(tmp_path / "binder-images")


def names_of(builder: build.Builder) -> set[str]:
    """All bases and images."""
    return {*builder.bases, *(item.name for item in builder.images)}


def test_a_cold_build_is_one_list(empty: tuple[build.Plan, build.Builder]) -> None:
    """Go builds, packages, all images and the registry's filling; the machines come on top of it."""
    plan, builder = empty
    parts = build.the_rest(plan, builder)
    labels = [part.label for part in parts]
    assert [label for label in labels if label.startswith("go ")] == [
        *(f"go {name}" for name in plan.components),
        "go caches removed",
    ]
    assert {f"image {name}" for name in names_of(builder)} <= set(labels)
    assert {
        "rootfs machine",
        "rootfs trixie",
        "debs built",
        "mirror files",
        "image node",
        "image node-trixie",
        "image mirror",
        "image outside",
    } <= set(labels)
    assert labels[-1] == f"registry with {len(build.image_names(plan, builder))} images"
    assert len(labels) == len(set(labels)) == 43
    assert list(plan.cache.iterdir()) == []
    progress = Progress(Speed(), later=[2.0] * 6 + [8.0])
    progress.expect(parts)
    assert progress.total == 50
    # Measured: 24 minutes on two busy cores, 27 on slow ones, 17 on the reference machine; Docker from source is 4 more.
    assert 19 * 60 < progress.left < 32 * 60


def test_the_version_before_is_built_for_long_tests_only(
    empty: tuple[build.Plan, build.Builder], tmp_path: Path
) -> None:
    """And beside the other one: neither makes the other be built again, or removes it."""
    plan, _builder = empty
    long = build.Plan(tmp_path, Path(GO), build.signing_fingerprint(tmp_path, make=False), long=True)

    def steps(of: build.Plan) -> dict[tuple[str, str], Step]:
        return {(step.kind, step.name): step for step in [*of.built_steps, *of.image_steps().values()]}

    assert len(steps(long)) == len(long.built_steps) + len(long.image_steps())
    added = {key: step for key, step in steps(long).items() if key not in steps(plan)}
    assert {key: step.key for key, step in steps(long).items() if key not in added} == {
        key: step.key for key, step in steps(plan).items()
    }
    assert [name for kind, name in added if kind == "go"] == [
        "kubernetes_before",
        "etcd_before",
        "coredns_before",
    ]
    assert ("debs", "before") in added
    assert len([kind for kind, _name in added if kind == "image"]) == 7
    now, before = (long.versions[name].split(".") for name in ("kubernetes", "kubernetes_before"))
    assert (now[0], int(now[1]) - 1) == (before[0], int(before[1]))
    assert "kubernetes_before" not in plan.versions and long.www().key != plan.www().key


def test_every_image_has_a_weight_of_its_own(empty: tuple[build.Plan, build.Builder]) -> None:
    """A weight that is left out would be guessed, and one of an image that is gone would mislead."""
    _plan, builder = empty
    assert set(builder.seconds) == names_of(builder)


def test_images_that_docker_lost_are_only_forgotten_where_it_can_be_asked(
    empty: tuple[build.Plan, build.Builder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that is still to be started has forgotten nothing."""
    plan, builder = empty
    [node, *_others] = build.machine_images(plan).values()
    node.path(plan.cache).mkdir(parents=True)
    (node.path(plan.cache) / "id").write_text("sha256:0")
    assert "image node" not in [part.label for part in build.the_rest(plan, builder)]
    assert node.path(plan.cache).exists()
    monkeypatch.setattr(build, "has_engine", lambda: True)
    assert "image node" in [part.label for part in build.the_rest(plan, builder)]


@pytest.mark.parametrize("text", ["", '{"docker.io/x": ', "[1]", "7"])
def test_a_list_of_pushed_images_that_was_cut_is_written_anew(
    empty: tuple[build.Plan, build.Builder], monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """A kill while it is written must not stop every build after it."""
    plan, _builder = empty
    store = plan.cache / "mirror" / "registry"
    store.mkdir(parents=True)
    stamps = store.parent / "pushed.json"
    stamps.write_text(text)
    asked: list[bool] = []
    monkeypatch.setattr(build.images, "fill_registry", lambda *_given: asked.append(stamps.exists()))
    part = build.registry(plan, ["docker.io/x", "docker.io/y"], [])
    assert (part.is_needed(), part.seconds) == (True, 2 * build.PUSH_SECONDS)
    part.make()
    assert asked == [False]


def test_the_registry_is_filled_where_an_image_differs(
    empty: tuple[build.Plan, build.Builder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is made in this run is pushed, and one that was made by hand since."""
    plan, _builder = empty
    store = plan.cache / "mirror" / "registry"
    store.mkdir(parents=True)
    (store.parent / "pushed.json").write_text(json.dumps({"docker.io/x": "sha256:1"}))
    ids = {"now": "sha256:1\n"}

    class Result:
        @property
        def stdout(self) -> str:
            return ids["now"]

    monkeypatch.setattr(build.subprocess, "run", lambda *_given, **_named: Result())
    made = [Part("image x", 1, lambda: True, str)]
    assert not build.registry(plan, ["docker.io/x"], []).is_needed()
    assert build.registry(plan, ["docker.io/x"], made).is_needed()
    ids["now"] = "sha256:2\n"
    assert build.registry(plan, ["docker.io/x"], []).is_needed()
    ids["now"] = ""
    assert build.registry(plan, ["docker.io/x"], []).is_needed()


def test_a_full_disk_is_refused_before_anything_is_built(
    empty: tuple[build.Plan, build.Builder], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, _builder = empty
    monkeypatch.setattr(build.shutil, "disk_usage", lambda _path: type("Usage", (), {"free": 3e9}))
    with pytest.raises(BuildError, match=r"has 3\.0 GB left, the build needs 15 GB.*IRONBINDER_CACHE"):
        build.check_room(plan)


# Two builds of one step that takes until somebody says so; each says when it begins and ends.
BUILD = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from locked import alone
from progress import Progress, Speed
from steps import BuildError, Step, part_of
cache, log = Path(sys.argv[2]), Path(sys.argv[3])
def build(out):
    with log.open("a") as stream: print("begin", file=stream)
    (out / "file").write_text("x")
    while not Path(sys.argv[4]).exists(): time.sleep(0.02)
    assert (out / "file").exists()
    with log.open("a") as stream: print("end", file=stream)
part = part_of(Step("kind", "one", "a" * 12, 1, build), cache)
with alone(cache, "lab"):
    if part.is_needed():
        progress = Progress(Speed())
        progress.expect([part])
        progress.work([part])
"""


def start(cache: Path, log: Path, go_on: Path) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", BUILD, str(ROOT / "lab" / "artifacts"), str(cache), str(log), str(go_on)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def begun(build: subprocess.Popen[str], log: Path) -> None:
    """Wait until a build has said that it begins."""
    while not log.exists() or not log.read_text():
        assert build.poll() is None
        time.sleep(0.02)


def test_two_builds_make_one_result(tmp_path: Path) -> None:
    """The second says whom it waits for, finds the result and builds nothing."""
    log = tmp_path / "log"
    first = start(tmp_path / "cache", log, tmp_path / "go-on")
    begun(first, log)
    second = start(tmp_path / "cache", log, tmp_path / "go-on")
    # One that did not wait would say nothing, and wait for the file for ever.
    in_the_end = threading.Timer(60, (tmp_path / "go-on").touch)
    in_the_end.start()
    assert second.stdout
    said = second.stdout.readline()
    in_the_end.cancel()
    (tmp_path / "go-on").touch()
    said += second.communicate(timeout=60)[0]
    assert (first.wait(), second.returncode) == (0, 0), said
    assert f"lab: process {first.pid} of {ROOT} builds into {tmp_path / 'cache'} too; waiting" in said
    assert "60 minutes at most" in said
    assert log.read_text() == "begin\nend\n"
    assert [path.name for path in (tmp_path / "cache" / "kind").iterdir()] == [f"one-{'a' * 12}"]


def test_a_killed_build_holds_nothing(tmp_path: Path) -> None:
    """The next one begins at once, and clears what it left."""
    log = tmp_path / "log"
    first = start(tmp_path / "cache", log, tmp_path / "never")
    begun(first, log)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    second = start(tmp_path / "cache", log, tmp_path)
    assert "waiting" not in second.communicate(timeout=60)[0]
    assert log.read_text() == "begin\nbegin\nend\n"


def test_a_build_that_does_not_end_is_named(tmp_path: Path) -> None:
    """After its time, with what to do."""

    class Clock:
        seconds = 0.0

        def now(self) -> float:
            return self.seconds

        def sleep(self, seconds: float) -> None:
            self.seconds += seconds

    with (
        alone(tmp_path, "lab"),
        pytest.raises(
            BuildError, match=rf"process {os.getpid()} of .* still builds .* after 60 minutes.*`kill"
        ),
        alone(tmp_path, "lab", clock=Clock()),
    ):
        raise AssertionError("two have it")


def test_steps_are_parts_with_their_weight(tmp_path: Path) -> None:
    """A step that is there is not needed."""
    step = Step("kind", "one", "a" * 12, 7, lambda out: (out / "made").touch())
    part = build.part_of(step, tmp_path)
    assert (part.label, part.seconds, part.is_needed()) == ("kind one", 7, True)
    part.make()
    assert not part.is_needed()


def test_a_folder_that_docker_made_for_a_container_is_no_result(tmp_path: Path) -> None:
    step = Step("mirror", "files", "a" * 12, 2, lambda out: (out / "made").touch())
    part = build.part_of(step, tmp_path)
    (step.path(tmp_path) / "www").mkdir(parents=True)
    assert part.is_needed()
    part.make()
    assert [path.name for path in step.path(tmp_path).iterdir()] == ["made"]
