# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The module `cluster_nodes`: check, do, check again, do again."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeError
from ansible_collections.ironbinder.platform.plugins.modules import cluster_nodes
from kube_memory import MemoryApi

TAINT = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
NODES = [
    {
        "name": "head1",
        "labels": {"purpose": "core", "old": None, "fast": True},
        "taints": [{**TAINT, "state": "absent"}],
    }
]


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> MemoryApi:
    instance = MemoryApi()
    instance.objects["/api/v1/nodes/head1"] = {
        "metadata": {"name": "head1", "resourceVersion": "1", "labels": {"old": "x"}},
        "spec": {"taints": [TAINT]},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }
    monkeypatch.setattr(cluster_nodes, "connect", lambda _kubeconfig: instance)
    return instance


def run(capsys: pytest.CaptureFixture[str], **more: object) -> dict[str, Any]:
    arguments = {"nodes": NODES, "kubeconfig": "/k", "timeout_seconds": 0, **more}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        cluster_nodes.main()
    return dict(json.loads(capsys.readouterr().out))


def test_check_do_check_do(api: MemoryApi, capsys: pytest.CaptureFixture[str]) -> None:
    """The check shows the difference that the run makes."""
    checked = run(capsys, _ansible_check_mode=True)
    assert api.changes() == []
    done = run(capsys)
    assert checked["diff"] == done["diff"]
    assert done["diff"] == {
        "before": {"head1": {"labels": {"old": "x"}, "taints": [f"{TAINT['key']}=:NoSchedule"]}},
        "after": {"head1": {"labels": {"purpose": "core", "fast": "true"}, "taints": []}},
    }
    assert (checked["changed"], done["changed"], checked["observed"]) == (True, True, "")
    assert done["nodes"]["head1"]["taints"] == []
    for check in (True, False):
        again = run(capsys, _ansible_check_mode=check)
        assert (again["changed"], again["diff"]) == (False, {"before": {}, "after": {}})


def test_a_failure_says_what_was_done(api: MemoryApi, capsys: pytest.CaptureFixture[str]) -> None:
    api.objects["/api/v1/nodes/head1"]["status"] = {}
    result = run(capsys)
    assert (result["failed"], result["changed"]) == (True, True)
    assert "head1 is not Ready" in result["msg"]


def test_a_check_without_a_cluster_predicts(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    missing = str(tmp_path / "none")
    checked = run(capsys, kubeconfig=missing, _ansible_check_mode=True)
    assert not checked.get("failed")
    assert (checked["changed"], missing in checked["observed"]) == (True, True)
    assert run(capsys, kubeconfig=missing)["failed"]


def test_a_refusal_is_one_in_a_check_too(api: MemoryApi, capsys: pytest.CaptureFixture[str]) -> None:
    def forbid(_verb: str, _path: str, _body: Any) -> None:
        raise KubeError("403 nodes is forbidden", 403)

    api.before = forbid
    assert "nodes is forbidden" in run(capsys, _ansible_check_mode=True)["msg"]


SECRETS = "/api/v1/namespaces/kube-system/secrets"


def token(name: str, description: str, kind: str = "bootstrap.kubernetes.io/token") -> dict[str, Any]:
    """A token as kubeadm writes it."""
    data = {"description": base64.b64encode(description.encode()).decode()}
    return {"metadata": {"name": name}, "type": kind, "data": data}


@pytest.fixture
def tokens(api: MemoryApi) -> set[str]:
    """Tokens of ours, and what is not ours."""
    secrets = [
        token("bootstrap-token-ours01", "Ironbinder joins a node"),
        token("bootstrap-token-ours02", "Ironbinder joins a node"),
        token("bootstrap-token-admin1", "for my laptop"),
        token("bootstrap-token-plain1", ""),
        token("somebodys", "Ironbinder joins a node", "Opaque"),
        {**token("bootstrap-token-broken", ""), "data": {"description": "%"}},
    ]
    for secret in secrets:
        api.objects[f"{SECRETS}/{secret['metadata']['name']}"] = secret
    return {secret["metadata"]["name"] for secret in secrets}


def left(api: MemoryApi) -> set[str]:
    return {path.rpartition("/")[2] for path in api.objects if path.startswith(SECRETS)}


def test_spent_tokens_go_and_others_stay(
    api: MemoryApi, tokens: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys)
    assert left(api) == tokens
    ours = ["bootstrap-token-ours01", "bootstrap-token-ours02"]
    checked = run(capsys, spent_tokens="Ironbinder joins", _ansible_check_mode=True)
    assert (checked["changed"], checked["removed_tokens"], left(api)) == (True, ours, tokens)
    done = run(capsys, spent_tokens="Ironbinder joins")
    assert (done["changed"], done["removed_tokens"], left(api)) == (True, ours, tokens - set(ours))
    for check in (True, False):
        again = run(capsys, spent_tokens="Ironbinder joins", _ansible_check_mode=check)
        assert (again["changed"], again["removed_tokens"]) == (False, [])


def test_while_a_node_is_missing_no_token_is_spent(
    api: MemoryApi, tokens: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    more = [*NODES, {"name": "worker9"}]
    checked = run(capsys, nodes=more, spent_tokens="Ironbinder joins", _ansible_check_mode=True)
    assert checked["removed_tokens"] == []
    assert run(capsys, nodes=more, spent_tokens="Ironbinder joins")["failed"]
    assert left(api) == tokens
