# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Regular expressions for specs: whether they are some, and whether they come to an end."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import lru_cache

__all__ = ["fits", "pattern_fault", "slow_patterns"]

# Of a processor; a pattern that does well takes a thousandth.
SECONDS = 1.0
# Only these are tried, so that a site without any waits for no other process: a group that is repeated, and several repetitions.
_MAY_BE_SLOW = re.compile(r"\)[*+{]|(?:[*+{].*){3}", re.DOTALL)
_LITERAL = re.compile(r"\^?((?:[\w/%:@-]|\\[./-])*)(?![*+?{])")
# As often as it takes for a search that tries every way.
LENGTH = 64
# Nothing in Python ends a search that has begun, but the default of a signal ends the process.
_PROGRAM = f"""
import json, re, signal, sys
signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
for pattern, specs in json.load(sys.stdin):
    compiled = re.compile(pattern, re.IGNORECASE)
    signal.setitimer(signal.ITIMER_VIRTUAL, {SECONDS})
    for spec in specs:
        compiled.match(spec)
    print(flush=True)
"""


def fits(pattern: str, spec: str) -> bool:
    """Whether BinderHub takes a spec for one of a pattern's."""
    return re.match(pattern, spec, re.IGNORECASE) is not None


def pattern_fault(pattern: object) -> str:
    """Say why something is no pattern; empty where it is one."""
    if not isinstance(pattern, str):
        return "is no text"
    if not pattern:
        return "is empty, and fits every repository"
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"is no regular expression: {error}"
    return ""


def _long_specs(pattern: str) -> Iterator[str]:
    """Give specs that begin as the pattern does, go on with one of its characters or with all, and hardly fit."""
    found = _LITERAL.match(pattern)
    literal = found[1].replace("\\", "") if found else ""
    own = list(dict.fromkeys(re.findall(r"[\w/%-]", pattern)))
    for repeated in dict.fromkeys(["a", "1", *own, "".join(own)]):
        for beginning in dict.fromkeys((literal, "")):
            yield f"{beginning}{repeated * LENGTH}!"


@lru_cache(maxsize=8)
def slow_patterns(patterns: Sequence[str], specs: Sequence[str] = ()) -> frozenset[str]:
    """Give those patterns that hold up whoever compares a spec with them, BinderHub included.

    They are tried in a process of their own, and only where there is one that could be slow.

    Args:
        patterns: a tuple of patterns without a fault.
        specs: a tuple of specs with which they will be compared, beside those that are made up here.

    Raises:
        RuntimeError: the process ended otherwise than it may.
        OSError, subprocess.TimeoutExpired: it did not begin, or not come to an end.
    """
    left = [pattern for pattern in patterns if _MAY_BE_SLOW.search(pattern)]
    slow: set[str] = set()
    while left:
        work = [(pattern, [*_long_specs(pattern), *specs]) for pattern in left]
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _PROGRAM],
            input=json.dumps(work),
            capture_output=True,
            text=True,
            timeout=60 + len(work) * SECONDS,
            check=False,
        )
        if done.returncode == 0:
            break
        if done.returncode != -signal.SIGVTALRM:
            raise RuntimeError(f"patterns could not be tried: {done.stderr.strip()[-200:]}")
        place = done.stdout.count("\n")
        slow.add(left[place])
        left = left[place + 1 :]
    return frozenset(slow)
