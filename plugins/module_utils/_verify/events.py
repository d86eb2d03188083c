# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What BinderHub says while it builds and launches: the event stream, and the phases in it.

The stream: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
The phases: https://binderhub.readthedocs.io/en/latest/api.html
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Union

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.json_text import read_json
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.causes import PullWatch, find_cause
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.log import FoldedLog

__all__ = [
    "Comment",
    "Event",
    "EventStreamError",
    "EventStreamParser",
    "Failure",
    "PhaseFollower",
    "Segment",
]

# An event of a launch is a few hundred bytes; the progress of a push with many layers a few thousand.
MAX_EVENT_CHARACTERS = 1 << 20
FAILURE_PHASES = frozenset({"failed", "failure"})
# What only a build goes through: an image that is in the registry already starts at `built`.
BUILD_PHASES = frozenset({"waiting", "fetching", "building", "pushing", "unknown"})
# In these BinderHub and Kubernetes speak, in the others the build does.
SPOKEN_PHASES = frozenset({"waiting", "built", "launching"})
# What BinderHub can say before it reports on a build or an image counts as waiting for it.
FIRST_PHASE = "waiting"
_LINE_END = re.compile(r"\r\n|\r|\n")
_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


class EventStreamError(ValueError):
    """Something that cannot be an event stream. Its text says what arrived."""


@dataclass(frozen=True)
class Event:
    """One dispatched event; lines of several `data` fields are joined by newlines."""

    data: str
    name: str = "message"


@dataclass(frozen=True)
class Comment:
    """A line that starts with a colon; BinderHub sends `:keepalive` every 25 to 30 seconds."""

    text: str


class EventStreamParser:
    """Turns bytes, cut anywhere, into events and comments."""

    def __init__(self, max_characters: int = MAX_EVENT_CHARACTERS) -> None:
        # utf-8-sig drops the byte-order mark the format allows; a broken byte must not hide a failed build.
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        self._max_characters = max_characters
        self._text = ""
        self._data: list[str] = []
        self._name = ""
        self._after_return = False

    @property
    def pending(self) -> bool:
        """Whether part of an event has arrived and its end has not."""
        return bool(self._text or self._data or self._name)

    def feed(self, chunk: bytes) -> list[Union[Event, Comment]]:
        """Return what `chunk` completes.

        Raises:
            EventStreamError: an event larger than any BinderHub sends.
        """
        text = self._decoder.decode(chunk)
        if self._after_return and text:
            # The carriage return ended its line when it came; a newline that follows belongs to it.
            text = text[1:] if text[0] == "\n" else text
            self._after_return = False
        self._after_return = self._after_return or text.endswith("\r")
        *lines, self._text = _LINE_END.split(self._text + text)
        if len(self._text) + sum(map(len, self._data)) > self._max_characters:
            raise EventStreamError(
                f"one event is longer than {self._max_characters} characters: it begins "
                f"{(''.join(self._data) + self._text)[:80]!r}"
            )
        items: list[Union[Event, Comment]] = []
        for line in lines:
            items.extend(self._line(line))
        return items

    def _line(self, line: str) -> list[Union[Event, Comment]]:
        if line.startswith(":"):
            return [Comment(line[1:].strip())]
        if line:
            name, _colon, value = line.partition(":")
            value = value[1:] if value.startswith(" ") else value
            if name == "data":
                self._data.append(value)
            elif name == "event":
                self._name = value
            return []
        data, name = self._data, self._name
        self._data, self._name = [], ""
        return [Event("\n".join(data), name or "message")] if data else []


@dataclass(frozen=True)
class Segment:
    """One stretch of one phase. Seconds count from the request."""

    name: str
    start_seconds: float
    seconds: float


@dataclass(frozen=True)
class Failure:
    """What BinderHub said when it gave up, and the phase it was in."""

    phase: str
    message: str
    status_code: int = 0


