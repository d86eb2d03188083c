"""The module `kubeadm`: arguments in, result and errors out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbinder.platform.plugins.modules import kubeadm


def run(arguments: dict[str, object], capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, object]]:
    with patch_module_args(arguments), pytest.raises(SystemExit) as ended:
        kubeadm.main()
    return int(ended.value.code or 0), json.loads(capsys.readouterr().out)


def test_check_mode_on_a_bare_machine(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Nothing is installed here: the module still says what it would do."""
    if Path("/etc/kubernetes").exists() or Path("/var/lib/ironbinder").exists():
        pytest.skip("this machine is a node")
    arguments = {
        "state": "init",
        "config": str(tmp_path / "c"),
        "node_name": "head1",
        "_ansible_check_mode": True,
    }
    code, result = run(arguments, capsys)
    assert code == 0
    assert (result["changed"], result["action"]) == (True, "run")
    assert result["found"]["observed"] == "/etc/kubernetes/admin.conf is not there"  # type: ignore[index]


def test_errors_are_the_modules_errors(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Message and kubeadm's lines reach the user."""

    class Failing:
        def __init__(self, *_given: object, **_named: object) -> None:
            pass

        def bring_about(self, check_mode: bool) -> None:
            raise kubeadm.KubeadmError("it failed", ["[ERROR Swap]: on"])

    monkeypatch.setattr(kubeadm, "Kubeadm", Failing)
    code, result = run({"state": "join", "config": "/nowhere", "node_name": "worker1"}, capsys)
    assert code == 1
    assert result["msg"] == "it failed\n[ERROR Swap]: on"
    assert result["lines"] == ["[ERROR Swap]: on"]


def test_state_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown state is refused by the argument specification."""
    code, result = run({"state": "reset", "config": "/c", "node_name": "x"}, capsys)
    assert code == 1
    assert "value of state must be one of: init, join" in str(result["msg"])


@pytest.mark.parametrize("name", ["cluster_goes", "node_goes"])
def test_what_goes_is_said_to_who_leaves(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    said: dict[str, object] = {}

    class Leaving:
        def __init__(self, *_given: object, **named: object) -> None:
            said.update(named)

        def bring_about(self, check_mode: bool) -> None:
            raise kubeadm.KubeadmError("it was built", [])

    monkeypatch.setattr(kubeadm, "Departure", Leaving)
    run({"state": "absent", "node_name": "worker1", name: True}, capsys)
    assert {key: said[key] for key in ("cluster_goes", "node_goes")} == {
        "cluster_goes": name == "cluster_goes",
        "node_goes": name == "node_goes",
    }
