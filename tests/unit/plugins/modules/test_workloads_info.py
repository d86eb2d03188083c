"""The module `workloads_info`: arguments in, states and reasons out."""

from __future__ import annotations

import json
from typing import Any, Optional

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbinder.platform.plugins.modules import workloads_info

READY = {
    "metadata": {"name": "controller", "namespace": "metallb-system", "generation": 1},
    "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}},
    "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1},
}


class Api:
    items: list[dict[str, Any]]

    def get(self, path: str, **query: str) -> Optional[dict[str, Any]]:
        return {"items": Api.items if path.endswith("/namespaces/metallb-system/deployments") else []}


def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, **more: object
) -> dict[str, Any]:
    monkeypatch.setattr(workloads_info, "connect", lambda _kubeconfig: Api())
    arguments = {
        "namespace": "metallb-system",
        "workloads": ["Deployment/controller"],
        "kubeconfig": "/k",
        **more,
    }
    with patch_module_args(arguments), pytest.raises(SystemExit):
        workloads_info.main()
    return dict(json.loads(capsys.readouterr().out))


def test_ready(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """States by workload, nothing changed."""
    Api.items = [READY]
    result = run(capsys, monkeypatch)
    assert not result["changed"]
    assert result["workloads"] == [
        {"kind": "Deployment", "name": "controller", "ready": True, "seconds": 0.0}
    ]


def test_not_ready(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is the message; in a check nothing is asked."""
    Api.items = []
    result = run(capsys, monkeypatch, timeout_seconds=0)
    assert result["failed"]
    assert "Deployment controller (does not exist" in result["msg"]
    assert not run(capsys, monkeypatch, _ansible_check_mode=True).get("failed")


@pytest.mark.parametrize("entry", ["controller", "Pod/controller", "Deployment/"])
def test_malformed(entry: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A workload that cannot be waited for is refused with the right spelling."""
    assert "write each as one of Deployment" in run(capsys, monkeypatch, workloads=[entry])["msg"]
