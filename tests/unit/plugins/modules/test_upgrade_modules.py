# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The modules `upgrade_plan`, `upgrade_turn` and `kubeadm_upgrade`: arguments in, result and errors out."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.upgrade_facts import TURN
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeError
from ansible_collections.ironbinder.platform.plugins.modules import (
    kubeadm_upgrade,
    upgrade_plan,
    upgrade_turn,
)
from recorded_cluster import RecordedApi, recorded

PLAN = {
    "machines": [
        {"name": "head1", "is_head": True, "docker": "29.8.1"},
        {"name": "worker1", "docker": "29.8.1"},
        {"name": "worker2"},
    ],
    "control_plane_version": "1.36.3",
    "nodes_version": "1.36.3",
    "containerd_version": "2.4.2",
    "docker_version": "29.8.1",
    "kubeconfig": "/k",
}


def run(
    module: ModuleType,
    arguments: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    api: RecordedApi | None = None,
) -> dict[str, Any]:
    if api is not None:
        monkeypatch.setattr(module, "connect", lambda _kubeconfig: api)
    with patch_module_args(arguments), pytest.raises(SystemExit):
        module.main()
    return dict(json.loads(capsys.readouterr().out))


def test_a_plan(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    api = recorded("1.35.4")
    told = run(upgrade_plan, PLAN, capsys, monkeypatch, api)
    assert (told["changed"], told["problems"], told["batches"]) == (False, [], [1, 1])
    assert (told["control_planes"], told["heads"]) == (["head1"], ["head1"])
    assert told["workers"] == ["worker1", "worker2"]
    assert [step["kind"] for step in told["steps"]] == ["snapshot", "control_plane", "node", "node", "node"]
    assert told["lines"][0] == "control plane 1.35.4 -> 1.36.3"
    assert api.changes() == []


def test_a_plan_that_must_not_begin(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lines are there, so that a playbook shows where each machine stands before it refuses."""
    told = run(upgrade_plan, {**PLAN, "control_plane_version": "1.38.0"}, capsys, monkeypatch, recorded())
    assert told["failed"] and "one minor version at a time" in told["msg"]
    assert (told["steps"], len(told["problems"])) == ([], 1)
    assert any("This must not begin" in line for line in told["lines"])


def test_a_hub_that_is_down_is_put_right_first(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not met only after the control plane was upgraded. Where a turn has begun, its cordon may be what keeps it down."""
    api = recorded("1.35.4")
    api.objects["/apis/apps/v1/deployments/hub"] = {"metadata": {"name": "hub", "namespace": "binder"}}
    given = {**PLAN, "namespaces": ["binder"]}
    told = run(upgrade_plan, given, capsys, monkeypatch, api)
    assert told["failed"] and "0 of 1 pods of hub in binder are available" in told["msg"]
    assert "`kubectl -n binder scale deployment hub --replicas=0`" in told["msg"]
    assert (told["steps"], len(told["problems"])) == ([], 1)
    assert not run(upgrade_plan, PLAN, capsys, monkeypatch, api).get("failed")
    api.node("worker1")["metadata"]["annotations"] = {TURN: "schedulable"}
    assert run(upgrade_plan, given, capsys, monkeypatch, api)["workers"] == ["worker1", "worker2"]


def test_where_nothing_is_to_be_done_a_hub_that_is_down_is_no_matter_of_upgrades(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    api = recorded()
    api.objects["/apis/apps/v1/deployments/hub"] = {"metadata": {"name": "hub", "namespace": "binder"}}
    told = run(upgrade_plan, {**PLAN, "namespaces": ["binder"]}, capsys, monkeypatch, api)
    assert (told.get("failed"), told["lines"][-1]) == (None, "Nothing is to be done.")


def test_what_can_never_be_emptied_is_said_before_anything_begins(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it at once. Not of a node that is done, nor of one that is not emptied."""
    api = recorded("1.36.3", {"worker1": "1.35.4", "worker2": "1.35.4"})
    for node in ("head1", "worker1", "worker2"):
        api.add_pod(f"lone-{node}", node, "somebodys")
    api.pods("worker1")[0]["metadata"] |= {"namespace": "binder", "labels": {"app": "hub"}}
    api.add_budget("hub", {"app": "hub"}, 1, 1)
    told = run(upgrade_plan, PLAN, capsys, monkeypatch, api)
    assert told["failed"] and told["steps"] == []
    first, second = told["problems"]
    assert first.startswith("worker1 can never be emptied: ") and "binder/lone-worker1" in first
    assert "PodDisruptionBudget binder/hub, which wants 1 healthy of 1" in first
    assert second.startswith("worker2 can never be emptied: ") and "binder/lone-worker2" in second
    assert told["msg"].count("Nothing was changed") == 1
    assert any("worker1 can never be emptied" in line for line in told["lines"])
    told = run(upgrade_plan, {**PLAN, "end_sessions": True}, capsys, monkeypatch, api)
    assert [problem.partition(" ")[0] for problem in told["problems"]] == ["worker1"]
    assert "lone" not in told["msg"]
    # With no other node that takes pods, worker1 is upgraded under what runs there.
    for node in ("head1", "worker2"):
        api.node(node)["spec"]["unschedulable"] = True
    api.node("worker2")["status"]["nodeInfo"]["kubeletVersion"] = "v1.36.3"
    [step] = run(upgrade_plan, PLAN, capsys, monkeypatch, api)["steps"]
    assert (step["hosts"], step["drain"]) == (["worker1"], [])


def test_a_cluster_that_does_not_answer(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    api = recorded()

    def away(_verb: str, _path: str, _body: Any) -> None:
        raise KubeError("GET /version: nobody there")

    api.before = away
    told = run(upgrade_plan, PLAN, capsys, monkeypatch, api)
    assert told["failed"] and "nobody there" in told["msg"] and "nothing was changed" in told["msg"]
    assert "lines" not in told


def test_a_turn(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Check, do, check again, do again; the beginning and the end."""
    api = recorded()
    for state, more in (("begun", {}), ("ended", {"kubelet_version": "1.36.3", "timeout_seconds": 0})):
        given = {"node": "worker1", "state": state, "namespaces": ["binder"], "kubeconfig": "/k", **more}
        before = len(api.changes())
        assert run(upgrade_turn, {**given, "_ansible_check_mode": True}, capsys, monkeypatch, api)["changed"]
        assert len(api.changes()) == before
        assert run(upgrade_turn, given, capsys, monkeypatch, api)["changed"]
        for check in (True, False):
            again = run(upgrade_turn, {**given, "_ansible_check_mode": check}, capsys, monkeypatch, api)
            assert again["changed"] is False
    told = run(
        upgrade_turn,
        {
            "node": "worker1",
            "state": "ended",
            "kubelet_version": "1.37.0",
            "timeout_seconds": 0,
            "kubeconfig": "/k",
        },
        capsys,
        monkeypatch,
        api,
    )
    assert told["failed"] and "its kubelet is v1.36.3, not 1.37.0" in told["msg"]


def test_a_turn_that_may_not_begin_changes_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is down now may be up when its turn comes, so a check refuses nothing for that."""
    api = recorded()
    api.objects["/apis/apps/v1/deployments/hub"] = {"metadata": {"name": "hub", "namespace": "binder"}}
    given = {
        "node": "worker1",
        "state": "begun",
        "namespaces": ["binder"],
        "timeout_seconds": 0,
        "kubeconfig": "/k",
    }
    told = run(upgrade_turn, given, capsys, monkeypatch, api)
    assert told["failed"] and "worker1 is left as it was" in told["msg"]
    assert run(upgrade_turn, {**given, "_ansible_check_mode": True}, capsys, monkeypatch, api)["changed"]
    assert api.changes() == []


def test_kubeadms_words_reach_the_user(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing:
        def __init__(self, *_given: object, **_named: object) -> None:
            pass

        def bring_about(self, check_mode: bool) -> None:
            raise kubeadm_upgrade.KubeadmError("it failed", ["error: no"])

    monkeypatch.setattr(kubeadm_upgrade, "KubeadmUpgrade", Failing)
    told = run(kubeadm_upgrade, {"state": "apply", "version": "1.36.3"}, capsys, monkeypatch)
    assert (told["msg"], told["lines"]) == ("it failed\nerror: no", ["error: no"])
