"""Builds resume, rebuild what changed, and leave no half-made result."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "lab" / "artifacts"))

from progress import Progress, Speed, needed
from steps import BuildError, Step, hash_of, part_of, run


def run_steps(steps: "list[Step]", cache: Path) -> None:
    parts = needed(part_of(step, cache) for step in steps)
    progress = Progress(Speed())
    progress.expect(parts)
    progress.work(parts)


def make_step(name: str, key: str, log: list, fail: bool = False) -> Step:
    def build(out: Path) -> None:
        log.append((name, key))
        (out / "file").write_text(key)
        if fail:
            raise BuildError("broken")

    return Step("kind", name, key * 12, 1, build)


def test_second_run_builds_nothing(tmp_path: Path) -> None:
    log: list = []
    for _ in range(2):
        run_steps([make_step("one", "a", log), make_step("two", "b", log)], tmp_path)
    assert log == [("one", "a"), ("two", "b")]


def test_changed_key_builds_that_step_and_drops_the_old(tmp_path: Path) -> None:
    log: list = []
    run_steps([make_step("one", "a", log), make_step("two", "b", log)], tmp_path)
    run_steps([make_step("one", "c", log), make_step("two", "b", log)], tmp_path)
    assert log == [("one", "a"), ("two", "b"), ("one", "c")]
    assert sorted(path.name[:5] for path in (tmp_path / "kind").iterdir()) == ["one-c", "two-b"]


def test_failure_leaves_nothing_that_looks_done(tmp_path: Path) -> None:
    log: list = []
    with pytest.raises(BuildError):
        run_steps([make_step("one", "a", log, fail=True)], tmp_path)
    run_steps([make_step("one", "a", log)], tmp_path)
    assert len(log) == 2


def test_hash_sees_names_and_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    first = hash_of("x", tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert hash_of("x", tmp_path) != first
    assert hash_of("xy", "z") != hash_of("x", "yz")


def test_run_reports_the_end_of_the_log(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"(?s)ended with 3.*no space"):
        run(["sh", "-c", "echo no space; exit 3"], tmp_path / "log")
