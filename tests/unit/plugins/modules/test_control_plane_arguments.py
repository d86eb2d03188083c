# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The module's doors: arguments in, both texts out, and one message where it is no head. The work is tested with its own file."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.control_plane_arguments import (
    ArgumentsError,
    Told,
)
from ansible_collections.ironbinder.platform.plugins.modules import control_plane_arguments

ARGUMENTS = {
    "component": "kube-controller-manager",
    "arguments": {"node-monitor-grace-period": "20s", "v": 4},
    "node_name": "head1",
}
Answer = Callable[[], Told]


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[Answer, bool], dict[str, Any]]:
    def run_module(answer: Answer, check_mode: bool = False) -> dict[str, Any]:
        class Work:
            def __init__(self, _run: object, _clock: object, **asked: Any) -> None:
                assert asked["arguments"] == {"node-monitor-grace-period": "20s", "v": "4"}
                assert asked["timeout_seconds"] == 180

            def bring_about(self, check_mode: bool) -> Told:
                assert check_mode is is_check
                return answer()

        is_check = check_mode
        monkeypatch.setattr(control_plane_arguments, "ControlPlaneArguments", Work)
        with (
            patch_module_args({**ARGUMENTS, "_ansible_check_mode": check_mode}),
            pytest.raises(SystemExit) as ended,
        ):
            control_plane_arguments.main()
        told: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert ended.value.code == (1 if told.get("failed") else 0)
        return told

    return run_module


@pytest.mark.parametrize("check_mode", [True, False])
def test_what_differs_is_shown(run: Callable[..., dict[str, Any]], check_mode: bool) -> None:
    told = run(
        lambda: Told({"memory": "a\n", "manifest": "x\n"}, {"memory": "a\n", "manifest": "y\n"}), check_mode
    )
    assert (told["changed"], told["texts"]) == (True, ["manifest"])
    [diff] = told["diff"]
    assert diff == {
        "before_header": "manifest",
        "after_header": "manifest",
        "before": "x\n",
        "after": "y\n",
    }


def test_nothing_to_do(run: Callable[..., dict[str, Any]]) -> None:
    told = run(lambda: Told({"manifest": "x\n"}, {"manifest": "x\n"}))
    assert (told["changed"], told["diff"]) == (False, [])


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ArgumentsError("it does not run. Look there"), "it does not run. Look there"),
        (
            FileNotFoundError(2, "No such file", "/etc/kubernetes/manifests/x.yaml"),
            "needs a head of a cluster",
        ),
    ],
)
def test_an_error_is_one_message(run: Callable[..., dict[str, Any]], error: Exception, words: str) -> None:
    def fail() -> Told:
        raise error

    told = run(fail)
    assert told["failed"]
    assert words in told["msg"]
