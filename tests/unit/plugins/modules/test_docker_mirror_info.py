# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The whole module against a daemon on a Unix socket and a mirror on a port."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbinder.platform.plugins.modules import docker_mirror_info
from docker_daemon import DockerDaemon, Mirror

DIGEST = f"sha256:{'a' * 64}"
NAME = "docker.io/library/hello-world:latest"
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    server = Mirror()
    server.manifests["/v2/library/hello-world/manifests/latest"] = (
        200,
        {"Docker-Content-Digest": DIGEST},
        b"{}",
    )
    yield server
    server.close()


@pytest.fixture
def daemon(tmp_path: Path, mirror: Mirror) -> Iterator[DockerDaemon]:
    server = DockerDaemon(tmp_path / "docker.sock", [f"{mirror.url}/"])
    server.remote[NAME] = ("sha256:1", DIGEST)
    yield server
    server.close()


@pytest.fixture
def run(daemon: DockerDaemon, capsys: pytest.CaptureFixture[str]) -> Run:
    def run_module(**args: Any) -> dict[str, Any]:
        with patch_module_args({"socket_path": daemon.path, **args}), pytest.raises(SystemExit) as stop:
            docker_mirror_info.main()
        answer: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert stop.value.code == (1 if answer.get("failed") else 0)
        assert answer.get("changed") is False
        return answer

    return run_module


def test_proof(run: Run, daemon: DockerDaemon, mirror: Mirror) -> None:
    answer = run(expected_mirrors=[f"{mirror.url}/"], image="hello-world")
    assert not answer.get("failed")
    assert answer["server_version"] == "20.10.24+dfsg1"
    assert answer["mirrors"] == [mirror.url]
    assert answer["missing_mirrors"] == []
    (pull,) = answer["pulls"]
    assert (pull["source"], pull["image"], pull["digest"]) == ("docker.io", NAME, DIGEST)
    assert pull["seconds"] >= 0
    assert daemon.images == {}


def test_without_an_image_nothing_is_pulled(run: Run, daemon: DockerDaemon) -> None:
    assert run()["pulls"] == []
    assert daemon.calls == ["GET /info"]


def test_check_mode_asks_the_mirror_but_pulls_nothing(run: Run, daemon: DockerDaemon, mirror: Mirror) -> None:
    assert run(image="hello-world", _ansible_check_mode=True)["pulls"] == []
    assert daemon.calls == ["GET /info"]
    assert [method for method, *_ in mirror.asked] == ["HEAD"]


def test_missing_mirror(run: Run, mirror: Mirror) -> None:
    answer = run(expected_mirrors=[mirror.url, "https://gone.example"], image="hello-world")
    assert answer["failed"]
    assert answer["missing_mirrors"] == ["https://gone.example"]
    assert "lacks https://gone.example" in answer["msg"]
    assert "systemctl restart docker" in answer["msg"]


def test_a_daemon_that_cannot_say_is_not_said_to_lack_mirrors(
    run: Run, daemon: DockerDaemon, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "serve", lambda *call: (500, {"message": "shutting down"}))
    answer = run(expected_mirrors=[mirror.url])
    assert answer["failed"]
    assert "shutting down" in answer["msg"]
    assert "lacks" not in answer["msg"]
    assert "missing_mirrors" not in answer


def test_failed_pull(run: Run, daemon: DockerDaemon) -> None:
    daemon.remote.clear()
    answer = run(image="hello-world")
    assert answer["failed"]
    assert "manifest unknown" in answer["msg"]


def test_mirror_lacks_the_image(run: Run, daemon: DockerDaemon) -> None:
    answer = run(image="busybox")
    assert answer["failed"]
    assert "does not serve library/busybox:latest" in answer["msg"]
    assert daemon.calls == ["GET /info"]


def test_another_digest(run: Run, daemon: DockerDaemon) -> None:
    daemon.remote[NAME] = ("sha256:1", f"sha256:{'b' * 64}")
    answer = run(image="hello-world")
    assert answer["failed"]
    assert "went past the mirror" in answer["msg"]


def test_image_of_another_registry(run: Run) -> None:
    answer = run(image="quay.io/a/b")
    assert answer["failed"]
    assert "Docker Hub's images alone" in answer["msg"]


def test_daemon_down(run: Run, daemon: DockerDaemon) -> None:
    daemon.close()
    answer = run(expected_mirrors=["https://a"])
    assert answer["failed"]
    assert "does not answer" in answer["msg"]
    assert "mirrors" not in answer


PROXIES = {"http_proxy": "http://site:s3cret@proxy:3128", "no_proxy": "localhost,.svc"}


@pytest.mark.parametrize(
    ("told", "others"),
    [
        ({"HttpProxy": "http://xxxxx:xxxxx@proxy:3128", "NoProxy": "localhost,.svc"}, ""),
        (
            {"HttpProxy": "http://proxy:3128/", "HttpsProxy": "http://admins:1", "NoProxy": "localhost,.svc"},
            "",
        ),
        (
            {"HttpProxy": "http://xxxxx:xxxxx@old:3128", "NoProxy": "localhost,.svc"},
            "another http_proxy than",
        ),
        ({}, "another http_proxy and no_proxy than"),
    ],
)
def test_proxies_in_effect(run: Run, daemon: DockerDaemon, told: dict[str, str], others: str) -> None:
    daemon.proxies = told
    assert not run().get("failed")
    answer = run(expected_proxies=PROXIES)
    assert answer.get("failed", False) is bool(others)
    assert others in answer.get("msg", "")
    assert "s3cret" not in json.dumps(answer)
