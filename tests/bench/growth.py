"""Measure what more machines cost: the controller's CPU from 10 to 200 simulated hosts, and a worker that is added and removed.

`make bench` runs both; `tests/bench/growth.py hosts` needs no lab, `tests/bench/growth.py workers` makes one of its own. The
sections "Many machines" and "One more worker" of docs/performance.md are their own. Seconds of two computers cannot be compared:
what counts are ratios within a round.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).resolve().parent))
import page
import yaml
from bench import LAB, STATE, machines, play

HOSTS = (10, 25, 50, 100, 200)
# What the issue asks for.
EXPONENT = 1.05
LIMITS = {"add": 1.5, "add_third": 1.1, "recovered": 1.25, "remove": 1.0}
# A play that changes nothing: the contract, and three tasks on each host, one of which goes through a connection.
NO_OP = [
    {
        "name": "Do nothing",
        "hosts": "all",
        "gather_facts": False,
        "roles": [{"role": "ironbinder.platform.site"}],
        "tasks": [
            {"name": "Say a word", "ansible.builtin.debug": {"msg": "{{ inventory_hostname }}"}},
            {"name": "Pass over", "ansible.builtin.debug": {"msg": "never"}, "when": False},
            {"name": "Ask", "ansible.builtin.raw": "true", "changed_when": False},
        ],
    }
]
KILL_SECONDS = 900
THIRD = {"ansible_host": "worker3.lab.test", "lab_address": "172.30.77.23", "lab_system": "trixie"}


def exponent(points: Sequence[tuple[float, float]]) -> float:
    """Fit y = a * x ** b by least squares of the logarithms; return b."""
    xs, ys = ([math.log(point[axis]) for point in points] for axis in (0, 1))
    middle_x, middle_y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((x - middle_x) * (y - middle_y) for x, y in zip(xs, ys, strict=True)) / sum(
        (x - middle_x) ** 2 for x in xs
    )


def no_op_cpu(count: int, folder: Path) -> float:
    """Return the controller's CPU seconds for the play on so many hosts, all of them this computer."""
    inventory = folder / f"{count}.yml"
    simulated: dict[str, Any] = {f"worker{number}": {} for number in range(1, count)}
    groups = {"head": {"hosts": {"head1": {}}}, "workers": {"hosts": simulated}}
    inventory.write_text(
        yaml.safe_dump({"all": {"vars": {"ansible_connection": "local"}, "children": groups}})
    )
    (folder / "no_op.yml").write_text(yaml.safe_dump(NO_OP, sort_keys=False))
    return play("-i", str(inventory), str(folder / "no_op.yml")).cpu


def hosts(rounds: int) -> str:
    """Measure the growth with the number of hosts; return the section."""
    found: dict[int, list[float]] = {count: [] for count in HOSTS}
    with tempfile.TemporaryDirectory(prefix="ironbinder-growth-") as name:
        for number in range(rounds):
            for count in HOSTS if number % 2 else reversed(HOSTS):
                found[count].append(no_op_cpu(count, Path(name)))
                print(f"round {number + 1}/{rounds}: {count} hosts, {found[count][-1]:.1f} s", flush=True)
    medians = {count: median(values) for count, values in found.items()}
    points = [(float(count), seconds) for count, seconds in medians.items()]
    # What a run costs by itself makes few hosts dear: the last doubling alone is the harder question.
    grown, last = exponent(points), exponent(points[-2:])
    return "\n".join(
        [
            "## Many machines",
            "",
            f"Measured by `tests/bench/growth.py hosts`: the controller's CPU for a play that changes nothing, over local "
            f"connections, medians of {rounds}.",
            "",
            f"| hosts | {' | '.join(map(str, HOSTS))} |",
            f"|---|{'---|' * len(HOSTS)}",
            f"| CPU, s | {' | '.join(f'{medians[count]:.1f}' for count in HOSTS)} |",
            "",
            f"It grows with the number of hosts to the power of {grown:.2f}, in the last doubling of {last:.2f}; asked for "
            f"{EXPONENT:g} at most, met: {'yes' if max(grown, last) <= EXPONENT else 'no'}.",
        ]
    )


def with_third(folder: Path) -> Path:
    """Make the lab's inventory once more, with a third worker; keys, secrets and kubeconfig are the lab's."""
    inventory = folder / "lab"
    (inventory / "group_vars").mkdir(parents=True)
    told = yaml.safe_load((LAB / "hosts.yml").read_text())
    told["all"]["children"]["machines"]["children"]["workers"]["hosts"]["worker3"] = THIRD
    (inventory / "hosts.yml").write_text(yaml.safe_dump(told, sort_keys=False))
    for entry in (LAB / "group_vars").iterdir():
        (inventory / "group_vars" / entry.name).symlink_to(entry)
    (inventory / ".lab").symlink_to(STATE)
    (inventory / ".kube").symlink_to(LAB / ".kube")
    return inventory


