# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The one way in which Ironbinder waits: ask, judge, let a little time pass, and give up in time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Optional, TypeVar, Union

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock

__all__ = ["Waited", "wait_until"]

Seen = TypeVar("Seen")


@dataclass(frozen=True)
class Waited(Generic[Seen]):
    """What was seen last, after how many seconds, and whether it was what was waited for."""

    seen: Seen
    seconds: float
    done: bool


def wait_until(
    look: Callable[[float], Seen],
    done: Callable[[Seen], bool],
    *,
    clock: Clock,
    timeout_seconds: float,
    step_seconds: Union[float, Callable[[Seen], float]] = 1.0,
    forgive: Optional[Callable[[Exception, float], bool]] = None,
) -> Waited[Seen]:
    """Look until what is seen is `done`, at most for `timeout_seconds`, and at least once.

    Args:
        look: asks once; gets the seconds since the wait began. May raise to end the wait.
        done: judges what was seen.
        clock: time.
        timeout_seconds: 0 looks once.
        step_seconds: pause between two looks, or what gives it for what was seen; a second after an exception.
        forgive: says of an exception of `look`, and of the seconds since `look` last gave an answer (or
            since the wait began), whether to look again. Without time left it is raised all the same.

    Returns:
        What was seen last; `done` is False where the time was up.
    """
    started = answered = clock.now()
    while True:
        try:
            seen = look(clock.now() - started)
        except Exception as error:
            # A look that hangs takes its time too, so the clock is read after it.
            now = clock.now()
            if forgive is None or now - started >= timeout_seconds or not forgive(error, now - answered):
                raise
            pause = 1.0 if callable(step_seconds) else step_seconds
        else:
            now = answered = clock.now()
            if done(seen):
                return Waited(seen, now - started, True)
            if now - started >= timeout_seconds:
                return Waited(seen, now - started, False)
            pause = step_seconds(seen) if callable(step_seconds) else step_seconds
        clock.sleep(min(pause, timeout_seconds - (now - started)))
