# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The whole module with a client that keeps images: check, do, check again, do again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import Ran
from ansible_collections.ironbinder.platform.plugins.modules import containerd_image

DATA = Path(__file__).parents[2] / "data/containerd"
PAUSE = "registry.k8s.io/pause:3.10.2"
Run = Callable[..., dict[str, Any]]


class Client:
    """A `ctr` whose pulls succeed, until the daemon is stopped."""

    def __init__(self) -> None:
        self.images: list[str] = []
        self.is_up = True
        self.plugins = "plugins"

    def __call__(self, argv: Sequence[str], _timeout_seconds: float) -> Ran:
        if not self.is_up:
            return Ran(1, stderr=(DATA / "daemon_down.txt").read_text())
        if "pull" in argv:
            self.images.append(argv[-1])
        if argv[1] == "plugins":
            return Ran(0, (DATA / f"{self.plugins}.txt").read_text())
        return Ran(0, "".join(f"{image}\n" for image in self.images))


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    found = Client()
    monkeypatch.setattr(containerd_image, "run_command", found)
    return found


@pytest.fixture
def run(client: Client, capsys: pytest.CaptureFixture[str]) -> Run:
    def run_module(check: bool = False) -> dict[str, Any]:
        with (
            patch_module_args({"name": PAUSE, "_ansible_check_mode": check}),
            pytest.raises(SystemExit),
        ):
            containerd_image.main()
        answer: dict[str, Any] = json.loads(capsys.readouterr().out)
        return answer

    return run_module


def test_check_do_check_do(run: Run, client: Client) -> None:
    assert run(check=True)["changed"]
    assert client.images == []
    assert run()["changed"]
    assert client.images == [PAUSE]
    assert not run(check=True)["changed"]
    assert not run()["changed"]
    assert client.images == [PAUSE]


def test_a_daemon_that_is_down_is_an_error_but_for_a_check(run: Run, client: Client) -> None:
    client.images, client.is_up = [PAUSE], False
    assert run(check=True)["changed"]
    assert run()["failed"]


def test_an_image_does_not_hide_a_daemon_without_its_interface(run: Run, client: Client) -> None:
    client.images, client.plugins = [PAUSE], "cri_disabled"
    assert "without its Kubernetes interface" in run()["msg"]
