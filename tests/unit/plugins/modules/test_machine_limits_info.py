# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The module's answer has the documented keys, on this machine."""

from __future__ import annotations

import json

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.proc import MachineError
from ansible_collections.ironbinder.platform.plugins.modules import machine_limits_info


@pytest.mark.parametrize("check_mode", [False, True])
def test_answer_is_as_documented(check_mode: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with patch_module_args({"_ansible_check_mode": check_mode}), pytest.raises(SystemExit) as stop:
        machine_limits_info.main()
    answer = json.loads(capsys.readouterr().out)
    assert stop.value.code == 0
    assert answer.pop("changed") is False
    answer.pop("invocation")
    documented = yaml.safe_load(machine_limits_info.RETURN)
    assert set(answer) == set(documented)
    types = {"bool": bool, "int": int, "str": str, "list": list, "dict": dict}
    for key, value in answer.items():
        assert type(value) is types[documented[key]["type"]], key


def test_failure_is_one_message(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise MachineError("no control groups: mount cgroup2")

    monkeypatch.setattr(machine_limits_info, "read_machine_limits", fail)
    with patch_module_args({}), pytest.raises(SystemExit) as stop:
        machine_limits_info.main()
    answer = json.loads(capsys.readouterr().out)
    assert stop.value.code == 1
    assert answer["msg"] == "no control groups: mount cgroup2"
