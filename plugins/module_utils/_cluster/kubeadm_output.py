# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What kubeadm prints, read: its phases with their seconds, its errors, nothing secret."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["error_lines", "phase_seconds", "redact"]

# A bootstrap token is six and sixteen characters; certificate keys are 64 hexadecimal ones, and so
# are hashes of CA certificates, which are public but not worth an exception.
_SECRETS = (
    (re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b"), "[token]"),
    (re.compile(r"\b[0-9a-fA-F]{64}\b"), "[key]"),
)
_PHASE = re.compile(r"^\[([a-z][a-z0-9/-]*)\]")
_ERROR = re.compile(
    r"\[ERROR |\berror\b|\bfail(?:ed|ure)\b|\btimed out\b|\bfatal\b|\bunable to\b|\bunhealthy\b", re.I
)
# Advice that follows every error and says nothing about this one.
_NOISE = re.compile(r"--v=5 or higher|--ignore-preflight-errors|^\s*$|Some fatal errors occurred", re.I)
_MOST_LINES = 12


def redact(text: str) -> str:
    """Replace bootstrap tokens, certificate keys and CA hashes by a word in brackets."""
    for pattern, word in _SECRETS:
        text = pattern.sub(word, text)
    return text


def error_lines(output: str) -> list[str]:
    """Pick the lines of a failed kubeadm's output that say why.

    Args:
        output: standard output and standard error together.

    Returns:
        At most 12 redacted lines, in order and without repeats: those that speak of errors, else
        the last ones.
    """
    lines = [redact(line.strip()) for line in output.splitlines() if not _NOISE.search(line)]
    telling = [line for line in lines if _ERROR.search(line)]
    return list(dict.fromkeys(telling or lines))[-_MOST_LINES:]


def phase_seconds(lines: Sequence[tuple[float, str]], total: float) -> dict[str, float]:
    """Tell how long each phase took.

    kubeadm starts a phase's lines with its name in brackets. A phase lasts until the first line of
    another one; what comes before the first phase is counted to it.

    Args:
        lines: (seconds since the start, line) in the order in which they were printed.
        total: seconds until kubeadm ended.

    Returns:
        {phase: seconds}, in order of first appearance; phases that come back are summed.
    """
    marks = [(seconds, match.group(1)) for seconds, line in lines if (match := _PHASE.match(line))]
    result: dict[str, float] = {}
    begin = 0.0
    for index, (_seconds, phase) in enumerate(marks):
        end = marks[index + 1][0] if index + 1 < len(marks) else total
        result[phase] = result.get(phase, 0.0) + end - begin
        begin = end
    return {phase: round(seconds, 1) for phase, seconds in result.items()}
