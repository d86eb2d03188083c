# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""SIGKILL at a chosen moment: to the controller's processes of a run, or to a program on one of the lab's machines."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from converged import faults
from live_site import ROOT, Site
from machines import container, on

from playbooks import start

MARK = "IRONBINDER_TEST_RUN"
LONGEST_SECONDS = 1800
# How long a moment may take to come, and how often it is looked for.
MOMENT_SECONDS, STEP_SECONDS, SETTLE_SECONDS = 600, 0.05, 15
CONTROLLER = "the controller"
# For a run that has to prove a launch and no more: fences and trust are proved by every scenario's own runs, and take as long
LAUNCH_ONLY = ("-e", "{site_fence_check_enabled: false, site_trust_check_enabled: false}")
HERE = Path(__file__).parent
# Waits on the machine itself, as asking by `docker exec` takes longer than some moments last. Prints the processes it killed.
# Only processes of that name in the machine's own name space of processes are seen there. One that ended before its moment was
# another, as apt asks dpkg a few things first.
ON_MACHINE = """
deadline=$(( $(date +%s) + {seconds} ))
while [ "$(date +%s)" -lt "$deadline" ]; do
  if {condition}; then
    sleep {delay}
    pids=$(pgrep -x '{program}') && kill -KILL $pids && echo $pids && exit
  fi
  sleep 0.02
done
exit 3
"""


@dataclass(frozen=True)
class Moment:
    """When to kill what.

    `task` is a pattern of the name of the task at which the moment begins, "" for the start of the run; `within` is for how many
    seconds it lasts, of which one is drawn. `victim` is `CONTROLLER`, or a machine, of which the program `program` is killed once
    it is there or, with `condition`, once that shell command succeeds.
    """

    name: str
    task: str = ""
    within: float = 3.0
    victim: str = CONTROLLER
    program: str = ""
    condition: str = ""


@dataclass
class Row:
    """One line of the table in docs/reliability.md."""

    moment: str
    found: str
    action: str
    seconds: float


@dataclass
class Controlled:
    """A run of a playbook that can be found again with all that it started on this computer."""

    process: subprocess.Popen[bytes]
    log: Path
    mark: str

    def said(self) -> str:
        """Give what it printed so far."""
        return self.log.read_text(errors="replace")

    def processes(self, program: str = "") -> list[int]:
        """Number the run's processes here, however they were detached: workers, ssh, helm, what keeps the lock.

        With `program` those of that name only.
        """
        wanted = f"{MARK}={self.mark}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if not entry.name.isdigit() or wanted not in (entry / "environ").read_bytes().split(b"\0"):
                    continue
                if not program or (entry / "comm").read_text().strip() == program:
                    found.append(int(entry.name))
            except OSError:
                continue  # gone in the meantime
        return found

    def kill(self, program: str = "") -> int:
        """Kill all of them, also those that one of them was just about to start; say how many."""
        killed: set[int] = set()
        while left := set(self.processes(program)) - killed:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            killed |= left
        return len(killed)


