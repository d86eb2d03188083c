# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Killing finds all that a run started, and nothing else; what a run says is read as it is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest
from killing import MARK, Controlled, Moment, Row, changed_tasks, changes, strike, table

# A program with a child in a session of its own, whose parent is gone: as workers of Ansible and what keeps the lock.
PROGRAM = """
import os, subprocess, sys, time
child = "import os, time; os.fork() and os._exit(0); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", child], start_new_session=True).wait()
print("TASK [role : Do it] ***", flush=True)
time.sleep(600)
"""
SAID = """
PLAY [one] ****
TASK [ironbinder.platform.node : Write files] ****
changed: [worker1] => (item=a)
changed: [worker1 -> head1]
TASK [Look] ****
ok: [worker1]
TASK [ironbinder.platform.node : Write files] ****
changed: [worker2]

PLAY RECAP ****
head1      : ok=3    changed=0    unreachable=0
worker1    : ok=3    changed=12   unreachable=0
"""


def run(folder: Path, mark: str) -> Controlled:
    log = folder / f"{mark}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], env={**os.environ, MARK: mark}, stdout=output
        )
    made = Controlled(process, log, mark)
    # By then both are there, and nobody else any more.
    deadline = time.monotonic() + 60
    while "TASK" not in made.said() and time.monotonic() < deadline:
        time.sleep(0.05)
    return made


def gone(run: Controlled) -> bool:
    """Whether nothing of a run is left, as the kernel takes a moment to end what was killed."""
    deadline = time.monotonic() + 60
    while run.processes() and time.monotonic() < deadline:
        time.sleep(0.05)
    return not run.processes()


def test_all_of_a_run_is_killed_and_nothing_else(tmp_path: Path) -> None:
    first, second = run(tmp_path, "first"), run(tmp_path, "second")
    try:
        assert len(first.processes()) == len(second.processes()) == 2
        said = strike(first, Moment("x", "Do it", 0.1), Random(1))
        assert said == "2 processes of the controller"
        assert first.process.returncode == -9
        assert gone(first)
        assert len(second.processes()) == 2
    finally:
        second.kill()
        second.process.wait(60)


def test_a_moment_that_has_passed_is_told(tmp_path: Path) -> None:
    ended = run(tmp_path, "ended")
    ended.kill()
    ended.process.wait(60)
    assert strike(ended, Moment("x", "Never"), Random(1)) == ""
    assert gone(ended)
    assert ended.processes("python3") == []


def test_a_program_that_a_run_has_not_is_not_killed(tmp_path: Path) -> None:
    other = run(tmp_path, "other")
    assert other.kill("helm") == 0
    assert len(other.processes()) == 2
    assert other.kill() == 2
    other.process.wait(60)


def test_what_a_run_said() -> None:
    assert changes(SAID) == {"worker1": 12}
    assert changed_tasks(SAID) == ["Write files"]
    with pytest.raises(ValueError, match="no recap"):
        changes("PLAY [one] ****")


def test_the_table() -> None:
    text = table([Row("apt: dpkg", "a | b", "Write files", 12.4)], {"kills": 1})
    assert text.splitlines() == [
        "kills 1.",
        "",
        "| moment | found | what the next run did | seconds |",
        "|---|---|---|---|",
        "| apt: dpkg | a / b | Write files | 12 |",
    ]
