# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
from __future__ import annotations

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.events import (
    Comment,
    Event,
    EventStreamError,
    EventStreamParser,
    Failure,
    PhaseFollower,
)
from binder_server import STREAMS, load_stream
from hypothesis import given, settings
from hypothesis import strategies as st

NAMES = sorted(path.stem for path in STREAMS.glob("*.txt"))


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def parse(*chunks: bytes) -> list[Event | Comment]:
    parser = EventStreamParser()
    return [item for chunk in chunks for item in parser.feed(chunk)]


def follow(name: str) -> PhaseFollower:
    clock, parser = Clock(), EventStreamParser()
    follower = PhaseFollower(clock)
    for seconds, body in load_stream(name):
        clock.now = 100.0 + seconds
        for item in parser.feed(body):
            follower.apply(item)
    return follower


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"data: a\n\n", [Event("a")]),
        (b"data:a\n\n", [Event("a")]),
        (b"data:  a\n\n", [Event(" a")]),
        (b"data: a\ndata: b\n\n", [Event("a\nb")]),
        (b"data\n\n", [Event("")]),
        (b"event: x\ndata: a\n\ndata: b\n\n", [Event("a", "x"), Event("b")]),
        (b"event: x\n\n", []),
        (b":keepalive\n\n", [Comment("keepalive")]),
        (b"data: a\n:between\ndata: b\n\n", [Comment("between"), Event("a\nb")]),
        (b"id: 1\nretry: 5\nwhat\ndata: a\n\n", [Event("a")]),
        (b"\xef\xbb\xbfdata: a\n\n", [Event("a")]),
        (b"data: a\n", []),
        (b"data: a", []),
        (b"\n\n\n", []),
        (b"data: \xff\n\n", [Event("\ufffd")]),
    ],
)
def test_the_format(sent: bytes, expected: list[Event | Comment]) -> None:
    assert parse(sent) == expected


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_how_bytes_are_cut_and_lines_end_changes_nothing(name: str, line_end: bytes, mark: bytes) -> None:
    whole = b"".join(body for _seconds, body in load_stream(name))
    expected = parse(whole)
    varied = mark + whole.replace(b"\n", line_end)
    assert parse(varied) == expected
    assert parse(*(bytes([byte]) for byte in varied)) == expected
    assert expected or name in ("page", "page_login")


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=8))
@settings(max_examples=200, deadline=None)
def test_no_bytes_break_the_parser(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(data)]
    assert parse(*(data[a:b] for a, b in zip(edges, edges[1:], strict=False))) == parse(data)


def test_pending_tells_a_torn_event_from_a_whole_one() -> None:
    parser = EventStreamParser()
    states = []
    for chunk in (b":keepalive\n\n", b"data: {", b"}", b"\n", b"\n", b"event: x\n", b"\n"):
        parser.feed(chunk)
        states.append(parser.pending)
    assert states == [False, True, True, True, False, True, False]


def test_an_endless_line_is_refused() -> None:
    parser = EventStreamParser(max_characters=1000)
    with pytest.raises(EventStreamError, match=r"longer than 1000 characters: it begins 'data: xx"):
        for _ in range(20):
            parser.feed(b"data: " + b"x" * 100)


def test_cold_launch_is_timed() -> None:
    follower = follow("cold")
    assert follower.ended and follower.failure is None and follower.built_now
    assert follower.phases() == {
        "waiting": 1.0,
        "fetching": 0.6,
        "building": 3.9,
        "pushing": 24.1,
        "built": 0.0,
        "launching": 2.0,
    }
    assert follower.total_seconds == 31.6 == round(sum(follower.phases().values()), 3)
    assert follower.timeline()[1].start_seconds == 1.0
    assert follower.image.endswith(":9f2d6c1e") and follower.ready["token"]
    assert follower.keepalives == 2


def test_a_launch_goes_on_until_now() -> None:
    clock = Clock()
    follower = PhaseFollower(clock)
    clock.now += 7
    assert follower.phases() == {"waiting": 7.0} and not follower.ended


def test_warm_launch_was_not_built_now() -> None:
    follower = follow("warm")
    assert not follower.built_now and follower.ended
    assert follower.phases() == {"waiting": 0.5, "built": 0.0, "launching": 4.5}


@pytest.mark.parametrize(
    ("name", "phase", "said", "contradictions"),
    [
        ("failed_build", "building", "returned a non-zero code: 127", []),
        ("failed_build_r2d", "building", "exit code: 127", ["built"]),
        ("failed_old", "building", "", ["built", "launching"]),
        ("failed_old_ready", "building", "", ["built", "launching", "ready"]),
        ("failed_push", "pushing", "x509", []),
        ("failed_launch", "launching", "Failed to launch image", []),
        ("no_repository", "waiting", "Could not resolve ref", []),
    ],
)
def test_a_failure_is_final(name: str, phase: str, said: str, contradictions: list[str]) -> None:
    follower = follow(name)
    assert follower.failure is not None
    assert follower.failure.phase == phase
    assert said in follower.failure.message
    assert follower.contradictions == contradictions


def test_a_failed_launch_ends_when_it_failed() -> None:
    assert follow("failed_old_ready").total_seconds == 2.9
    assert follow("failed_old_ready").ready["token"]


@pytest.mark.parametrize("spelling", ["failed", "Failed", "FAILED", "failure", "Failure", " failed "])
def test_every_spelling_of_failed(spelling: str) -> None:
    follower = PhaseFollower(Clock())
    follower.apply(Event(f'{{"phase": "{spelling}", "message": "no", "status_code": 503}}'))
    assert follower.failure == Failure("waiting", "no", 503)


def test_the_log_keeps_the_last_lines_without_terminal_codes_and_repeats() -> None:
    log = follow("failed_build").log
    assert "/bin/sh: 1: pip-install: not found" in log
    assert log[-1].startswith("Error during build")
    assert follow("failed_old").log[-1] == "docker buildx build returned 1"
    assert follow("cold").log.count("Pushing image") == 1
    follower = PhaseFollower(Clock(), log_lines=3)
    for number in range(9):
        follower.apply(Event(f'{{"phase": "building", "message": "line {number}\\n"}}'))
    assert follower.log == ["line 6", "line 7", "line 8"]


def test_phases_that_nobody_knows_and_events_that_are_not_json() -> None:
    follower = follow("unknown_phase")
    assert follower.ended and follower.failure is None
    assert follower.phases()["sanitising"] == 1.5
    assert {"not json at all", "[1, 2]", "Step 1"} <= set(follower.log)


def test_a_phase_that_comes_back_is_added_up() -> None:
    clock = Clock()
    follower = PhaseFollower(clock)
    for name in ("building", "pushing", "building", "built"):
        clock.now += 1
        follower.apply(Event(f'{{"phase": "{name}"}}'))
    clock.now += 1
    assert follower.phases() == {"waiting": 1.0, "building": 2.0, "pushing": 1.0, "built": 1.0}
    assert [segment.name for segment in follower.timeline()].count("building") == 2


def test_unicode_and_an_event_of_two_lines() -> None:
    assert "Größe: 12 MB \u2013 \U0001d4d1inder 🚀" in follow("unicode").log
