# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The one waiting loop, with a clock that a hand moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._base.waiting import wait_until
from hand_clock import HandClock


def wait(look: Callable[[float], Any], clock: HandClock, timeout: float, **more: Any) -> Any:
    return wait_until(look, lambda seen: seen == "there", clock=clock, timeout_seconds=timeout, **more)


@pytest.mark.parametrize(
    ("appears", "timeout", "done", "ends"),
    [
        (0, 0, True, 0),
        (0, 10, True, 0),
        (3, 10, True, 3),
        (10, 10, True, 10),
        (99, 10, False, 10),
        (1, 0, False, 0),
    ],
)
def test_looks_at_least_once_and_never_past_the_end(
    appears: float, timeout: float, done: bool, ends: float
) -> None:
    """The last look is at the very end, not a step before or after it."""
    clock = HandClock()
    waited = wait(lambda now: "there" if now >= appears else "", clock, timeout)
    assert (waited.done, waited.seconds, clock.now()) == (done, ends, ends)


def test_steps_are_no_longer_than_what_is_left() -> None:
    clock = HandClock()
    assert not wait(lambda _now: "", clock, 5, step_seconds=2).done
    assert clock.slept == [2, 2, 1]


def test_what_was_seen_may_say_how_long_to_wait() -> None:
    """As a server that is busy does; after an exception it is a second."""
    clock = HandClock()
    seen: list[Any] = [2, OSError("away"), 5, "there"]

    def look(_now: float) -> Any:
        if isinstance(seen[0], OSError):
            raise seen.pop(0)
        return seen.pop(0)

    assert wait(look, clock, 60, step_seconds=float, forgive=patient).done
    assert clock.slept == [2, 1, 5]


def flaky(clock: HandClock, silent: Callable[[float], bool], takes: float = 0) -> Callable[[float], str]:
    """Raise while `silent` says so, after `takes` seconds of hanging."""

    def look(_now: float) -> str:
        if silent(clock.now()):
            clock.sleep(takes)
            raise OSError("nobody there")
        return ""

    return look


def patient(_error: Exception, silent_seconds: float) -> bool:
    return silent_seconds < 30


def test_an_answer_makes_patience_whole_again() -> None:
    """Two silences of 20 s each are no silence of 40 s."""
    clock = HandClock()
    look = flaky(clock, lambda now: 0 <= now < 20 or 30 <= now < 50)
    assert not wait(look, clock, 60, forgive=patient).done
    assert clock.now() == 60


def test_patience_ends_and_a_hanging_look_counts() -> None:
    """A look that hangs for 20 s is forgiven once."""
    for takes, ends in ((0, 30), (20, 41)):
        clock = HandClock()
        with pytest.raises(OSError, match="nobody there"):
            wait(flaky(clock, lambda _now: True, takes), clock, 600, forgive=patient)
        assert clock.now() == ends


def test_no_forgiveness_without_time_or_without_asking_for_it() -> None:
    clock = HandClock()
    look = flaky(clock, lambda _now: True)
    for timeout, forgive in ((0, patient), (60, None)):
        with pytest.raises(OSError, match="nobody there"):
            wait(look, clock, timeout, forgive=forgive)
    assert clock.now() == 0


def test_a_look_may_end_the_wait_itself() -> None:
    """Only what `forgive` knows is forgiven."""
    clock = HandClock()

    def look(_now: float) -> str:
        raise ValueError("never")

    with pytest.raises(ValueError, match="never"):
        wait(look, clock, 60, forgive=lambda error, _silent: isinstance(error, OSError))
    assert clock.now() == 0
