# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A lock is kept while the run lives, and not a moment longer than somebody else's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.run.lock_keeper import (
    LOST,
    Ending,
    keep,
    release_command,
    renew_command,
)
from hand_clock import HandClock


def kept(answers: dict[float, int], ends_at: float, last: int = 0) -> tuple[Ending, list[tuple[float, str]]]:
    """Keep a lock with a head that answers 0 but at the given times; say how that ended, and what was asked when."""
    clock, asked = HandClock(), []

    def tell(command: str) -> int:
        verb = "renew" if "touch" in command else "release"
        asked.append((clock.now(), verb))
        return last if verb == "release" else answers.get(clock.now(), 0)

    ended = keep(tell, lambda: clock.now() < ends_at, clock, folder="/f", lock_id="ab12", renew_seconds=30)
    return ended, asked


def test_it_is_renewed_and_given_back() -> None:
    ended, asked = kept({}, 95)
    assert ended is Ending.GIVEN_BACK
    assert asked == [(30, "renew"), (60, "renew"), (90, "renew"), (95, "release")]


def test_a_head_that_is_away_is_asked_again_later() -> None:
    ended, asked = kept({30: 255, 60: 255}, 70)
    assert (ended, [when for when, _verb in asked]) == (Ending.GIVEN_BACK, [30, 60, 70])
    assert kept({}, 10, last=255)[0] is Ending.UNKNOWN


def test_one_that_is_somebody_elses_is_left_alone() -> None:
    ended, asked = kept({60: LOST}, 1000)
    assert (ended, asked) == (Ending.LOST, [(30, "renew"), (60, "renew")])


@pytest.mark.parametrize("holder", ["ours", "theirs", "nobody"])
def test_the_commands_touch_what_is_ours(tmp_path: Path, holder: str) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    lease, judged = folder / "site-lock.json", folder / "site-lock.judged"
    judged.touch()
    ids = {"ours": "ab12cd34", "theirs": "ffffffff"}
    if holder in ids:
        lease.write_text(f'{{"id": "{ids[holder]}"}}')
    expected = 0 if holder == "ours" else LOST
    for command in (renew_command(str(folder), ids["ours"]), release_command(str(folder), ids["ours"])):
        assert subprocess.run(["sh", "-c", command], check=False).returncode == expected
    assert lease.exists() is (holder == "theirs")


def test_on_a_head_that_was_reset_nothing_is_made(tmp_path: Path) -> None:
    for command in (renew_command(str(tmp_path), "ab12"), release_command(str(tmp_path), "ab12")):
        assert subprocess.run(["sh", "-c", command], check=False).returncode == LOST
    assert list(tmp_path.iterdir()) == []
