# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The module `cluster_objects`: check, do, check again, do again, in each form that objects can be given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeError
from ansible_collections.ironbinder.platform.plugins.modules import cluster_objects
from hand_clock import HandClock
from kube_memory import MemoryApi

CONFIG: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "c"},
    "data": {"a": "1"},
}
SECRET: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "s"},
    "stringData": {"token": "very-secret"},
}
DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "d", "namespace": "default"},
    "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}},
}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> MemoryApi:
    instance = MemoryApi()
    instance.serve("v1", ("ConfigMap", "configmaps", True), ("Secret", "secrets", True))
    instance.serve("apps/v1", ("Deployment", "deployments", True))
    monkeypatch.setattr(cluster_objects, "connect", lambda _kubeconfig: instance)
    monkeypatch.setattr(cluster_objects, "SystemClock", HandClock)
    return instance


def run(capsys: pytest.CaptureFixture[str], **more: object) -> dict[str, Any]:
    with patch_module_args({"kubeconfig": "/k", **more}), pytest.raises(SystemExit):
        cluster_objects.main()
    return dict(json.loads(capsys.readouterr().out))


def test_check_do_check_do_and_away_again(api: MemoryApi, capsys: pytest.CaptureFixture[str]) -> None:
    """The check shows the difference that the run makes; no value of a secret is in any result."""
    for state, action, rest in (("present", "created", "unchanged"), ("absent", "deleted", "absent")):
        checked = run(capsys, definition=[CONFIG, SECRET], state=state, wait=True, _ansible_check_mode=True)
        done = run(capsys, definition=[CONFIG, SECRET], state=state, wait=True)
        assert checked["diff"] == done["diff"]
        assert [entry["action"] for entry in checked["objects"]] == [action] * 2
        assert (checked["changed"], done["changed"]) == (True, True)
        for check in (True, False):
            again = run(capsys, definition=[CONFIG, SECRET], state=state, _ansible_check_mode=check)
            assert (again["changed"], again["diff"]) == (False, [])
            assert [entry["action"] for entry in again["objects"]] == [rest] * 2
        assert "very-secret" not in json.dumps([checked, done, again])
    assert api.objects == {}


def test_every_form(api: MemoryApi, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A mapping, a list, text, a file; and the namespace of objects that name none."""
    text = yaml.safe_dump_all([CONFIG, SECRET])
    (tmp_path / "m.yaml").write_text(text)
    for form, names in (
        ({"definition": CONFIG}, ["c"]),
        ({"definition": [CONFIG, SECRET]}, ["c", "s"]),
        ({"manifest": text}, ["c", "s"]),
        ({"src": str(tmp_path / "m.yaml")}, ["c", "s"]),
    ):
        api.objects.clear()
        result = run(capsys, namespace="own", **form)
        assert [entry["name"] for entry in result["objects"]] == names
        assert "/api/v1/namespaces/own/configmaps/c" in api.objects


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "one of the following is required: definition, manifest, src"),
        ({"manifest": "a", "definition": CONFIG}, "mutually exclusive"),
        ({"manifest": "<html>"}, "manifest is no list of Kubernetes objects"),
        ({"definition": "text"}, "definition is no list of Kubernetes objects"),
        ({"src": "/nowhere/m.yaml"}, "cannot read /nowhere/m.yaml"),
    ],
)
def test_what_is_given_wrong(
    api: MemoryApi, capsys: pytest.CaptureFixture[str], arguments: dict[str, Any], words: str
) -> None:
    result = run(capsys, **arguments)
    assert result["failed"]
    assert words in result["msg"]


def test_workloads_are_waited_for(api: MemoryApi, capsys: pytest.CaptureFixture[str]) -> None:
    """With the reason where one does not run, and with what was done before; secrets are shown meanwhile."""
    api.objects["/api/v1/namespaces/default/secrets/cert"] = {
        "metadata": {"resourceVersion": "7"},
        "data": {"k": "x"},
    }
    api.objects["/api/v1/namespaces/default/pods/p"] = {
        "metadata": {"name": "p", "namespace": "default", "labels": {"a": "b"}}
    }
    shown = [{"namespace": "default", "secret": "cert", "key": "k", "pods": "a=b"}]
    result = run(capsys, definition=DEPLOYMENT, wait=True, timeout_seconds=10, show_secrets=shown)
    assert (result["failed"], result["changed"]) == (True, True)
    assert "Deployment d (0 of 1 ready" in result["msg"]
    assert "annotations" in api.objects["/api/v1/namespaces/default/pods/p"]["metadata"]
    status = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
    api.objects["/apis/apps/v1/namespaces/default/deployments/d"]["status"] = status
    result = run(capsys, definition=DEPLOYMENT, wait=True)
    assert not result["changed"]
    assert result["workloads"] == [{"kind": "Deployment", "name": "d", "ready": True, "seconds": 0.0}]


def test_a_check_without_a_cluster_predicts(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    missing = str(tmp_path / "none")
    checked = run(capsys, definition=CONFIG, kubeconfig=missing, wait=True, _ansible_check_mode=True)
    assert not checked.get("failed")
    assert (checked["changed"], checked["objects"][0]["action"]) == (True, "created")
    assert missing in checked["objects"][0]["predicted"]
    assert run(capsys, definition=CONFIG, kubeconfig=missing)["failed"]


def test_a_refusal_is_one_in_a_check_too(api: MemoryApi, capsys: pytest.CaptureFixture[str]) -> None:
    def forbid(verb: str, path: str, _body: Any) -> None:
        raise KubeError(f"{verb} {path}: 403 forbidden", 403, "forbidden")

    api.before = forbid
    for check in (True, False):
        result = run(capsys, definition=CONFIG, _ansible_check_mode=check)
        assert (result["failed"], result["changed"]) == (True, False)
        assert "ConfigMap c: GET /api/v1: 403 forbidden" in result["msg"]
