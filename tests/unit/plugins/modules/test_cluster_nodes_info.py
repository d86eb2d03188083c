"""The module `cluster_nodes_info`: real runs fail clearly, checks never fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbinder.platform.plugins.modules import cluster_nodes_info


class Api:
    def get(self, path: str) -> dict[str, Any]:
        return {"items": [{"metadata": {"name": "head1"}}]}


def run(capsys: pytest.CaptureFixture[str], **arguments: object) -> dict[str, Any]:
    with patch_module_args(arguments), pytest.raises(SystemExit):
        cluster_nodes_info.main()
    return dict(json.loads(capsys.readouterr().out))


def test_nodes_by_name(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """All nodes are told of, the named ones are insisted on."""
    monkeypatch.setattr(cluster_nodes_info, "connect", lambda _kubeconfig: Api())
    result = run(capsys, kubeconfig="/k", names=["head1"])
    assert (result["changed"], list(result["nodes"]), result["observed"]) == (False, ["head1"], "")
    assert "worker9 has not joined" in run(capsys, kubeconfig="/k", names=["worker9"])["msg"]
    checked = run(capsys, kubeconfig="/k", names=["worker9"], _ansible_check_mode=True)
    assert list(checked["nodes"]) == ["head1"]


def test_no_cluster(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Without a kubeconfig a run fails, and a check says that there are no nodes."""
    missing = str(tmp_path / "none")
    assert missing in run(capsys, kubeconfig=missing)["msg"]
    checked = run(capsys, kubeconfig=missing, _ansible_check_mode=True)
    assert not checked.get("failed")
    assert checked["nodes"] == {}
    assert missing in checked["observed"]
