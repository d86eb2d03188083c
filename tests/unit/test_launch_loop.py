# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""How long nobody could launch, from a list of attempts."""

from __future__ import annotations

import time
from itertools import chain, repeat
from typing import Any

import pytest
from launch_loop import Attempt, LaunchLoop, summary


@pytest.mark.parametrize(
    ("attempts", "expected"),
    [
        (
            [(0, 5, ""), (6, 11, "")],
            {"launches": 2, "failures": 0, "longest_gap_seconds": 9, "gap_began_seconds": 11},
        ),
        # A failure in between makes no gap shorter, and a slow launch is one as well.
        (
            [(0, 5, ""), (6, 8, "away"), (9, 18, "")],
            {"failures": 1, "longest_gap_seconds": 13, "gap_began_seconds": 5},
        ),
        (
            [(0, 2, "away"), (3, 4, "away"), (5, 16, "")],
            {"failures": 2, "longest_gap_seconds": 16, "faults": ["away"]},
        ),
        ([(0, 2, "away")], {"failures": 1, "longest_gap_seconds": 20, "median_seconds": None}),
        ([], {"launches": 0, "longest_gap_seconds": 20}),
    ],
)
def test_the_longest_gap(attempts: list[tuple[float, float, str]], expected: dict[str, Any]) -> None:
    told = summary([Attempt(*entry) for entry in attempts], 0, 20)
    assert {key: told[key] for key in expected} == expected


def test_it_launches_until_it_is_stopped() -> None:
    answers = chain(["", "away"], repeat(""))
    with LaunchLoop(lambda: next(answers), pause_seconds=0.01) as loop:
        while len(loop.attempts) < 4:
            time.sleep(0.005)
    assert loop.told["failures"] == 1
    assert loop.told["launches"] == len(loop.attempts) >= 4
