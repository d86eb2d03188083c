# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What dpkg and apt are asked and what they print, read. Everything here expects LC_ALL=C."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = [
    "ASK_STATES",
    "INTERRUPTED",
    "LOCKED",
    "Offer",
    "State",
    "error_lines",
    "is_version",
    "parse_policy",
    "parse_states",
]

# Names of packages follow. `parse_states` reads the answer.
ASK_STATES = (
    "dpkg-query",
    "--show",
    "--showformat=${db:Status-Want} ${db:Status-Status} ${Package} ${Version}\\n",
)
# Another program has the lock, in apt's words and those of dpkg, which locks once more by itself; older ones of it say "is".
LOCKED = re.compile(r"Could not get lock|(frontend lock|status database) (is|was) locked")
# How apt says that an earlier one was killed in the middle.
INTERRUPTED = "dpkg --configure -a"

_VERSION_LINE = re.compile(r"^ (?:\*\*\*|   ) (\S+) (-?\d+)(?: \(phased \d+%\))?$")
_SOURCE_LINE = re.compile(r"^ {8,}-?\d+ (\S+)")
_DPKG_STATUS = "/var/lib/dpkg/status"
# Installed in every respect but for triggers that dpkg runs at the end of its next run.
_THERE = ("installed", "triggers-awaited", "triggers-pending")
# All of its files are in place, and what is left is to configure it: apt does that, without another version.
_HALF_DONE = ("unpacked", "half-configured")


@dataclass(frozen=True)
class State:
    """A package as dpkg has it: its version, "" where it is not installed, and whether that is held.

    `whole` is False where a run that was stopped left it to be configured, `torn` is True where some of its files may be missing.
    """

    name: str
    version: str
    held: bool
    whole: bool = True
    torn: bool = False


@dataclass(frozen=True)
class Offer:
    """A package as apt's lists have it: what apt would choose, and all that repositories have, newest first."""

    candidate: str
    versions: tuple[str, ...]


def is_version(version: str, wanted: str) -> bool:
    """Whether a package's version is the upstream version `wanted`, whatever its epoch and revision.

    5:28.0.1-1~debian.12 and 28.0.1+dfsg1-1 are 28.0.1; 28.0.10-1 and 28.0.1~rc1-1 are not.
    """
    names = (version, version.partition(":")[2] or version)
    return any(name == wanted or name.startswith((f"{wanted}-", f"{wanted}+")) for name in names)


def parse_states(text: str) -> dict[str, State]:
    """Read lines of `want status package version`, as dpkg-query prints them on request."""
    states: dict[str, State] = {}
    for line in text.splitlines():
        want, status, name, version = [*line.split(" "), "", "", ""][:4]
        whole = status not in _HALF_DONE
        there = version if status in (*_THERE, *_HALF_DONE) else ""
        # A library of two architectures has two lines.
        if name and (name not in states or (there and (whole or not states[name].version))):
            states[name] = State(name, there, want == "hold", whole, status == "half-installed")
    return states


def parse_policy(text: str) -> dict[str, Offer]:
    """Read `apt-cache policy`. Packages that apt never heard of are not in it; virtual ones have no version."""
    offers: dict[str, Offer] = {}
    versions: list[str] = []
    name = candidate = current = ""
    for line in [*text.splitlines(), "end:"]:
        if line and not line.startswith(" "):
            if name:
                offers[name] = Offer(candidate, tuple(dict.fromkeys(versions)))
            name, candidate, versions, current = line.rstrip(":"), "", [], ""
        elif line.startswith("  Candidate: "):
            candidate = line[len("  Candidate: ") :].replace("(none)", "")
        elif match := _VERSION_LINE.match(line):
            # A negative priority is an admin's "never".
            current = match.group(1) if int(match.group(2)) >= 0 else ""
        elif (match := _SOURCE_LINE.match(line)) and current and not match.group(1).endswith(_DPKG_STATUS):
            versions.append(current)
    return offers


def error_lines(out: str, err: str) -> str:
    """Give what apt or dpkg said about its failure, on one line."""
    lines = [line.strip() for line in (err.strip() or out).splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("E:", "dpkg: error", "dpkg-query: error"))] or lines
    return "; ".join(telling[-4:]) or "it said nothing"
