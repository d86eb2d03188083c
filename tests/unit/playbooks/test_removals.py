# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the playbooks that take something away refuse, ask and do to a cluster, by real Ansible against an API in memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from drain_cluster import DrainCluster
from removal_book import RemovalBook, told
from role_runs import ROOT

ROLE = "ansible.builtin.include_role"


def test_a_worker_is_removed(book: RemovalBook, cluster: DrainCluster) -> None:
    done = book.run("remove_node", node="worker2", confirm="worker2")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("reached-a-machine") == 2
    assert "/api/v1/nodes/worker2" not in cluster.objects
    assert cluster.on("worker1") == ["hub-1-again"]
    record = json.loads((book.folder / "removed-worker2.json").read_text())
    assert record["machine_id"] == "machine-of-worker2"
    assert record["at"].startswith("20")
    assert "Take it out of hosts.yml now" in told(done)
    # Again, as after a kill: the record stays as it is, and the machine is looked at once more.
    before = (book.folder / "removed-worker2.json").read_text()
    again = book.run("remove_node", node="worker2", confirm="worker2")
    assert again.returncode == 0, again.stdout
    assert (book.folder / "removed-worker2.json").read_text() == before
    assert again.stdout.count("reached-a-machine") == 2


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({}, "No node was named"),
        ({"node": "worker9", "confirm": "worker9"}, "The inventory has no worker worker9"),
        ({"node": "head1", "confirm": "head1"}, "head1 is the last head"),
    ],
)
def test_nothing_goes_by_oversight(
    book: RemovalBook, cluster: DrainCluster, extra: dict[str, str], words: str
) -> None:
    done = book.run("remove_node", **extra)
    assert done.returncode != 0
    assert words in told(done)
    assert "reached-a-machine" not in done.stdout
    assert cluster.changes() == []
    assert not (book.folder / "removed-worker2.json").exists()


def test_what_goes_is_listed_before_it_is_confirmed(book: RemovalBook, cluster: DrainCluster) -> None:
    cluster.pod("jupyter-ana", owner="", component="singleuser-server", user="ana")
    done = book.run("remove_node", node="worker2", confirm="worker1")
    for line in (
        "goes: the node worker2 of the site stfc",
        "starts again elsewhere: binder/hub-1",
        "is waited for: binder/jupyter-ana of ana",
        "goes: what Ironbinder wrote on the machine",
        "confirm is worker1, and what goes is worker2. Nothing was changed",
    ):
        assert line in told(done)
    assert "the packages" not in told(done)
    assert "reached-a-machine" not in done.stdout
    assert cluster.changes() == []


def test_people_keep_their_node(book: RemovalBook, cluster: DrainCluster) -> None:
    cluster.pod("jupyter-ana", owner="", component="singleuser-server", user="ana")
    done = book.run("remove_node", node="worker2", confirm="worker2")
    assert done.returncode != 0
    assert "1 session: binder/jupyter-ana of ana" in told(done)
    assert "reached-a-machine" not in done.stdout
    assert "/api/v1/nodes/worker2" in cluster.objects
    assert not (book.folder / "removed-worker2.json").exists(), "a run of the site goes on as before"
    ended = book.run("remove_node", node="worker2", confirm="worker2", end_sessions=True)
    assert ended.returncode == 0, ended.stdout
    assert cluster.on("worker2") == []


def test_a_drain_that_can_never_finish_is_refused_first(book: RemovalBook, cluster: DrainCluster) -> None:
    cluster.budget("hub", "hub", wanted=1)
    cluster.volume("hub-db-dir", "worker2")
    done = book.run("remove_node", node="worker2", confirm="worker2")
    assert done.returncode != 0
    assert "PodDisruptionBudget binder/hub, which wants 1 healthy of 1" in told(done)
    assert "data of binder/hub-db-dir are on this node alone" in told(done)
    assert cluster.changes() == []