@dataclass
class PhaseFollower:
    """Follows the phases of one launch and times them.

    A failure is final: BinderHub 0.1.0 answers a failed build with `Failed`, then `built`, then
    `launching`, and may even become ready from an older image. `contradictions` lists such phases.
    """

    clock: Clock
    log_lines: int = 25
    failure: Union[Failure, None] = None
    failed_at: float = 0.0
    ready: Mapping[str, Any] = field(default_factory=dict)
    image: str = ""
    built_now: bool = False
    contradictions: list[str] = field(default_factory=list)
    keepalives: int = 0
    events: int = 0

    def __post_init__(self) -> None:
        self.started = self.clock.now()
        self._starts: list[tuple[str, float]] = [(FIRST_PHASE, self.started)]
        self._ended: Union[float, None] = None
        self._log = FoldedLog(self.log_lines, lambda line: find_cause(line, self.phase) is not None)
        self.pull = PullWatch()

    @property
    def phase(self) -> str:
        """The phase the launch is in, or was in when it ended."""
        return self._starts[-1][0]

    @property
    def log(self) -> list[str]:
        """The last lines that BinderHub, the build or the spawner said, see `FoldedLog`."""
        return self._log.lines

    @property
    def hopeless(self) -> bool:
        """Whether the launch goes on and cannot end well."""
        return not self.ended and self.phase == "launching" and self.pull.hopeless

    @property
    def ended(self) -> bool:
        """Whether the launch became ready or failed."""
        return self._ended is not None

    def apply(self, item: Union[Event, Comment]) -> None:
        """Take in the next item of the stream."""
        if isinstance(item, Comment):
            self.keepalives += 1
            return
        self.events += 1
        record = _record(item.data)
        # Old versions capitalise Kubernetes' own pod phases.
        phase = str(record.get("phase") or "").strip().lower()
        goes_on = bool(self.failure and phase)
        if phase:
            self._follow(phase, record)
        # After the phase, so that a line counts for the phase it came with.
        if not goes_on:
            self._remember(str(record.get("message") or ""))

    def _follow(self, phase: str, record: Mapping[str, Any]) -> None:
        if self.failure is not None:
            if phase not in FAILURE_PHASES:
                self.contradictions.append(phase)
            elif not (self.failure.message or self.contradictions):
                self.failure = Failure(self.failure.phase, _message(record), _status_code(record))
        elif phase in FAILURE_PHASES:
            self.failure = Failure(self.phase, _message(record), _status_code(record))
            self._ended = self.failed_at = self.clock.now()
        else:
            self._advance(phase)
        self.image = str(record.get("imageName") or record.get("image") or self.image)
        if phase == "ready":
            # Kept after a failure too: there is then a server that somebody has to stop.
            self.ready = record

    def _advance(self, phase: str) -> None:
        self.built_now = self.built_now or phase in BUILD_PHASES
        if phase == "ready":
            self._ended = self.clock.now()
        elif phase != self.phase:
            self._starts.append((phase, self.clock.now()))
            self._log.forget_cause()

    def _remember(self, message: str) -> None:
        for line in _LINE_END.split(_TERMINAL_CODES.sub("", message)):
            self._log.add(line, scattered=self.phase in SPOKEN_PHASES)
            if self.phase == "launching":
                self.pull.note(line)

    @property
    def total_seconds(self) -> float:
        """Seconds from the request to the end, or to now."""
        return round((self.clock.now() if self._ended is None else self._ended) - self.started, 3)

    def timeline(self) -> list[Segment]:
        """List every stretch in order; together they are `total_seconds`."""
        end = self.started + self.total_seconds
        ends = [start for _name, start in self._starts[1:]] + [end]
        return [
            Segment(name, round(start - self.started, 3), round(stop - start, 3))
            for (name, start), stop in zip(self._starts, ends)
        ]

    def phases(self) -> dict[str, float]:
        """Sum the seconds of each phase, in order of first appearance."""
        totals: dict[str, float] = {}
        for segment in self.timeline():
            totals[segment.name] = round(totals.get(segment.name, 0.0) + segment.seconds, 3)
        return totals


def _record(data: str) -> Mapping[str, Any]:
    """Read an event's data; what is not a JSON object is a log line."""
    try:
        record = read_json(data)
    except ValueError:
        return {"message": data}
    return record if isinstance(record, dict) else {"message": data}


def _message(record: Mapping[str, Any]) -> str:
    return _TERMINAL_CODES.sub("", str(record.get("message") or "")).strip()


def _status_code(record: Mapping[str, Any]) -> int:
    code = record.get("status_code")
    return code if isinstance(code, int) else 0
