"""One count over everything, an estimate that follows the machine's speed, and no line that lies."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "lab" / "artifacts"))

from progress import Part, Progress, Speed, clock_text, needed


class Clock:
    """Time that passes while parts are made."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def part(self, label: str, weight: float, takes: float, words: str = "") -> Part:
        def make() -> str:
            self.seconds += takes
            return words

        return Part(label, weight, lambda: True, make)


def progress(clock: Clock, said: list[str], factor: float = 1.0, later: tuple[float, ...] = ()) -> Progress:
    speed = Speed()
    speed.factor = factor
    speed._taken = speed._weight * factor
    return Progress(speed, later=later, clock=clock, say=said.append)


def test_every_line_counts_everything() -> None:
    """Part i of n with what others do afterwards, the time so far, and the rest at this machine's speed."""
    clock = Clock()
    said: list[str] = []
    work = progress(clock, said, later=(60, 60))
    parts = [clock.part("go helm", 60, 120), clock.part("image hub", 60, 120, "304 MB")]
    work.expect(parts)
    assert (work.total, work.left) == (4, 240)
    work.work(parts)
    assert "".join(said).splitlines() == [
        "  [1/4] 0m00s so far, about 4m00s left: go helm ... 2m00s",
        # Twice as slow as it was known to be, seen over as much as was known: one and a half.
        "  [2/4] 2m00s so far, about 4m30s left: image hub ... 2m00s, 304 MB",
    ]
    assert (work.done, work.elapsed, round(work.left)) == (2, 240, 200)


def test_what_is_found_later_replaces_what_was_expected() -> None:
    """What was done stays counted."""
    clock = Clock()
    said: list[str] = []
    work = progress(clock, said)
    first, second, third = (clock.part(name, 10, 10) for name in ("packages", "go", "image"))
    work.expect([first, second, third])
    work.work([first])
    work.expect([third])
    assert (work.total, round(work.left)) == (2, 10)
    work.work([third])
    assert said[-2].startswith("  [2/2] 0m10s so far, about 0m10s left: image")


def test_a_failure_ends_the_line_and_the_work() -> None:
    """And counts as nothing."""
    said: list[str] = []

    def fail() -> str:
        raise OSError("disk full")

    work = progress(Clock(), said)
    parts = [Part("go helm", 60, lambda: True, fail)]
    work.expect(parts)
    with pytest.raises(OSError, match="disk full"):
        work.work(parts)
    assert "".join(said).endswith("go helm ... failed\n")
    assert work.done == 0


def test_speed_is_remembered(tmp_path: Path) -> None:
    """The next build begins with what this one has shown, however the file looks."""
    file = tmp_path / "cache" / "speed.json"
    speed = Speed(file)
    usual = speed.factor
    speed.saw(600, 1800)
    assert usual < speed.factor < 3
    assert abs(Speed(file).factor - speed.factor) < 0.01
    for text in (
        "",
        "{",
        "[]",
        '{"factor": "fast"}',
        '{"factor": 0}',
        '{"factor": 1e9}',
        json.dumps({"factor": None}),
    ):
        file.write_text(text)
        assert Speed(file).factor == usual


def test_needed_and_clock_text() -> None:
    parts = [Part("a", 1, lambda: True, str), Part("b", 1, lambda: False, str)]
    assert [part.label for part in needed(parts)] == ["a"]
    assert [clock_text(seconds) for seconds in (0, 59.9, 61, 3600)] == ["0m00s", "0m59s", "1m01s", "60m00s"]
