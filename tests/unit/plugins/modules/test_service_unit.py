# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The module's doors: arguments in, answers out. What it decides is tested with its units."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import Ran
from ansible_collections.ironbinder.platform.plugins.modules import service_unit

DATA = Path(__file__).parents[2] / "data/units"
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    def run_module(answer: str, **args: Any) -> dict[str, Any]:
        def systemctl(argv: Sequence[str], _timeout_seconds: float) -> Ran:
            assert argv[1] == "show", "a check changes nothing"
            return Ran(0, (DATA / f"{answer}.txt").read_text())

        monkeypatch.setattr(service_unit, "run_command", systemctl)
        with (
            patch_module_args({"name": "x", "_ansible_check_mode": True, **args}),
            pytest.raises(SystemExit) as stop,
        ):
            service_unit.main()
        told: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert stop.value.code == (1 if told.get("failed") else 0)
        return told

    return run_module


def test_what_would_be_done_is_told_and_shown(run: Run) -> None:
    answer = run("disabled")
    assert answer["changed"]
    assert answer["actions"] == ["drop_in", "daemon-reload", "enable", "start"]
    assert answer["unit"]["name"] == "d1fork.service"
    assert [entry["after_header"] for entry in answer["diff"]] == [
        "d1fork.service",
        "/etc/systemd/system/d1fork.service.d/50-ironbinder-restart.conf",
    ]
    assert "Restart=always" in answer["diff"][1]["after"]


def test_nothing_to_do(run: Run, tmp_path: Path) -> None:
    (tmp_path / "old").write_text("x")
    os.utime(tmp_path / "old", (1, 1))
    answer = run(
        "running",
        enabled=False,
        config_files=[str(tmp_path / "old"), str(tmp_path / "none"), f"{tmp_path}/old/x"],
    )
    assert not answer["changed"]
    assert answer["diff"] == []


def test_a_file_that_was_changed_since(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The recorded unit was started on 2026-11-21.
    (tmp_path / "new").write_text("x")
    os.utime(tmp_path / "new", (1795275380, 1795275380))
    monkeypatch.setattr(service_unit.time, "time", lambda: 1795275390.0)
    assert run("running", enabled=False, config_files=[str(tmp_path / "new")])["actions"] == ["restart"]


def test_a_failure_is_one_message(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_unit, "run_command", lambda _argv, _seconds: Ran(1, stderr="no bus"))
    with patch_module_args({"name": "x"}), pytest.raises(SystemExit):
        service_unit.main()
    answer = json.loads(capsys.readouterr().out)
    assert answer["failed"]
    assert "x.service and did not answer: no bus" in answer["msg"]
    assert answer["journal"] == []


def test_a_mask_is_shown(run: Run) -> None:
    answer = run("masked")
    assert answer["actions"] == ["unmask", "start"]
    assert "starts with the machine: masked" in answer["diff"][0]["before"]
    assert "starts with the machine: unmasked" in answer["diff"][0]["after"]


def test_what_has_worked_is_started_again(run: Run, tmp_path: Path) -> None:
    """By any of the files that say so."""
    marker = tmp_path / "worked"
    asked = {"state": "as_is", "comes_back_enabled": False, "worked_where": ["/nowhere/x", str(marker)]}
    assert run("stopped", **asked)["actions"] == []
    marker.touch()
    assert run("stopped", **asked)["actions"] == ["start"]


def test_what_belongs_to_it_comes_first(run: Run) -> None:
    """Each by the defaults: started, and with the machine."""
    alone = run("disabled")
    answer = run("disabled", also=["d1fork.service"], enabled=False, comes_back_enabled=False)
    assert answer["actions"] == [*alone["actions"], "start"]
    assert len(answer["diff"]) == len(alone["diff"]) + 1


def test_what_belongs_to_it_changes_the_task(run: Run) -> None:
    assert run("needs_reload", enabled=False)["changed"]
    assert run("masked", also=["x.timer"])["actions"] == ["unmask", "start"] * 2
