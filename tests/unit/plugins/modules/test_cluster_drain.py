# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The module `cluster_drain`: check, do, check again, do again, for each state."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.upgrade_facts import TURN
from ansible_collections.ironbinder.platform.plugins.modules import cluster_drain
from drain_cluster import DrainCluster


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> DrainCluster:
    instance = DrainCluster()
    instance.pod("hub-1")
    monkeypatch.setattr(cluster_drain, "connect", lambda _kubeconfig: instance)
    monkeypatch.setattr(cluster_drain, "SystemClock", lambda: instance.clock)
    return instance


def run(capsys: pytest.CaptureFixture[str], state: str, **more: object) -> dict[str, Any]:
    arguments = {"node": "worker2", "state": state, "kubeconfig": "/k", **more}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        cluster_drain.main()
    return dict(json.loads(capsys.readouterr().out))


@pytest.mark.parametrize("states", [("cordoned", "uncordoned"), ("drained",), ("absent",)])
def test_check_do_check_do(
    cluster: DrainCluster, capsys: pytest.CaptureFixture[str], states: tuple[str, ...]
) -> None:
    for state in states:
        before = list(cluster.changes())
        checked = run(capsys, state, _ansible_check_mode=True)
        assert cluster.changes() == before
        done = run(capsys, state)
        assert (checked["changed"], done["changed"]) == (True, True)
        assert checked["diff"] == done["diff"]
        assert done["diff"]["before"] != done["diff"]["after"]
        for check in (True, False):
            assert run(capsys, state, _ansible_check_mode=check)["changed"] is False


def test_a_node_that_is_opened_has_no_turn_any_more(
    cluster: DrainCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else the next upgrade would take an admin's later cordon for its own. Also of one that kubectl has opened."""
    for closed in (True, None):
        about = {"annotations": {TURN: "schedulable", "other": "stays"}}
        cluster.patch("/api/v1/nodes/worker2", {"metadata": about, "spec": {"unschedulable": closed}})
        before = list(cluster.changes())
        assert run(capsys, "uncordoned", _ansible_check_mode=True)["changed"]
        assert cluster.changes() == before
        done = run(capsys, "uncordoned")
        assert done["changed"] and done["diff"]["before"]["turn in an upgrade"] == "schedulable"
        assert cluster.objects["/api/v1/nodes/worker2"]["metadata"]["annotations"] == {"other": "stays"}
        assert not cluster.objects["/api/v1/nodes/worker2"]["spec"]
        assert not run(capsys, "uncordoned")["changed"]


def test_a_turn_outlives_a_cordon(cluster: DrainCluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.patch("/api/v1/nodes/worker2", {"metadata": {"annotations": {TURN: "schedulable"}}})
    assert run(capsys, "cordoned")["changed"]
    assert cluster.objects["/api/v1/nodes/worker2"]["metadata"]["annotations"] == {TURN: "schedulable"}


def test_a_check_says_who_works_there(cluster: DrainCluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.pod("jupyter-ana", owner="", component="singleuser-server", user="ana")
    checked = run(capsys, "drained", _ansible_check_mode=True)
    assert checked["report"]["evicted"] == ["binder/hub-1"]
    assert checked["people"] == ["binder/jupyter-ana of ana (since 2026-11-22T01:00:00Z)"]


def test_people_are_named_also_where_the_node_can_never_be_emptied(
    cluster: DrainCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.budget("hub", "hub", wanted=1)
    cluster.pod("jupyter-ana", owner="", component="singleuser-server", user="ana")
    for check in (True, False):
        refused = run(capsys, "drained", _ansible_check_mode=check)
        assert (refused["failed"], refused["people"]) == (
            True,
            ["binder/jupyter-ana of ana (since 2026-11-22T01:00:00Z)"],
        )
    assert "people" not in run(capsys, "absent", node="head1", _ansible_check_mode=True)


def test_a_check_refuses_what_a_run_refuses(
    cluster: DrainCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.budget("hub", "hub", wanted=1)
    told = [run(capsys, "drained", _ansible_check_mode=check)["msg"] for check in (True, False)]
    assert told[0] == told[1]
    assert "PodDisruptionBudget binder/hub" in told[0]
    assert "last head" in run(capsys, "absent", node="head1", _ansible_check_mode=True)["msg"]
    assert cluster.changes() == []


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("state", ["drained", "absent"])
def test_it_says_which_machine_the_node_is(
    cluster: DrainCluster, capsys: pytest.CaptureFixture[str], state: str, check: bool
) -> None:
    assert run(capsys, state, _ansible_check_mode=check)["machine_id"] == "machine-of-worker2"
    assert run(capsys, state, node="worker9", _ansible_check_mode=check)["machine_id"] == ""


@pytest.mark.parametrize("check", [True, False])
def test_it_says_whether_the_cluster_had_the_node(
    cluster: DrainCluster, capsys: pytest.CaptureFixture[str], check: bool
) -> None:
    for name in ("worker2", "worker9"):
        told = run(capsys, "absent", node=name, _ansible_check_mode=check)
        assert told["found"] is (name == "worker2")


@pytest.mark.parametrize("state", ["drained", "absent"])
def test_a_node_that_never_reported_is_no_machine(
    cluster: DrainCluster, capsys: pytest.CaptureFixture[str], state: str
) -> None:
    del cluster.objects["/api/v1/nodes/worker2"]["status"]
    assert run(capsys, state)["machine_id"] == ""


def test_a_node_that_is_not_there(cluster: DrainCluster, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "absent", node="worker9")["changed"] is False
    assert run(capsys, "drained", node="worker9")["report"]["found"] is False
    assert "has no node worker9" in run(capsys, "cordoned", node="worker9")["msg"]
    assert "has no node worker9" in run(capsys, "cordoned", node="worker9", _ansible_check_mode=True)["msg"]


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("state", ["cordoned", "drained"])
def test_it_warns_of_data_that_only_this_node_has(
    cluster: DrainCluster,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    state: str,
    check: bool,
) -> None:
    """Whoever uses them waits until the node is open again."""
    # Ansible keeps warnings for the whole process, and shows none twice.
    warned: list[str] = []
    monkeypatch.setattr(cluster_drain.AnsibleModule, "warn", lambda _, text: warned.append(text))
    assert run(capsys, state, node="worker1", _ansible_check_mode=check)["bound"] == []
    cluster.volume("hub-db-dir", "worker2")
    told = run(capsys, state, _ansible_check_mode=check)
    assert told["bound"] == ["binder/hub-db-dir"]
    assert "data of binder/hub-db-dir are on worker2 alone" in " ".join(warned)
    assert "bound" not in run(capsys, "uncordoned", _ansible_check_mode=check)
