# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The last lines of a log, in which what repeats itself takes one line and the cause is never lost."""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["FoldedLog"]

_DIGITS = re.compile(r"\d+")


class FoldedLog:
    """Keeps the newest `size` lines, and the first that names a cause.

    Lines that differ in digits only count as one and the same: shown is the newest, with how many there
    were. BinderHub says every five seconds for how many seconds it has waited, which would push
    everything else out.
    """

    def __init__(self, size: int, names_cause: Callable[[str], bool]) -> None:
        self._size = size
        self._names_cause = names_cause
        # (line without its digits, newest line, how many)
        self._entries: list[tuple[str, str, int]] = []
        self.cause = ""

    def add(self, line: str, scattered: bool = False) -> None:
        """Add a line.

        Args:
            line: one line; an empty one is left out.
            scattered: fold with any line that is kept, not only with the one before. Right for
                BinderHub's own words and Kubernetes' events; it would tear a build's tracebacks apart.
        """
        line = line.rstrip()
        if not line.strip():
            return
        if not self.cause and self._names_cause(line):
            self.cause = line
        key, times = _DIGITS.sub("0", line), 1
        candidates = range(len(self._entries) - 1, -1 if scattered else len(self._entries) - 2, -1)
        for index in candidates:
            if index >= 0 and self._entries[index][0] == key:
                times += self._entries.pop(index)[2]
                break
        self._entries = [*self._entries, (key, line, times)][-self._size :]

    def forget_cause(self) -> None:
        """Look for a cause anew: what went wrong in an earlier phase was overcome."""
        self.cause = ""

    @property
    def lines(self) -> list[str]:
        """The lines in order; the one that names the cause comes first where it would be gone."""
        kept = [f"{line} ({times} times)" if times > 1 else line for _key, line, times in self._entries]
        known = {key for key, _line, _times in self._entries}
        return [self.cause, *kept] if self.cause and _DIGITS.sub("0", self.cause) not in known else kept
