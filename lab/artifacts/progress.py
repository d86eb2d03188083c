"""One list of everything that is to be made, and how far it is: part i of n, the time so far, the time that is left.

Parts have weights: the seconds that they take on a fast machine. What this machine needs for each such second is measured
while it works, remembered beside the results, and applied to what is left.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Part", "Progress", "Speed", "clock_text", "needed"]

# What two cores of an ordinary server need for a second of weight, until this machine has shown its own.
_USUAL_FACTOR = 1.4
# So much of the past goes with what is seen now, in seconds of weight.
_MEMORY = 60.0


@dataclass(frozen=True)
class Part:
    """Something to make. `make` returns words for the end of its line, such as the size of an image."""

    label: str
    seconds: float
    is_needed: Callable[[], bool]
    make: Callable[[], str]


def needed(parts: Iterable[Part]) -> list[Part]:
    """Ask each part whether it has to be made."""
    return [part for part in parts if part.is_needed()]


def clock_text(seconds: float) -> str:
    """Write seconds as 12m05s."""
    return f"{int(seconds) // 60}m{int(seconds) % 60:02d}s"


class Speed:
    """What a second of weight takes on this machine."""

    def __init__(self, file: Path | None = None) -> None:
        """Read what was measured before, if it can be read."""
        self.file = file
        self.factor = _USUAL_FACTOR
        try:
            known = float(json.loads(file.read_text())["factor"]) if file else 0.0
        except (OSError, ValueError, KeyError, TypeError):
            known = 0.0
        # A file that says nonsense is as good as none.
        if 0.1 <= known <= 100:
            self.factor = known
        self._weight, self._taken = _MEMORY, _MEMORY * self.factor

    def saw(self, weight: float, seconds: float) -> None:
        """Learn from a part that is done, and remember it."""
        self._weight += weight
        self._taken += seconds
        self.factor = self._taken / self._weight
        if self.file:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.write_text(json.dumps({"factor": round(self.factor, 3)}) + "\n")


class Progress:
    """Makes parts and says where it is."""

    def __init__(
        self,
        speed: Speed,
        *,
        later: Sequence[float] = (),
        clock: Callable[[], float] = time.monotonic,
        say: Callable[[str], object] = sys.stdout.write,
    ) -> None:
        """Begin to count.

        Args:
            speed: of this machine.
            later: weights of what somebody else does afterwards; they count in n and in what is left.
            clock: seconds.
            say: takes pieces of text, with their line ends.
        """
        self.speed = speed
        self.later = list(later)
        self.clock = clock
        self.say = say
        self.begun = clock()
        self.done = 0
        self.ahead: list[Part] = []

    @property
    def total(self) -> int:
        """How many parts there are, as far as is known now."""
        return self.done + len(self.ahead) + len(self.later)

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return self.clock() - self.begun

    @property
    def left(self) -> float:
        """Seconds that what is ahead will take here."""
        return (sum(part.seconds for part in self.ahead) + sum(self.later)) * self.speed.factor

    def expect(self, parts: Iterable[Part]) -> None:
        """Say what is ahead; what was expected before and is not done is forgotten."""
        self.ahead = list(parts)

    def work(self, parts: Sequence[Part]) -> None:
        """Make these parts, which are ahead, in order. What one raises ends the work."""
        for part in parts:
            width = len(str(self.total))
            self._tell(
                f"  [{self.done + 1:{width}}/{self.total}] {clock_text(self.elapsed)} so far, "
                f"about {clock_text(self.left)} left: {part.label} ... "
            )
            started = self.clock()
            try:
                words = part.make()
            except BaseException:
                self._tell("failed\n")
                raise
            taken = self.clock() - started
            self._tell(f"{clock_text(taken)}{', ' if words else ''}{words}\n")
            self.ahead.remove(part)
            self.done += 1
            self.speed.saw(part.seconds, taken)

    def _tell(self, text: str) -> None:
        self.say(text)
        if self.say == sys.stdout.write:
            sys.stdout.flush()
