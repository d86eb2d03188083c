# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A clock for tests: time passes when somebody looks at it, or sleeps, and not otherwise."""

from __future__ import annotations


class Ticking:
    """Moves on by `step` seconds after each look; `slept` holds what was slept."""

    def __init__(self, step: float = 0.0, start: float = 100.0) -> None:
        self.step = step
        self.time = start
        self.slept: list[float] = []

    def now(self) -> float:
        """Return the time, and let it move on."""
        now = self.time
        self.time += self.step
        return now

    def sleep(self, seconds: float) -> None:
        """Move on at once."""
        self.slept.append(seconds)
        self.time += seconds