def test_a_lost_machine_is_not_looked_for(book: RemovalBook, cluster: DrainCluster) -> None:
    """Also one that hosts.yml no longer has."""
    cluster.budget("hub", "hub", wanted=1)
    (book.folder / "hosts").write_text((book.folder / "hosts").read_text().replace("\nworker2 ", "\n#"))
    done = book.run("remove_node", node="worker2", confirm="worker2", lost=True)
    assert done.returncode == 0, done.stdout
    assert "reached-a-machine" not in done.stdout
    assert "/api/v1/nodes/worker2" not in cluster.objects
    # By which a new machine of its name is told apart.
    file = book.folder / "removed-worker2.json"
    assert json.loads(file.read_text())["machine_id"] == "machine-of-worker2"
    # Again, as after a kill: only the record knows it now.
    before = file.read_text()
    again = book.run("remove_node", node="worker2", confirm="worker2", lost=True)
    assert again.returncode == 0, again.stdout
    assert file.read_text() == before


@pytest.mark.parametrize("check", [(), ("--check",)], ids=["run", "check"])
@pytest.mark.parametrize("name", ["Worker2", "worker9", "proxy1"])
def test_a_lost_machine_that_nobody_knows_is_refused(
    book: RemovalBook, cluster: DrainCluster, name: str, check: tuple[str, ...]
) -> None:
    """A name in another case, for example: the node itself would stay."""
    done = book.run("remove_node", *check, node=name, confirm=name, lost=True)
    assert done.returncode != 0, done.stdout
    assert f"Nobody knows a node {name}: " in told(done)
    assert "is no part of the cluster any more" not in told(done)
    assert cluster.changes() == []
    assert list(book.folder.glob("removed-*")) == []


def test_a_lost_machine_that_only_the_inventory_has_is_removed(
    book: RemovalBook, cluster: DrainCluster
) -> None:
    """Somebody deleted its node by hand."""
    del cluster.objects["/api/v1/nodes/worker2"]
    done = book.run("remove_node", node="worker2", confirm="worker2", lost=True)
    assert done.returncode == 0, done.stdout
    record = json.loads((book.folder / "removed-worker2.json").read_text())
    assert record["machine_id"] == ""


def test_a_check_removes_nothing(book: RemovalBook, cluster: DrainCluster) -> None:
    done = book.run("remove_node", "--check", node="worker2")
    assert done.returncode == 0, done.stdout
    assert cluster.changes() == []
    assert "goes: the node worker2" in told(done)


def test_a_check_tells_what_the_machine_would_do(book: RemovalBook) -> None:
    """Its cluster still has the node then, and nothing is in the way of what would come after."""
    tasks = yaml.safe_load((ROOT / "playbooks/tasks/leave_cluster.yml").read_text())
    [given] = [
        task["vars"] for task in tasks if task.get(ROLE, {}).get("name") == "ironbinder.platform.worker"
    ]
    role = (ROOT / "roles/worker/tasks/remove.yml").read_text()
    shown = role.replace("ironbinder.platform.kubeadm:", "ansible.builtin.set_fact:")
    (book.folder / "told.yml").write_text(shown)
    words = "{{ state }} {{ cluster_goes }} {{ node_goes }}"
    play = {
        "hosts": "worker2",
        "gather_facts": False,
        "vars": {"site_kubeadm_join_timeout_seconds": 1, **given},
        "tasks": [
            {"ansible.builtin.import_tasks": str(book.folder / "told.yml")},
            {"ansible.builtin.debug": {"msg": words}},
        ],
    }
    done = book.play([play], "--check")
    assert "msg: absent False True" in told(done)


