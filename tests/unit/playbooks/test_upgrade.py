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
from controller_runs import play

ROOT = Path(__file__).parents[3]
PLAYS = yaml.safe_load((ROOT / "playbooks/upgrade.yml").read_text())
[EMPTY] = [
    task
    for task in yaml.safe_load((ROOT / "playbooks/tasks/upgrade_turn.yml").read_text())
    if "ironbinder.platform.cluster_drain" in task
]
# Names the host in its output, and fails where it is told to.
TURN = [
    {
        "name": "Empty",
        "ansible.builtin.debug": {"msg": "EMPTY {{ inventory_hostname }}"},
        "when": EMPTY["when"],
    },
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


# The real one would take this machine's own.
LOCK = [
    {"name": "Lock", "ansible.builtin.debug": {"msg": "LOCK {{ lock_kept }}"}, "run_once": True},
    {
        "name": "Lose it",
        "ansible.builtin.fail": {"msg": "bob is changing this site"},
        "run_once": True,
        "when": "(ansible_play_batch | first) in lost | default([])",
    },
]


class Run(NamedTuple):
    """What a run said."""

    code: int
    turns: list[str]
    ended: list[str]
    text: str


def steps(heads: list[str], batches: list[list[str]]) -> list[dict[str, Any]]:
    """Steps as the module upgrade_plan gives them; worker2 has another Docker and the kubelet that is wanted, and is
    not emptied."""
    return [
        {
            "kind": "node",
            "hosts": hosts,
            "changes": [f"{name}: {'Docker' if name == 'worker2' else 'kubelet'} 1 to 2" for name in hosts],
            "drain": [name for name in hosts if name != "worker2"],
        }
        for hosts in [*([name] for name in heads), *batches]
    ]


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """Return a function that plays the turns of heads and workers."""
    shutil.copytree(ROOT / "playbooks/tasks", tmp_path / "tasks")
    (tmp_path / "tasks/upgrade_turn.yml").write_text(yaml.safe_dump(TURN))
    (tmp_path / "tasks/lock.yml").write_text(yaml.safe_dump(LOCK))
    hosts = ["head1", *(f"worker{number}" for number in range(1, 5))]
    lines = ["[head]", hosts[0], "[workers]", *hosts[1:], "[all:vars]", "ansible_connection=local"]
    lines.append(f"ansible_python_interpreter={sys.executable}")
    (tmp_path / "hosts").write_text("\n".join(lines) + "\n")
    [naming] = [
        task for play in PLAYS for task in play.get("tasks", []) if "ansible.builtin.add_host" in task
    ]
    turns = [play for play in PLAYS if "upgrade_node.yml" in json.dumps(play)]
    assert len(turns) == 2

    def play(
        batches: list[list[str]], *arguments: str, broken: tuple[str, ...] = (), lost: tuple[str, ...] = ()
    ) -> Run:
        plan = {
            "steps": steps(["head1"], batches),
            "control_planes": ["head1"],
            "heads": ["head1"],
            "workers": [name for names in batches for name in names],
            "batches": [len(names) for names in batches],
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
                json.dumps({"broken": broken, "lost": lost}),
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


def test_batches_are_of_the_plans_sizes(run: Any) -> None:
    """And each of a batch is emptied where the plan says so of it."""
    told = run([["worker1"], ["worker2", "worker3"], ["worker4"]])
    assert told.code == 0, told.text
    assert re.findall(r"(worker[\w, ]+) done, (\d) to go", told.text) == [
        ("worker1", "3"),
        ("worker2, worker3", "1"),
        ("worker4", "0"),
    ]
    assert sorted(re.findall(r"EMPTY (\w+)", told.text)) == ["head1", "worker1", "worker3", "worker4"]


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


@pytest.mark.parametrize(
    ("lost", "turns"), [("head1", []), ("worker1", ["head1"]), ("worker3", ["head1", "worker1"])]
)
def test_who_has_lost_the_lock_begins_no_further_turn(run: Any, lost: str, turns: list[str]) -> None:
    """A controller that slept finds somebody else at work."""
    told = run([["worker1"], ["worker3"]], lost=(lost,))
    assert (told.code != 0, told.turns, "AFTER" in told.text) == (True, turns, False)
    assert "bob is changing this site" in told.text
    assert told.text.count("LOCK True") == len(turns) + 1


def test_the_control_plane_is_upgraded_under_the_lock_only() -> None:
    """Its snapshot is taken before, and harms nobody."""
    first = yaml.safe_load((ROOT / "playbooks/tasks/upgrade_control_plane.yml").read_text())[0]
    assert (first["ansible.builtin.import_tasks"], first["vars"]) == ("lock.yml", {"lock_kept": True})


def test_a_check_begins_no_turn(run: Any) -> None:
    told = run([["worker1"]], "--check")
    assert (told.code, told.turns, "AFTER" in told.text) == (0, [], True)


@pytest.mark.parametrize(
    ("said", "words", "ends"),
    [
        ({}, "the upgrade stops there (end_sessions=true or site_upgrade_end_sessions ends them)", False),
        ({"site_upgrade_end_sessions": True}, "ended", True),
        ({"end_sessions": "true"}, "ended", True),
        ({"end_sessions": "false", "site_upgrade_end_sessions": True}, "the upgrade stops there", False),
    ],
)
def test_people_are_ended_where_this_run_or_the_site_says_so(
    tmp_path: Path, said: dict[str, Any], words: str, ends: bool
) -> None:
    """As in every other playbook that empties a node, and as a node that is not empty in time says itself."""
    first, plan, *_others = yaml.safe_load((ROOT / "playbooks/tasks/upgrade_plan.yml").read_text())
    asked = plan["ironbinder.platform.upgrade_plan"]
    begins, drains, *_others = yaml.safe_load((ROOT / "playbooks/tasks/upgrade_turn.yml").read_text())
    turns = [
        asked,
        begins["ironbinder.platform.upgrade_turn"],
        drains["ironbinder.platform.cluster_drain"],
    ]
    shown = {"plan": asked["sessions"], "turns": [entry["end_sessions"] for entry in turns]}
    hubs = {"hub": {"namespace": "binder"}}
    given = {
        "site_resolved_hubs": hubs,
        "site_upgrade_end_sessions": False,
        "site_upgrade_drain_timeout_seconds": 900,
        **said,
    }
    given |= {"site_node_builds": True, "upgrade_turn_ended": True, "site_docker_version": "29.8.1"}
    tasks = [
        first,
        {"ansible.builtin.copy": {"content": "{{ shown | to_json }}", "dest": f"{tmp_path}/shown"}},
    ]
    tasks[1]["vars"] = {"shown": shown}
    book = tmp_path / "book.yml"
    book.write_text(yaml.safe_dump([{"hosts": "head", "gather_facts": False, "tasks": tasks}]))
    (tmp_path / "hosts").write_text(
        f"[head]\nh1 ansible_connection=local ansible_python_interpreter={sys.executable}\n"
    )
    done = play("-i", str(tmp_path / "hosts"), str(book), "-e", json.dumps(given))
    assert done.returncode == 0, done.stdout
    told = json.loads((tmp_path / "shown").read_text())
    assert words in told["plan"]
    assert [str(one).lower() for one in told["turns"]] == 3 * [str(ends).lower()]


def test_a_turn_looks_whether_a_node_can_be_emptied_where_it_is() -> None:
    """By the same words: a node that stays as it is need not be empty."""
    begins, drains, *_others = yaml.safe_load((ROOT / "playbooks/tasks/upgrade_turn.yml").read_text())
    looks = begins["ironbinder.platform.upgrade_turn"]["empties"]
    assert looks == "{{ " + drains["when"] + " }}" == "{{ inventory_hostname in upgrade_step.drain }}"


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
