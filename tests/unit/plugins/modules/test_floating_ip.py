"""The module `floating_ip`: check, do, check again, do again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.floating_ip import Service
from ansible_collections.ironbinder.platform.plugins.modules import floating_ip

IP = "192.0.2.10"


class Cluster:
    """Two services and one address, which the hub gets as soon as it is free."""

    held: list[Service]

    def __init__(self, api: object) -> None:
        assert api == "/somewhere/config"

    def services(self) -> Sequence[Service]:
        return Cluster.held

    def manifest(self, service: Service) -> dict[str, str]:
        return {"kind": "Service"}

    def make_node_port(self, service: Service) -> None:
        Cluster.held = [
            replace(one, type="NodePort", addresses=()) if one == service else replace(one, addresses=(IP,))
            for one in Cluster.held
        ]


def run(capsys: pytest.CaptureFixture[str], **more: object) -> dict[str, object]:
    arguments = {"namespace": "binder", "address": IP, "kubeconfig": "/somewhere/config", **more}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        floating_ip.main()
    return json.loads(capsys.readouterr().out)


def test_check_do_check_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The holder gives the address up once, and the difference says so."""
    monkeypatch.setattr(floating_ip, "KubernetesServices", Cluster)
    monkeypatch.setattr(floating_ip, "connect", lambda kubeconfig: kubeconfig)
    backup = {"release_holder": True, "backup_dir": str(tmp_path)}
    Cluster.held = [
        Service("binder", "binder", "LoadBalancer", (IP,), ()),
        Service("binder", "proxy-public", "LoadBalancer", (), ()),
    ]
    refused = run(capsys)
    assert refused["failed"]
    assert "held by service binder/binder" in str(refused["msg"])
    checked = run(capsys, **backup, _ansible_check_mode=True)
    done = run(capsys, **backup)
    for result in (checked, done):
        assert (result["changed"], result["released"]) == (True, "binder/binder")
        assert result["released_manifest"] == {"kind": "Service"}
        assert str(result["backup_file"]).startswith(f"{tmp_path}/service-binder-binder-")
        assert result["diff"] == {
            "before": f"binder/binder: LoadBalancer, holds {IP}\n",
            "after": "binder/binder: NodePort\n",
        }
    assert done["addresses"] == [IP]
    for again in (run(capsys, release_holder=True, _ansible_check_mode=True), run(capsys)):
        assert (again["changed"], again["holder"], again["released"]) == (False, "binder/proxy-public", "")


def test_a_wait_in_vain_after_a_change(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The failure tells what was changed, as a success would."""
    monkeypatch.setattr(floating_ip, "KubernetesServices", Cluster)
    monkeypatch.setattr(floating_ip, "connect", lambda kubeconfig: kubeconfig)
    Cluster.held = [Service("binder", "binder", "LoadBalancer", (IP,), ())]
    result = run(capsys, release_holder=True, backup_dir=str(tmp_path), timeout_seconds=0)
    assert (result["failed"], result["changed"], result["released"]) == (True, True, "binder/binder")
    assert result["released_manifest"] == {"kind": "Service"}
    (file,) = tmp_path.iterdir()
    assert result["backup_file"] == str(file)


def test_a_kubeconfig_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """One message with the file and its variable, no traceback."""
    arguments = {"namespace": "binder", "address": IP, "kubeconfig": str(tmp_path / "none")}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        floating_ip.main()
    result = json.loads(capsys.readouterr().out)
    assert result["failed"]
    assert f"{tmp_path / 'none'} is no kubeconfig" in result["msg"]
    assert "site_kubeconfig_file" in result["msg"]
