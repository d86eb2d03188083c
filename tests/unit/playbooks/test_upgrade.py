# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Who has which turn in playbooks/upgrade.yml, and where it stops: its own plays by Ansible itself, with turns that only end."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

ROOT = Path(__file__).parents[3]
PLAYS = yaml.safe_load((ROOT / "playbooks/upgrade.yml").read_text())
# Names the host in its output, and fails where it is told to.
TURN = [
    {
        "name": "Turn",
        "ansible.builtin.debug": {"msg": "TURN {{ inventory_hostname }} moves {{ upgrade_moves_kubelet }}"},
    },
    {
        "name": "Break",
        "ansible.builtin.fail": {"msg": "its disk is full"},
        "when": "inventory_hostname in broken | default([])",
    },
    {"name": "End", "ansible.builtin.debug": {"msg": "END {{ inventory_hostname }}"}},
]


class Run(NamedTuple):
    """What a run said."""

    code: int
    turns: list[str]
    ended: list[str]
    text: str


def steps(heads: list[str], batches: list[list[str]]) -> list[dict[str, Any]]:
    """Steps as the module upgrade_plan gives them; worker2 has another Docker and the kubelet that is wanted."""
    return [
        {
            "kind": "node",
            "hosts": hosts,
            "changes": [f"{name}: {'Docker' if name == 'worker2' else 'kubelet'} 1 to 2" for name in hosts],
            "drain": True,
        }
        for hosts in [*([name] for name in heads), *batches]
    ]


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """Return a function that plays the turns of heads and workers."""
    shutil.copytree(ROOT / "playbooks/tasks", tmp_path / "tasks")
    (tmp_path / "tasks/upgrade_turn.yml").write_text(yaml.safe_dump(TURN))
    hosts = ["head1", *(f"worker{number}" for number in range(1, 5))]
    lines = ["[head]", hosts[0], "[workers]", *hosts[1:], "[all:vars]", "ansible_connection=local"]
    lines.append(f"ansible_python_interpreter={sys.executable}")
    (tmp_path / "hosts").write_text("\n".join(lines) + "\n")
    [naming] = [
        task for play in PLAYS for task in play.get("tasks", []) if "ansible.builtin.add_host" in task
    ]
    turns = [play for play in PLAYS if "upgrade_node.yml" in json.dumps(play)]
    assert len(turns) == 2

    def play(batches: list[list[str]], *arguments: str, broken: tuple[str, ...] = ()) -> Run:
        plan = {
            "steps": steps(["head1"], batches),
            "control_planes": ["head1"],
            "heads": ["head1"],
            "workers": [name for names in batches for name in names],
            "batch": max(map(len, batches)),
        }
        first = {
            "hosts": "all",
            "gather_facts": False,
            "tasks": [{"ansible.builtin.set_fact": {"upgrade_plan": plan}}, naming],
        }
        bare = [
            {
                **{key: value for key, value in entry.items() if key not in ("roles", "become")},
                "gather_facts": False,
            }
            for entry in turns
        ]
        after = {
            "hosts": "head",
            "gather_facts": False,
            "tasks": [{"ansible.builtin.debug": {"msg": "AFTER"}}],
        }
        book = tmp_path / "book.yml"
        book.write_text(yaml.safe_dump([first, *bare, after], sort_keys=False))
        done = subprocess.run(
            [
                "ansible-playbook",
                "-i",
                tmp_path / "hosts",
                book,
                "-e",
                json.dumps({"broken": broken}),
                *arguments,
            ],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        text = done.stdout + done.stderr
        return Run(done.returncode, re.findall(r"TURN (\w+)", text), re.findall(r"END (\w+)", text), text)

    return play


def test_heads_then_workers_in_the_plans_order(run: Any) -> None:
    """The order is the plan's, not the inventory's; a node's kubelet moves where its own line says so."""
    told = run([["worker3", "worker1"], ["worker2", "worker4"]])
    assert told.code == 0, told.text
    assert told.turns[0] == "head1"
    assert [set(told.turns[1:3]), set(told.turns[3:])] == [{"worker3", "worker1"}, {"worker2", "worker4"}]
    assert sorted(told.ended) == sorted(told.turns)
    assert "TURN worker1 moves True" in told.text and "TURN worker2 moves False" in told.text
    assert "head1 done, 4 to go: worker3, worker1, worker2, worker4" in told.text
    assert "worker2, worker4 done, 0 to go" in told.text
    assert "AFTER" in told.text


def test_it_stops_at_the_first_node_that_is_not_well(run: Any) -> None:
    """The others of its batch end their turn, and no further one begins."""
    told = run([["worker1", "worker2"], ["worker3", "worker4"]], broken=("worker1",))
    assert told.code != 0
    assert sorted(told.turns) == ["head1", "worker1", "worker2"]
    assert sorted(told.ended) == ["head1", "worker2"]
    assert "worker1 did not end its turn: Break: " in told.text and "its disk is full" in told.text
    assert "Done: head1, worker2. Not begun: worker3, worker4." in told.text
    assert "AFTER" not in told.text


def test_a_head_that_fails_stops_it_before_any_worker(run: Any) -> None:
    told = run([["worker1"], ["worker2"]], broken=("head1",))
    assert (told.code != 0, told.turns, "AFTER" in told.text) == (True, ["head1"], False)
    assert "Done: no node. Not begun: worker1, worker2." in told.text


def test_a_check_begins_no_turn(run: Any) -> None:
    told = run([["worker1"]], "--check")
    assert (told.code, told.turns, "AFTER" in told.text) == (0, [], True)


def test_the_snapshot_has_the_program_that_takes_it() -> None:
    """A site of an earlier release has none yet, or an older one."""
    [play] = [play for play in PLAYS if "upgrade_snapshot.yml" in json.dumps(play)]
    files = [
        Path(next(value for key, value in task.items() if "tasks" in key)).stem for task in play["tasks"]
    ]
    assert files == ["head_upkeep", "upgrade_snapshot", "upgrade_control_plane"]


def test_it_settles_what_it_brings_about() -> None:
    """And nothing else: every other finding refuses an upgrade as it refuses a run."""
    [check] = [play for play in PLAYS if play["name"] == "Check the site"]
    assert check["vars"]["preflight_settled"] == [
        "kubernetes-version-changed",
        "containerd-version-changed",
        "docker-version-changed",
    ]
