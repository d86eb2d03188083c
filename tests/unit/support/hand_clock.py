# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A clock that only moves when it is told to."""

from __future__ import annotations

__all__ = ["HandClock"]


class HandClock:
    """Seconds that pass by `sleep`, and by nothing else; `slept` has each pause."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []

    def now(self) -> float:
        """Return the seconds so far."""
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass at once."""
        assert seconds >= 0, "time does not go backwards"
        self.slept.append(seconds)
        self.seconds += seconds
