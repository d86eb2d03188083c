# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Whose a lock is, by the head's clock alone."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import SystemClock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.lock import LockFile
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.site_lock import (
    JUDGED_FILE,
    LEASE_FILE,
    LEASE_SECONDS,
    Holder,
    read_holder,
    site_lock_facts,
    take,
)

NOW = 1.8e9


def try_take(folder: Path, name: str, at: float = NOW, **more: object) -> bool:
    taken = take(folder, Holder(name, who=name), SystemClock(), epoch=lambda: at, **more)  # type: ignore[arg-type]
    if taken.done:
        os.utime(folder / LEASE_FILE, (at, at))
    return taken.done


def test_one_has_it_and_the_other_waits_until_it_lapses(tmp_path: Path) -> None:
    assert try_take(tmp_path, "a")
    assert not try_take(tmp_path, "b", NOW + LEASE_SECONDS - 1)
    # Its own again, which renews it.
    assert try_take(tmp_path, "a", NOW + 100)
    assert not try_take(tmp_path, "b", NOW + LEASE_SECONDS + 1)
    assert try_take(tmp_path, "b", NOW + 100 + LEASE_SECONDS)
    assert not try_take(tmp_path, "a", NOW + 101 + LEASE_SECONDS)


def test_one_that_is_over_is_taken_by_its_id(tmp_path: Path) -> None:
    assert try_take(tmp_path, "a")
    assert not try_take(tmp_path, "b", instead_of=["c"])
    assert try_take(tmp_path, "b", instead_of=["a"])
    # The one that is gone now breaks nothing any more.
    assert not try_take(tmp_path, "c", instead_of=["a"])


def test_a_clock_that_was_wrong_locks_nobody_out_for_long(tmp_path: Path) -> None:
    assert try_take(tmp_path, "a", NOW + 10 * LEASE_SECONDS)
    assert try_take(tmp_path, "b", NOW)


@pytest.mark.parametrize("text", ["", "[]", '{"id": 5}', '{"id": ""}', '{"id": "a", "pid": "x"}', "\xff"])
def test_a_file_that_says_nothing_is_nobodys(tmp_path: Path, text: str) -> None:
    (tmp_path / LEASE_FILE).write_text(text, encoding="latin-1")
    assert read_holder(tmp_path, NOW) is None
    assert try_take(tmp_path, "b")


def test_the_lease_says_what_the_next_one_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "var/lib/ironbinder"
    assert site_lock_facts(tmp_path, NOW) == {}
    assert try_take(folder, "a")
    assert (folder / LEASE_FILE).stat().st_mode & 0o777 == 0o644
    assert "heard" not in json.loads((folder / LEASE_FILE).read_text())
    told = site_lock_facts(tmp_path, NOW + 60)
    assert (told["id"], told["who"], told["since"], told["heard"]) == ("a", "a", NOW, 60)
    assert site_lock_facts(tmp_path, NOW + LEASE_SECONDS) == {}


def test_of_two_that_judge_at_once_one_waits(tmp_path: Path) -> None:
    judged = LockFile(tmp_path / JUDGED_FILE)
    assert judged.try_take()

    class Clock(SystemClock):
        def sleep(self, seconds: float) -> None:
            judged.release()

    assert take(tmp_path, Holder("a"), Clock(), epoch=lambda: NOW).done
