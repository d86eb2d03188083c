# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Tells from the arrival of a stream's bytes whether something on the way held them back.

Measured with NGINX 1.22 before a Tornado server, see docs/verifier.md: a buffering NGINX sends blocks
of 4096 bytes that end in the middle of an event, and the rest when BinderHub closes the stream.
BinderHub itself flushes whole events, and never says `launching` and `ready` in one breath.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Union

from ansible_collections.ironbinder.platform.plugins.module_utils._base.json_text import read_json
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.events import Comment, Event

__all__ = ["Arrivals"]

# A lost packet is sent again within 0.2 to 1 second, so one such pause proves nothing, two do; a long one does alone.
TORN_PAUSE_SECONDS = 0.5
TORN_PAUSE_ALONE_SECONDS = 3.0
# A pod takes longer than this to start, and BinderHub's keepalives are 25 seconds apart or more.
TOGETHER_SECONDS = 0.1
# A silence before a burst, in which a launch can have happened unseen.
SILENCE_SECONDS = 1.0


class Arrivals:
    """Watches when bytes arrive. Times are seconds of one clock."""

    def __init__(self, started: float) -> None:
        self._last = started
        self._torn = False
        self._torn_pauses: list[float] = []
        self._silence = 0.0
        self._seen: dict[str, float] = {}
        self.evidence = ""

    def note(self, now: float, items: Sequence[Union[Event, Comment]], torn: bool) -> None:
        """Take in one read: when it came, what it completed, and whether it ends inside an event."""
        pause, self._last = now - self._last, now
        if pause >= TOGETHER_SECONDS:
            self._silence = pause
        if self._torn and pause >= TORN_PAUSE_SECONDS:
            self._torn_pauses.append(pause)
        self._torn = torn
        for item in items:
            self._note_item(now, "keepalive" if isinstance(item, Comment) else _phase(item))
        if len(self._torn_pauses) > 1 or max(self._torn_pauses, default=0) >= TORN_PAUSE_ALONE_SECONDS:
            self._conclude(
                f"the stream stopped in the middle of an event {len(self._torn_pauses)} times, "
                f"for {max(self._torn_pauses):.1f} s at most"
            )

    def _note_item(self, now: float, name: str) -> None:
        if self._silence >= SILENCE_SECONDS:
            if name == "ready" and now - self._seen.get("launching", now - 1) < TOGETHER_SECONDS:
                self._conclude(
                    f"'launching' and 'ready' arrived together after {self._silence:.1f} s of silence"
                )
            if name == "keepalive" and now - self._seen.get(name, now - 1) < TOGETHER_SECONDS:
                self._conclude(f"two keepalives arrived together after {self._silence:.1f} s of silence")
        # A spawner's progress repeats `launching` right up to `ready`: the first one counts.
        if name != "launching" or name not in self._seen:
            self._seen[name] = now

    def _conclude(self, evidence: str) -> None:
        self.evidence = self.evidence or evidence


def _phase(event: Event) -> str:
    try:
        return str(read_json(event.data)["phase"]).lower()
    except (ValueError, KeyError, TypeError):
        return ""
