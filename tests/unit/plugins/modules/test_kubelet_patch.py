"""The module `kubelet_patch`: what it says of this machine, and of one whose pods would have no names."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.proc import MachineError
from ansible_collections.ironbinder.platform.plugins.modules import kubelet_patch


def run(
    folder: Path, capsys: pytest.CaptureFixture[str], check_mode: bool = False, **given: Any
) -> tuple[int, dict[str, Any]]:
    arguments = {"folder": str(folder), "_ansible_check_mode": check_mode, "_ansible_diff": True, **given}
    with patch_module_args(arguments), pytest.raises(SystemExit) as ended:
        kubelet_patch.main()
    return int(ended.value.code or 0), json.loads(capsys.readouterr().out)


def test_check_do_check_again_do_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On this machine, whatever it is."""
    folder = tmp_path / "patches"
    results = [run(folder, capsys, check) for check in (True, False, True, False)]
    assert [(code, result["changed"]) for code, result in results] == [
        *((0, True), (0, True), (0, False), (0, False))
    ]
    [file] = folder.iterdir()
    assert results[0][1]["diff"]["after"] == results[1][1]["diff"]["after"] == file.read_text()
    assert results[1][1]["diff"]["after_header"] == str(file)


def test_what_the_site_wants(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Asked for, asked for again, and no longer."""
    wishes: list[dict[str, int]] = [{}, {"maxPods": 240}, {"maxPods": 240}, {}]
    results = [run(tmp_path, capsys, settings=wish)[1] for wish in wishes]
    assert [result["changed"] for result in results] == [True, True, False, True]
    assert [result["patch"].get("maxPods") for result in results] == [None, 240, 240, None]


def test_a_machine_without_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused before it is a node, and only warned of afterwards."""
    limits = replace(kubelet_patch.read_machine_limits(), resolver_is_loopback=True, resolv_conf="")
    monkeypatch.setattr(kubelet_patch, "read_machine_limits", lambda: limits)
    monkeypatch.setattr(kubelet_patch, "KUBELET_CONFIG", tmp_path / "config.yaml")
    code, result = run(tmp_path / "patches", capsys)
    assert (code, "names only servers on the machine itself" in result["msg"]) == (1, True)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "config.yaml").touch()
    warned: list[str] = []
    # Ansible keeps warnings for the whole process, where other tests would find them.
    monkeypatch.setattr(kubelet_patch.AnsibleModule, "warn", lambda _module, text: warned.append(text))
    code, result = run(tmp_path / "patches", capsys)
    assert (code, result["changed"], "resolvConf" in result["patch"]) == (0, True, False)
    assert [text.endswith("This machine is a node already and is left as it is.") for text in warned] == [
        True
    ]


def test_errors_are_the_modules_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that cannot be made, a machine that cannot be read."""
    (tmp_path / "file").touch()
    code, result = run(tmp_path / "file" / "patches", capsys)
    assert (code, "Not a directory" in result["msg"]) == (1, True)

    def fail() -> None:
        raise MachineError("no control groups: mount cgroup2")

    monkeypatch.setattr(kubelet_patch, "read_machine_limits", fail)
    assert run(tmp_path, capsys)[1]["msg"] == "no control groups: mount cgroup2"
