# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A machine that is to go is asked whether it is the node that is meant, before people are."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from drain_cluster import DrainCluster
from removal_book import RemovalBook, told


@pytest.mark.parametrize("options", [(), ("--check",)], ids=["run", "check"])
def test_a_machine_that_is_not_the_node_is_refused_first(
    book: RemovalBook, cluster: DrainCluster, options: tuple[str, ...]
) -> None:
    """Also before what keeps the node from being emptied: it may be the node of another site."""
    (book.folder / "machine-id").write_text(f"{'f' * 32}\n")
    cluster.budget("hub", "hub", wanted=1)
    done = book.run("remove_node", *options, node="worker2", confirm="worker2")
    assert done.returncode != 0
    for words in (
        "The machine that worker2 leads to has the machine-id ffffffff..., and the cluster's node worker2 is the one with ",
        "correct ansible_host of worker2 in hosts.yml, or site_kubeconfig_file",
        "-e lost=true",
        "Nothing was changed.",
    ):
        assert words in told(done)
    assert "PodDisruptionBudget" not in told(done)
    assert "goes: the node" not in told(done)
    assert "reached-a-machine" not in done.stdout
    assert cluster.changes() == []
    assert not (book.folder / "removed-worker2.json").exists()


@pytest.mark.parametrize(
    ("own", "known", "more"),
    [
        ("machine-of-worker2", "machine-of-worker2", {}),
        ("", "machine-of-worker2", {}),
        ("machine-of-worker3", "", {}),
        ("machine-of-worker3", "machine-of-worker2", {"lost": True}),
    ],
    ids=["the same", "the machine has none", "the cluster has none", "lost"],
)
def test_a_machine_that_may_be_the_node_goes(
    book: RemovalBook, cluster: DrainCluster, own: str, known: str, more: dict[str, Any]
) -> None:
    (book.folder / "machine-id").write_text(f"{own}\n")
    cluster.objects["/api/v1/nodes/worker2"]["status"]["nodeInfo"]["machineID"] = known
    done = book.run("remove_node", node="worker2", confirm="worker2", **more)
    assert done.returncode == 0, done.stdout
    assert "/api/v1/nodes/worker2" not in cluster.objects


def test_a_machine_that_would_refuse_to_leave_is_asked_first(
    book: RemovalBook, cluster: DrainCluster
) -> None:
    """After its node has gone it is too late: a control plane, or another node's machine with the same machine-id."""
    plays, file = book.plays("remove_node"), book.folder / "same_machine.yml"
    tasks = yaml.safe_load(file.read_text())
    [asking] = [task for task in tasks if "ansible.builtin.set_fact" in task]
    assert (asking["check_mode"], asking["delegate_to"]) == (True, "{{ __node }}")
    asked = asking.pop("ansible.builtin.set_fact")
    assert (asked["state"], asked["node_name"], asked["node_goes"]) == ("absent", "{{ __node }}", True)
    file.write_text(yaml.safe_dump([*tasks[:-1], {**asking, "ansible.builtin.fail": {"msg": "it refuses"}}]))
    done = book.play(plays, node="worker2", confirm="worker2")
    assert done.returncode != 0
    assert "it refuses" in told(done)
    assert "reached-a-machine" not in done.stdout
    assert cluster.changes() == []