def test_nodes_are_closed_emptied_and_opened(book: RemovalBook, cluster: DrainCluster) -> None:
    def closed() -> list[str]:
        return [
            name
            for name in ("head1", "worker1", "worker2")
            if cluster.objects[f"/api/v1/nodes/{name}"]["spec"].get("unschedulable")
        ]

    assert book.run("cordon", node="worker1, worker2").returncode == 0
    assert closed() == ["worker1", "worker2"]
    assert cluster.on("worker2") == ["hub-1"]
    assert book.run("uncordon", node="worker1").returncode == 0
    assert closed() == ["worker2"]
    assert book.run("drain", node="worker2").returncode == 0
    assert cluster.on("worker2") == []
    done = book.run("drain", node="worker1,worker7")
    assert done.returncode != 0
    assert "The inventory has no node worker7" in told(done)
    assert closed() == ["worker2"]


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({}, "what is not given"),
        ({"what": "everything", "confirm": "yes"}, "confirm is yes, and what goes is stfc"),
    ],
)
def test_a_site_is_not_reset_by_oversight(
    book: RemovalBook, cluster: DrainCluster, extra: dict[str, str], words: str
) -> None:
    cluster.pod("jupyter-ana", owner="", component="singleuser-server", user="ana")
    done = book.run("reset", **extra)
    assert done.returncode != 0
    assert words in told(done)
    assert "reached-a-machine" not in done.stdout
    assert cluster.changes() == []
    if extra:
        assert "goes: binder/jupyter-ana of ana" in told(done)
        assert "from worker1" in told(done)
        assert "stays: snapshots of etcd on head1, in /var/lib/ironbinder/etcd-snapshots and /var" in told(
            done
        )


@pytest.mark.parametrize(("what", "reached"), [("cluster", 4), ("everything", 8)])
def test_a_reset_reaches_what_it_named(book: RemovalBook, what: str, reached: int) -> None:
    """Also of a cluster that does not answer."""
    if what == "cluster":
        Path(book.kubeconfig).unlink()
    done = book.run("reset", what=what, confirm="stfc")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("reached-a-machine") == reached
    assert ("of which nothing can be told" in told(done)) == (what == "cluster")


def test_a_reset_names_people_whom_no_drain_would_reach(book: RemovalBook, cluster: DrainCluster) -> None:
    """The cluster goes, so that a node of it can never be emptied is nothing to hide behind."""
    cluster.budget("hub", "hub", wanted=1)
    cluster.pod("jupyter-ana", owner="", component="singleuser-server", user="ana")
    done = book.run("reset", what="cluster")
    assert "goes: binder/jupyter-ana of ana" in told(done)
    assert "nothing can be told" not in told(done)
    assert cluster.changes() == []


def test_a_cluster_that_is_silent_is_not_asked_for_each_node(book: RemovalBook) -> None:
    Path(book.kubeconfig).unlink()
    done = book.run("reset", "--check", what="cluster")
    assert done.returncode == 0, done.stdout
    assert "goes: sessions and builds, of which nothing can be told, as the cluster does not answer" in told(
        done
    )
    assert "(item=worker1)" not in done.stdout


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"hub": "wiki"}, "The site has no hub wiki"),
        ({"hub": "binder"}, "start again with -e confirm=binder"),
    ],
)
def test_a_hub_does_not_go_by_oversight(
    book: RemovalBook, cluster: DrainCluster, extra: dict[str, str], words: str
) -> None:
    done = book.run("remove_hub", **extra)
    assert done.returncode != 0
    assert words in told(done)
    assert cluster.changes() == []


def test_the_data_of_a_hub_are_named_before_it_goes(book: RemovalBook, cluster: DrainCluster) -> None:
    """And a cluster that does not answer is no reason to say that there are none."""
    cluster.volume("hub-db-dir", "worker2")
    cluster.objects["/api/v1/persistentvolumes/hub-db-dir"]["spec"] |= {
        "persistentVolumeReclaimPolicy": "Retain",
        "hostPath": {"path": "/srv/volumes/pvc-1"},
    }
    cluster.objects["/api/v1/namespaces/binder/persistentvolumeclaims/hub-db-dir"] = {
        "metadata": {"name": "hub-db-dir", "namespace": "binder"},
        "spec": {"volumeName": "hub-db-dir", "resources": {"requests": {"storage": "1Gi"}}},
    }
    line = "claim binder/hub-db-dir (1Gi): its volume hub-db-dir stays, Released, with its data in /srv/volumes/pvc-1 on worker2"
    assert line in told(book.run("remove_hub", hub="binder"))
    assert f"goes: {line}" in told(book.run("reset", what="hub"))
    assert cluster.changes() == []
    Path(book.kubeconfig).unlink()
    assert "claims of which nothing can be told" in told(book.run("remove_hub", hub="binder"))
