# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Runs that leave out hosts or tasks: nothing goes that nobody has confirmed, and none ends well that has done nothing."""

from __future__ import annotations

import re

import pytest
import yaml
from controller_runs import play
from drain_cluster import DrainCluster
from removal_book import RemovalBook, told
from role_runs import ROOT

IMPORT = "ansible.builtin.import_playbook"
REMOVE = {"node": "worker2"}
RESET = {"what": "everything"}


def never_reached(book: RemovalBook, cluster: DrainCluster, text: str) -> None:
    assert "reached-a-machine" not in text
    assert cluster.changes() == []
    assert not (book.folder / "removed-worker2.json").exists()


# A playbook, its extra variables, --limit, and whom that leaves out.
LIMITS: list[tuple[str, dict[str, str], str, str]] = [
    ("reset", RESET, "worker2", "head1, worker1, proxy1"),
    ("reset", {**RESET, "confirm": "stfc"}, "all:!worker1", "worker1"),
    ("remove_node", REMOVE, "worker2", "head1, worker1, proxy1"),
    ("remove_node", {**REMOVE, "confirm": "worker2"}, "head", "worker1, worker2, proxy1"),
    ("remove_hub", {"hub": "binder", "confirm": "binder"}, "workers", "head1"),
    ("cordon", REMOVE, "worker2", "head1"),
    ("drain", REMOVE, "worker2", "head1"),
    ("uncordon", REMOVE, "proxy1", "head1"),
]


@pytest.mark.parametrize("case", LIMITS, ids=lambda case: f"{case[0]}-{case[2]}")
@pytest.mark.parametrize("check", [(), ("--check",)], ids=["run", "check"])
def test_a_limit_is_refused(
    book: RemovalBook,
    cluster: DrainCluster,
    case: tuple[str, dict[str, str], str, str],
    check: tuple[str, ...],
) -> None:
    name, extra, limit, left_out = case
    done = book.run(name, "--limit", limit, *check, **extra)
    assert done.returncode != 0, done.stdout
    assert f"--limit {limit} leaves out {left_out}, and nothing is done here without them: start" in told(
        done
    )
    assert "start again without --limit. Nothing was changed." in told(done)
    never_reached(book, cluster, done.stdout)


def test_what_leaves_the_head_in_goes_on(book: RemovalBook, cluster: DrainCluster) -> None:
    assert book.run("cordon", "--limit", "head", **REMOVE).returncode == 0
    assert cluster.objects["/api/v1/nodes/worker2"]["spec"]["unschedulable"]
    done = book.run("remove_node", "--limit", "all", node="worker2", confirm="worker2")
    assert done.returncode == 0, done.stdout


def test_an_inventory_without_a_head_is_refused(book: RemovalBook, cluster: DrainCluster) -> None:
    hosts = book.folder / "hosts"
    hosts.write_text(hosts.read_text().replace("[head]", "[heads]"))
    done = book.run("reset", **RESET)
    assert done.returncode != 0
    assert "The inventory has no host in head" in told(done)
    never_reached(book, cluster, done.stdout)


@pytest.mark.parametrize(
    ("name", "extra", "task"),
    [
        ("reset", {**RESET, "confirm": "stfc"}, "Leave the cluster"),
        ("reset", RESET, "Forget the cluster"),
        ("reset", RESET, "Leave the site"),
        ("reset", RESET, "Leave what is beside the cluster"),
        ("remove_node", REMOVE, "Leave the cluster"),
        ("remove_node", {**REMOVE, "confirm": "worker2"}, "Leave the site"),
    ],
)
def test_a_start_after_the_question_is_refused(
    book: RemovalBook, cluster: DrainCluster, name: str, extra: dict[str, str], task: str
) -> None:
    done = book.run(name, "--start-at-task", task, **extra)
    assert done.returncode != 0, done.stdout
    goes = "stfc" if name == "reset" else "worker2"
    assert f"In this run nobody has confirmed that {goes} goes" in told(done)
    never_reached(book, cluster, done.stdout)


@pytest.mark.parametrize("task", ["Empty it", "Delete its node", "Have a worker forget its cluster"])
def test_nobody_starts_in_the_middle(book: RemovalBook, cluster: DrainCluster, task: str) -> None:
    """What is included is no place to start at, so whatever refuses at its top does so always."""
    for name, extra in (("remove_node", REMOVE), ("reset", RESET)):
        never_reached(book, cluster, book.run(name, "--start-at-task", task, **extra).stdout)


def test_a_question_that_another_play_would_skip_is_asked(book: RemovalBook, cluster: DrainCluster) -> None:
    """Whatever an edit makes of the plays before: here they are gone."""
    for name, extra in (("remove_node", REMOVE), ("reset", RESET)):
        for taking in book.plays(name):
            if "confirm_name" in taking.get("vars", {}):
                done = book.play([taking], **extra)
                assert done.returncode != 0, done.stdout
                never_reached(book, cluster, done.stdout)


def test_every_machine_is_asked_for() -> None:
    """Each file of tasks that takes something from machines begins with the refusal, is included, and has no tags."""
    books = ROOT / "playbooks"
    taking = sorted(path.name for path in books.glob("tasks/leave_*.yml"))
    assert taking == ["leave_beside.yml", "leave_cluster.yml", "leave_kubeconfig.yml", "leave_site.yml"]
    for name in taking:
        text = (books / "tasks" / name).read_text()
        assert yaml.safe_load(text)[0]["ansible.builtin.import_tasks"] == "confirmed.yml"
    for path in books.rglob("*.yml"):
        text = path.read_text()
        assert not re.search(r"import_tasks: (tasks/)?(leave_|delete_node|remove_hubs)", text), path
        assert "tags:" not in text, path


# What only looks, and an upgrade, with a limit by which it would have nobody to look at.
LOOKS = [(name, "proxy1") for name in ("status", "capacity", "artifacts", "upgrade")]


@pytest.mark.parametrize(("name", "limit"), [*LOOKS, ("verify", "workers"), ("corpus", "workers")])
def test_nothing_ends_well_without_having_looked(book: RemovalBook, name: str, limit: str) -> None:
    done = play("-i", str(book.folder / "hosts"), f"playbooks/{name}.yml", "--limit", limit)
    assert done.returncode != 0, done.stdout
    assert f"--limit {limit} leaves out head1" in told(done)
    assert "start again without --limit. Nothing was changed." in told(done)


@pytest.mark.parametrize("name", ["site", "upgrade"])
def test_a_whole_run_may_be_for_workers_alone(name: str) -> None:
    """Its last stage then has nothing to do."""
    plays = yaml.safe_load((ROOT / f"playbooks/{name}.yml").read_text())
    [last] = [entry for entry in plays if entry.get(IMPORT, "").endswith(".verify")]
    assert last["vars"] == {"required_groups": ["all"]}


def test_a_whole_run_overrules_its_stages(book: RemovalBook) -> None:
    (book.folder / "inner.yml").write_text(
        yaml.safe_dump([{IMPORT: "ironbinder.platform.require_hosts", "vars": {"required_groups": ["head"]}}])
    )
    whole = {"name": "A stage", IMPORT: "inner.yml"}
    assert book.play([whole], "--limit", "worker1").returncode != 0
    done = book.play([{**whole, "vars": {"required_groups": ["all"]}}], "--limit", "worker1")
    assert done.returncode == 0, done.stdout
