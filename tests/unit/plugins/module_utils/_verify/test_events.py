# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
from __future__ import annotations

import json

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
        self.seconds = 100.0

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        raise AssertionError("a follower never waits")


def parse(*chunks: bytes) -> list[Event | Comment]:
    parser = EventStreamParser()
    return [item for chunk in chunks for item in parser.feed(chunk)]


def follow(name: str) -> PhaseFollower:
    clock, parser = Clock(), EventStreamParser()
    follower = PhaseFollower(clock)
    for seconds, body in load_stream(name):
        clock.seconds = 100.0 + seconds
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
    assert expected or name.startswith("page")


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
    clock.seconds += 7
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
    assert [line for line in follow("cold").log if "Pushing image" in line] == ["Pushing image (78 times)"]
    follower = PhaseFollower(Clock(), log_lines=3)
    for letter in "abcdefghi":
        follower.apply(Event(f'{{"phase": "building", "message": "line {letter}\\n"}}'))
    assert follower.log == ["line g", "line h", "line i"]


def launching(*messages: str) -> PhaseFollower:
    follower = PhaseFollower(Clock())
    for message in ("Launching server...", *messages):
        follower.apply(Event(json.dumps({"phase": "launching", "message": f"{message}\n"})))
    return follower


def waiting_lines(count: int) -> list[str]:
    """What BinderHub says every five seconds, and beside it Kubernetes' events with their times."""
    return [
        line
        for number in range(1, count)
        for line in (
            f"Server launch is taking longer than expected, it has been {5 * number} seconds",
            f"2026-11-20T22:{number:02}:00Z [Normal] Still waiting",
        )
    ]


def test_lines_that_differ_in_digits_only_are_one_and_the_cause_stays() -> None:
    cause = '[Warning] Failed to pull image "r:5000/a:1": no basic auth credentials'
    log = launching(cause, *waiting_lines(50)).log
    assert log == [
        "Launching server...",
        cause,
        "Server launch is taking longer than expected, it has been 245 seconds (49 times)",
        "2026-11-20T22:49:00Z [Normal] Still waiting (49 times)",
    ]


def test_the_first_line_that_names_a_cause_outlives_the_rest() -> None:
    chatter = [f"[Normal] event {chr(97 + number % 26)}{chr(97 + number // 26)}" for number in range(60)]
    follower = launching("[Warning] Insufficient memory", *chatter, "[Warning] Insufficient cpu", *chatter)
    assert follower.log[0] == "[Warning] Insufficient memory"
    assert len(follower.log) == 26


def test_the_cause_of_a_phase_that_ended_well_is_forgotten() -> None:
    follower = PhaseFollower(Clock(), log_lines=2)
    for phase, message in (("building", "Could not resolve host: x"), ("launching", "a"), ("launching", "b")):
        follower.apply(Event(json.dumps({"phase": phase, "message": message})))
    assert follower.log == ["a", "b"]


def test_a_builds_own_lines_keep_their_order() -> None:
    """Two tracebacks have lines in common; only neighbours fold."""
    follower = PhaseFollower(Clock())
    lines = ["Traceback:", "  line 5, in a", "KeyError", "Traceback:", "  line 7, in a", "  line 9, in a"]
    for line in lines:
        follower.apply(Event(json.dumps({"phase": "building", "message": line})))
    assert follower.log == [*lines[:4], "  line 9, in a (2 times)"]


PULL = 'Failed to pull image "r/a:1": failed to resolve reference: '


@pytest.mark.parametrize(
    ("messages", "hopeless"),
    [
        ([PULL + "no basic auth credentials"], False),
        ([PULL + "no basic auth credentials", "Error: ImagePullBackOff"], True),
        ([PULL + "no basic auth credentials", PULL + "no basic auth credentials"], True),
        (["Back-off pulling image r/a:1: ErrImagePull: unexpected status: 401 Unauthorized"], True),
        ([PULL + "unexpected status from HEAD request: 403 Forbidden", "Back-off pulling image"], True),
        ([PULL + "pull access denied, repository does not exist", "Back-off pulling image"], True),
        ([PULL + "manifest unknown", "Back-off pulling image"], True),
        ([PULL + "x509: certificate signed by unknown authority", "Back-off pulling image"], True),
        ([PULL + "server gave HTTP response to HTTPS client", "Back-off pulling image"], True),
        # These may pass by themselves.
        ([PULL + "dial tcp 10.0.0.1:5000: connection refused", "Back-off pulling image"], False),
        ([PULL + "toomanyrequests: pull rate limit", "Back-off pulling image"], False),
        ([PULL + "503 Service Unavailable", "Back-off pulling image", "Back-off pulling image"], False),
        # Not about a pull at all.
        (["hub: x509 in a webhook", "hub: x509 in a webhook", "Error: CrashLoopBackOff"], False),
    ],
)
def test_a_pull_is_given_up_only_when_it_fails_for_good(messages: list[str], hopeless: bool) -> None:
    assert launching(*messages).hopeless is hopeless


def test_a_build_that_cannot_pull_is_not_given_up() -> None:
    follower = PhaseFollower(Clock())
    for _ in range(3):
        follower.apply(Event(json.dumps({"phase": "building", "message": PULL + "denied: no"})))
    assert not follower.hopeless


def test_phases_that_nobody_knows_and_events_that_are_not_json() -> None:
    follower = follow("unknown_phase")
    assert follower.ended and follower.failure is None
    assert follower.phases()["sanitising"] == 1.5
    assert {"not json at all", "[1, 2]", "Step 1"} <= set(follower.log)


def test_a_phase_that_comes_back_is_added_up() -> None:
    clock = Clock()
    follower = PhaseFollower(clock)
    for name in ("building", "pushing", "building", "built"):
        clock.seconds += 1
        follower.apply(Event(f'{{"phase": "{name}"}}'))
    clock.seconds += 1
    assert follower.phases() == {"waiting": 1.0, "building": 2.0, "pushing": 1.0, "built": 1.0}
    assert [segment.name for segment in follower.timeline()].count("building") == 2


def test_unicode_and_an_event_of_two_lines() -> None:
    assert "Größe: 12 MB \u2013 \U0001d4d1inder 🚀" in follow("unicode").log