def begin(site: Site, playbook: str, *arguments: str, log: Path) -> Controlled:
    """Start a playbook whose processes carry a mark."""
    mark = uuid.uuid4().hex
    # A task is named when it begins; where skipped hosts are not shown, only once a host has done it.
    environment = {MARK: mark, "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "true"}
    process = start(site.inventory, ROOT / playbook, *arguments, log=log, environment=environment)
    return Controlled(process, log, mark)


def strike(run: Controlled, moment: Moment, draw: Random) -> str:
    """Wait for the moment, kill, and wait until nothing of the run is left on the controller; say what was killed.

    Returns:
        "" where the moment did not come: the run ended before it. Whoever asked draws again.
    """
    if not _came(run, moment.task):
        return ""
    delay = round(draw.uniform(0, moment.within), 2)
    if moment.victim == CONTROLLER:
        if moment.program:
            _wait(
                lambda: bool(run.processes(moment.program)) or run.process.poll() is not None, MOMENT_SECONDS
            )
        _wait(lambda: run.process.poll() is not None, delay)
        killed = run.kill(moment.program)
        run.process.wait(LONGEST_SECONDS)
        return (
            f"{killed} processes of the controller{f' ({moment.program})' * bool(moment.program)}"
            if killed
            else ""
        )
    condition = moment.condition or f"pgrep -x '{moment.program}' >/dev/null"
    script = ON_MACHINE.format(condition=condition, delay=delay, program=moment.program, seconds=60)
    struck = on(moment.victim, "sh", "-c", script).split()
    run.process.wait(LONGEST_SECONDS)
    return f"{moment.program} on {moment.victim}" if struck else ""


def _came(run: Controlled, task: str) -> bool:
    pattern = re.compile(rf"^TASK \[.*(?:{task})", re.MULTILINE)
    if task:
        _wait(lambda: bool(pattern.search(run.said())) or run.process.poll() is not None, MOMENT_SECONDS)
    return run.process.poll() is None


def _wait(question: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not question() and time.monotonic() < deadline:
        time.sleep(STEP_SECONDS)


def state(site: Site, *groups: str) -> list[str]:
    """Say what keeps the site from having converged, as of now; see `converged.py`. With `groups`, of these machines alone."""
    groups = groups or ("head", "workers", "proxy", "registry")
    names = site.hosts(*groups)
    program = (HERE / "converged.py").read_bytes()
    told: dict[str, Any] = {}
    for name in names:
        done = subprocess.run(
            ["docker", "exec", "-i", container(name), "python3", "-"],
            input=program, capture_output=True, check=False, timeout=180,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{name} cannot be asked: {done.stderr.decode(errors='replace')[-1000:]}")
        told[name] = json.loads(done.stdout)
    return faults(told, site.hosts("head"), site.hosts("workers") if "workers" in groups else [])


def settled(site: Site, *groups: str) -> list[str]:
    """Give `state` once there is nothing, or after a while: a run's lock is given back a moment after its end."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while (found := state(site, *groups)) and time.monotonic() < deadline:
        time.sleep(1)
    return found


def changes(said: str) -> dict[str, int]:
    """Give how many tasks changed something, by host, from a run's recap. Raises ValueError where there is none."""
    recap = said.rpartition("PLAY RECAP")[2]
    told = re.findall(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)", recap, re.MULTILINE)
    if not told:
        raise ValueError("the run has no recap, so it did not end")
    return {host: int(count) for host, count in told if count != "0"}


def changed_tasks(said: str) -> list[str]:
    """Name the tasks that changed something, without their roles, in order and each once."""
    found: dict[str, None] = {}
    task = ""
    for line in said.splitlines():
        if begun := re.match(r"TASK \[(?:[\w.]+ : )?(.+?)\] \**$", line):
            task = begun[1]
        elif line.startswith("changed: ["):
            found[task] = None
    return list(found)


@dataclass
class Recovery:
    """Runs that put a site right, and what they took."""

    site: Site
    folder: Path
    # The machines that are there; all of the site's where none is named.
    groups: tuple[str, ...] = ()
    rows: list[Row] = field(default_factory=list)

    def run(self, playbook: str = "site.yml", *arguments: str) -> tuple[str, float]:
        """Run a playbook to its good end; give what it said, and its seconds."""
        started = time.monotonic()
        run = begin(self.site, playbook, *arguments, log=self.folder / "recovery.log")
        code = run.process.wait(LONGEST_SECONDS)
        said = run.said()
        assert code == 0, f"{playbook} {' '.join(arguments)} ended with {code}:\n{said[-6000:]}"
        return said, time.monotonic() - started

    def after(self, struck: str, moment: Moment, *plays: Sequence[str]) -> Row:
        """Say what was found after a kill, recover by these playbooks, and note it.

        What a program on a machine leaves behind works on for a while: a module whose controller is gone, for example. What
        is found is that of now; the recovery has to cope with all of it.
        """
        found = state(self.site, *self.groups)
        seconds, tasks = 0.0, []
        for playbook, *arguments in plays or [("site.yml",)]:
            said, took = self.run(playbook, *arguments)
            seconds += took
            tasks += changed_tasks(said)
        left = settled(self.site, *self.groups)
        assert left == [], f"after {moment.name} ({struck}): {left}"
        row = Row(
            f"{moment.name}: {struck}",
            "; ".join(found) or "nothing",
            "; ".join(tasks) or "nothing",
            round(seconds, 1),
        )
        self.rows.append(row)
        return row

    def prove_rest(self, playbook: str = "site.yml", *arguments: str) -> None:
        """One more run changes nothing."""
        said, _ = self.run(playbook, *arguments)
        assert changes(said) == {}, "\n".join(changed_tasks(said))


def table(rows: Sequence[Row], about: Mapping[str, Any]) -> str:
    """Write rows as docs/reliability.md has them, under a line that says what was measured."""
    told = ", ".join(f"{key} {value}" for key, value in about.items())
    lines = [f"{told}.", "", "| moment | found | what the next run did | seconds |", "|---|---|---|---|"]
    cells = [[row.moment, row.found, row.action, f"{row.seconds:.0f}"] for row in rows]
    return (
        "\n".join(
            [*lines, *("| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in cells)]
        )
        + "\n"
    )


def write_table(site: Site, name: str, rows: Sequence[Row], **about: Any) -> Path:
    """Write a table beside the lab's state, for docs/reliability.md."""
    file = ROOT / "inventories/lab/.lab/reliability" / f"{name}.md"
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.write_text(table(rows, about))
    return file