def killed(*arguments: str, task: str) -> None:
    """Run a playbook and kill all of its processes that are its own when a task begins; fail where it never did."""
    with tempfile.TemporaryFile("w+") as output:
        command = ["ansible-playbook", *arguments]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
        run = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + KILL_SECONDS
        while run.poll() is None and time.monotonic() < deadline:
            output.seek(0)
            if f": {task}]" in output.read():
                break
            time.sleep(0.1)
        if run.poll() is not None:
            sys.exit(f"{' '.join(arguments)} ended before the task {task}")
        run.send_signal(signal.SIGKILL)
        run.wait()


def one_round(inventory: Path) -> dict[str, float]:
    """Measure on a site that runs with two workers: seconds of a second run, of adding and removing, and their ratios."""
    # By the lab's own path: machines that see another one are made anew, and the registry would be empty.
    lab, more = ("-i", str(LAB)), ("-i", str(inventory), "-e", f"lab_state_dir={STATE}")

    def back(node: str) -> tuple[str, str]:
        return ("-e", json.dumps({"site_returning_nodes": [node]}))

    def fresh(where: Sequence[str], node: str) -> None:
        """Make the machine of a node that left the cluster anew."""
        subprocess.run(["docker", "rm", "--force", f"ironbinder-{node}"], check=True, capture_output=True)
        play(*where, "lab/up.yml")

    def remove(where: Sequence[str], node: str) -> float:
        return play(
            *where, "playbooks/remove_node.yml", "-e", f"node={node}", "-e", f"confirm={node}"
        ).seconds

    found = {"second": play(*lab, "site.yml").seconds}
    remove(lab, "worker2")
    fresh(lab, "worker2")
    found["add"] = play(*lab, "site.yml", *back("worker2")).seconds
    play(*more, "lab/up.yml")
    # In the second round it has been there before.
    found["add_third"] = play(*more, "site.yml", *back("worker3")).seconds
    found["remove"] = remove(more, "worker3")
    fresh(more, "worker3")
    killed(*more, "site.yml", *back("worker3"), task="Run kubeadm")
    found["recovered"] = play(*more, "site.yml", *back("worker3")).seconds
    remove(more, "worker3")
    subprocess.run(["docker", "rm", "--force", "ironbinder-worker3"], check=True, capture_output=True)
    return {
        **found,
        "add_ratio": found["add"] / found["second"],
        "add_third_ratio": found["add_third"] / found["add"],
        "recovered_ratio": found["recovered"] / found["add_third"],
        "remove_ratio": found["remove"] / found["add_third"],
    }


def workers(rounds: int) -> str:
    """Measure a worker that is added and removed; return the section."""
    found: list[dict[str, float]] = []
    machines()
    play("-i", str(LAB), "site.yml")
    with tempfile.TemporaryDirectory(prefix="ironbinder-growth-") as name:
        inventory = with_third(Path(name))
        for number in range(rounds):
            found.append(one_round(inventory))
            told = ", ".join(f"{key} {value:.2f}" for key, value in found[-1].items())
            print(f"round {number + 1}/{rounds}: {told}", flush=True)
    play("lab/down.yml")
    return section(found)


def section(found: Sequence[dict[str, float]]) -> str:
    """Write the section of what `one_round` found."""

    def row(what: str, name: str) -> str:
        value: Any = median(entry[f"{name}_ratio"] for entry in found)
        met = "yes" if value <= LIMITS[name] else "no"
        return f"| {what} | {value:.2f} x | {LIMITS[name]:g} x | {met} |"

    seconds = {name: median(entry[name] for entry in found) for name in ("second", *LIMITS)}
    return "\n".join(
        [
            "## One more worker",
            "",
            f"Measured by `tests/bench/growth.py workers` in the lab, medians of {len(found)}: a machine with nothing on it "
            "becomes a worker by `site.yml`, which proves a launch.",
            "",
            "| what | measured | asked for | met |",
            "|---|---|---|---|",
            row("adding a worker, against a second run", "add"),
            row("adding it to three nodes, against to two", "add_third"),
            row("adding it after a run that was killed in the join, against without", "recovered"),
            row("removing it, against adding it", "remove"),
            "",
            f"A second run takes {seconds['second']:.0f} s, adding a worker {seconds['add']:.0f} s to two nodes and "
            f"{seconds['add_third']:.0f} s to three, {seconds['recovered']:.0f} s after a kill; removing it "
            f"{seconds['remove']:.0f} s.",
        ]
    )


def main() -> None:
    """Measure, print, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["hosts", "workers"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--print-only", action="store_true", help="leave the page alone")
    options = parser.parse_args()
    text = (hosts if options.what == "hosts" else workers)(max(options.rounds, 1))
    print(text)
    if not options.print_only:
        page.put({"hosts": "machines", "workers": "workers"}[options.what], text)


if __name__ == "__main__":
    main()
