# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The module `base_image`: check, do, check again, do again, against a daemon's API on a real socket."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import Ran
from ansible_collections.ironbinder.platform.plugins.modules import base_image
from docker_daemon import DockerDaemon

REPOSITORY = "registry.example.org:5000/binder/x-base"
BASE = "docker.io/library/buildpack-deps:24.04"
FILES = {"Dockerfile": f"FROM {BASE}\nCOPY a /a\n", "a": "text\n"}
ACCOUNT = {"username": "binder", "password": "s3cret-of-the-registry"}


class Docker:
    """The client: notes what it is asked to build."""

    def __init__(self, daemon: DockerDaemon) -> None:
        self.daemon, self.rc = daemon, 0
        self.built: list[tuple[list[str], dict[str, str]]] = []

    def __call__(self, argv: Sequence[str], _timeout: float) -> Ran:
        *options, folder = argv
        self.built.append((options, {path.name: path.read_text() for path in Path(folder).iterdir()}))
        if self.rc:
            return Ran(self.rc, stderr="update-ca-certificates: not a shell")
        self.daemon.images[options[options.index("--tag") + 1]] = "sha256:new"
        return Ran(0)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[DockerDaemon]:
    instance = DockerDaemon(tmp_path / "docker.sock", [])
    instance.remote[BASE] = ("sha256:base", "sha256:there")
    yield instance
    instance.close()


@pytest.fixture
def docker(daemon: DockerDaemon, monkeypatch: pytest.MonkeyPatch) -> Docker:
    client = Docker(daemon)
    monkeypatch.setattr(base_image, "run_command", client)
    return client


def run(
    capsys: pytest.CaptureFixture[str], daemon: DockerDaemon, tag: str = "one", **more: Any
) -> dict[str, Any]:
    arguments = {
        "name": f"{REPOSITORY}:{tag}",
        "base": BASE,
        "files": FILES,
        "socket_path": daemon.path,
        **more,
    }
    with patch_module_args({**ACCOUNT, **arguments}), pytest.raises(SystemExit):
        base_image.main()
    text = capsys.readouterr().out
    assert ACCOUNT["password"] not in text
    return dict(json.loads(text))


@pytest.mark.parametrize("user", ["", "1000:100"])
def test_check_do_check_do(
    daemon: DockerDaemon, docker: Docker, capsys: pytest.CaptureFixture[str], user: str
) -> None:
    daemon.users[BASE] = user
    for tag in ("one", "two"):
        before = len(docker.built)
        checked = run(capsys, daemon, tag, _ansible_check_mode=True)
        assert (checked["changed"], checked["observed"], len(docker.built)) == (True, "", before)
        done = run(capsys, daemon, tag)
        assert done["changed"]
        assert done["digest"] == daemon.pushed[f"{REPOSITORY}:{tag}"]
        assert done["diff"] == checked["diff"]
        assert "COPY a /a" in done["diff"]["after"]
        for check in (True, False):
            again = run(capsys, daemon, tag, _ansible_check_mode=check)
            assert (again["changed"], again["digest"]) == (False, done["digest"])
    assert [files for _, files in docker.built] == [FILES, FILES]
    # It goes on as whom its base ran.
    assert (f"BASE_USER={user}" in docker.built[0][0]) is bool(user)
    assert {(entry["username"], entry["serveraddress"]) for entry in daemon.accounts} == {
        ("binder", "registry.example.org:5000")
    }
    assert daemon.calls.count("POST /images/create") == 1, "the base is pulled once"


def test_docker_hub_knows_its_accounts_under_another_name(
    daemon: DockerDaemon, docker: Docker, capsys: pytest.CaptureFixture[str]
) -> None:
    """A daemon with containerd's image store compares: who is somebody elsewhere is nobody there."""
    run(capsys, daemon, name="docker.io/org/x-base:one", _ansible_check_mode=True)
    assert [entry["serveraddress"] for entry in daemon.accounts] == ["https://index.docker.io/v1/"]


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        ({REPOSITORY: (500, "x509: certificate signed by unknown authority")}, "x509"),
        ({REPOSITORY: (401, "unauthorized: authentication required")}, "by the account binder"),
        ({f"{REPOSITORY}/push": (200, "denied: requested access")}, "denied"),
    ],
)
def test_a_registry_that_refuses(
    daemon: DockerDaemon,
    docker: Docker,
    capsys: pytest.CaptureFixture[str],
    refusal: dict[str, tuple[int, str]],
    words: str,
) -> None:
    daemon.refusals |= refusal
    result = run(capsys, daemon)
    assert result["failed"]
    assert words in result["msg"]
    # In a check the registry may still be to come.
    checked = run(capsys, daemon, _ansible_check_mode=True)
    assert checked["changed"]
    assert not checked.get("failed")


def test_what_never_arrives(daemon: DockerDaemon, docker: Docker, capsys: pytest.CaptureFixture[str]) -> None:
    """The registry is asked what it has: Docker ends a push without a word about it."""
    daemon.lost.add(REPOSITORY)
    assert "the registry has none of that name" in run(capsys, daemon)["msg"]


def test_a_base_that_is_nowhere(
    daemon: DockerDaemon, docker: Docker, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.remote.clear()
    assert "site_base_image_from" in run(capsys, daemon)["msg"]
    assert docker.built == []


def test_a_build_that_fails(daemon: DockerDaemon, docker: Docker, capsys: pytest.CaptureFixture[str]) -> None:
    docker.rc = 1
    result = run(capsys, daemon)
    assert "ended with 1: update-ca-certificates: not a shell" in result["msg"]
    assert daemon.pushed == {}


def test_a_name_without_a_tag(
    daemon: DockerDaemon, docker: Docker, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "has no tag" in run(capsys, daemon, name="registry.example.org:5000/binder/x-base")["msg"]
