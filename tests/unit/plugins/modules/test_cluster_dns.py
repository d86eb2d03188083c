# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The module `cluster_dns`: check, do, check again, do again, for names that come, change and go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbinder.platform.plugins.modules import cluster_dns
from kube_memory import MemoryApi

CONFIG = "/api/v1/namespaces/kube-system/configmaps/coredns"
WORKLOAD = "/apis/apps/v1/namespaces/kube-system/deployments/coredns"
COREFILE = ".:53 {\n    errors\n    forward . /etc/resolv.conf\n}\n"
HOSTS = {"192.0.2.50": ["git.example.org"]}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> MemoryApi:
    instance = MemoryApi()
    instance.objects[CONFIG] = {"metadata": {"name": "coredns"}, "data": {"Corefile": COREFILE}}
    instance.objects[WORKLOAD] = {
        "metadata": {"name": "coredns", "generation": 1},
        "spec": {"replicas": 2, "template": {"metadata": {"labels": {"k8s-app": "kube-dns"}}}},
        "status": {
            "observedGeneration": 9,
            "replicas": 2,
            "updatedReplicas": 2,
            "availableReplicas": 2,
            "readyReplicas": 2,
        },
    }
    monkeypatch.setattr(cluster_dns, "connect", lambda _kubeconfig: instance)
    return instance


def run(capsys: pytest.CaptureFixture[str], hosts: Any, **more: object) -> dict[str, Any]:
    arguments = {"hosts": hosts, "kubeconfig": "/k", "timeout_seconds": 0, **more}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        cluster_dns.main()
    return dict(json.loads(capsys.readouterr().out))


@pytest.mark.parametrize("steps", [[HOSTS, {"192.0.2.51": ["git.example.org"]}, {}]])
def test_check_do_check_do(
    api: MemoryApi, capsys: pytest.CaptureFixture[str], steps: list[dict[str, list[str]]]
) -> None:
    for hosts in steps:
        before = len(api.changes())
        checked = run(capsys, hosts, _ansible_check_mode=True)
        assert len(api.changes()) == before
        done = run(capsys, hosts)
        assert (checked["changed"], checked["diff"]) == (True, done["diff"])
        assert done["changed"]
        assert ("git.example.org" in done["diff"][0]["after"]) is bool(hosts)
        # The file is there before a pod reads it.
        assert [path for _verb, path in api.changes()[before:]] == [CONFIG, WORKLOAD]
        for check in (True, False):
            assert not run(capsys, hosts, _ansible_check_mode=check)["changed"]
    assert api.objects[CONFIG]["data"]["Corefile"] == COREFILE
    assert api.objects[WORKLOAD]["spec"]["template"]["metadata"]["labels"] == {"k8s-app": "kube-dns"}
    assert not api.objects[WORKLOAD]["spec"]["template"]["metadata"].get("annotations")


def test_a_run_that_was_stopped_in_between(api: MemoryApi, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, HOSTS)
    del api.objects[WORKLOAD]["spec"]["template"]["metadata"]["annotations"]
    again = run(capsys, HOSTS)
    assert again["changed"]
    assert api.changes()[-1][1] == WORKLOAD


def test_a_cluster_with_another_dns(api: MemoryApi, capsys: pytest.CaptureFixture[str]) -> None:
    del api.objects[CONFIG]
    assert not run(capsys, {})["changed"]
    assert "no ConfigMap coredns" in run(capsys, HOSTS)["msg"]


def test_a_check_without_a_cluster_predicts(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    missing = str(tmp_path / "none")
    checked = run(capsys, HOSTS, kubeconfig=missing, _ansible_check_mode=True)
    assert not checked.get("failed")
    assert (checked["changed"], missing in checked["observed"]) == (True, True)
    assert not run(capsys, {}, kubeconfig=missing, _ansible_check_mode=True)["changed"]
    assert run(capsys, HOSTS, kubeconfig=missing)["failed"]


def test_its_pods_leave_a_lost_node_in_time(api: MemoryApi, capsys: pytest.CaptureFixture[str]) -> None:
    """What else they tolerate stays, and so do they where nothing is said."""
    theirs = [{"key": "CriticalAddonsOnly", "operator": "Exists"}]
    api.objects[WORKLOAD]["spec"]["template"]["spec"] = {"tolerations": list(theirs)}
    assert not run(capsys, {})["changed"]
    for seconds in (10, 20):
        checked = run(capsys, {}, lost_node_seconds=seconds, _ansible_check_mode=True)
        before = api.changes()
        done = run(capsys, {}, lost_node_seconds=seconds)
        assert (checked["changed"], checked["diff"]) == (True, done["diff"])
        assert f'"tolerationSeconds": {seconds}' in done["diff"][1]["after"]
        assert [path for _verb, path in api.changes()[len(before) :]] == [WORKLOAD]
        told = api.objects[WORKLOAD]["spec"]["template"]["spec"]["tolerations"]
        assert told[:1] == theirs
        assert [entry["tolerationSeconds"] for entry in told[1:]] == [seconds, seconds]
        assert not run(capsys, {}, lost_node_seconds=seconds)["changed"]
    assert not run(capsys, {})["changed"]
