# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The modules `binder_launch` and `binderhub_health`, each run as Ansible runs one: JSON in, JSON out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[4]

from binder_server import TOKEN, Answers, BinderServer, load_stream


def module(name: str, check_mode: bool = False, **params: Any) -> tuple[int, dict[str, Any], str]:
    """Run a module; return (exit code, result, all its output)."""
    given = {
        "ANSIBLE_MODULE_ARGS": {**params, "_ansible_check_mode": check_mode, "_ansible_remote_tmp": "/tmp"}
    }
    script = (
        "from ansible.module_utils.testing import patch_module_args\n"
        f"from ansible_collections.ironbinder.platform.plugins.modules import {name} as module\n"
        "import json, sys\n"
        "with patch_module_args(json.load(sys.stdin)['ANSIBLE_MODULE_ARGS']):\n"
        "    module.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT / "collections"), "PATH": "/usr/bin:/bin"},
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done.stdout + done.stderr


def launch(
    stream: str, check_mode: bool = False, **params: Any
) -> tuple[BinderServer, int, dict[str, Any], str]:
    with BinderServer(Answers(speed=100)) as server:
        server.answers.pieces = load_stream(stream, server.host)
        asked = {"url": server.url, "hub_url": server.hub_url, "provider": "gh", "spec": "a/b/HEAD", **params}
        return (server, *module("binder_launch", check_mode, **asked))


def test_a_launch_that_works_changes_nothing() -> None:
    server, code, result, output = launch("warm", build_token="s3cret-build")
    assert code == 0 and result["changed"] is False
    assert result["summary"].startswith("launch verified in ")
    assert result["server_stopped"] and not server.running
    assert TOKEN not in output and "s3cret-build" not in output


def test_the_kernel_and_what_is_expected() -> None:
    expect = {"packages": ["json"], "code": "print(1 + 1)", "output": "2"}
    server, code, result, output = launch("warm", expect=expect)
    assert code == 0 and result["kernel"] == {
        "name": "python3",
        "language": "python",
        "computed": True,
        "missing": [],
    }
    assert len(server.answers.kernels.asked) == 4 and server.answers.kernels.alive == []
    _server, code, result, output = launch(
        "warm", expect={"files": ["gone.txt"], "packages": ["no_such_package"]}
    )
    assert code == 1 and result["kind"] == "expect_file" and result["server_stopped"] is True
    assert len(result["kernel"]["missing"]) == 2 and TOKEN not in output
    assert "file gone.txt: HTTP 404" in result["msg"] and "package no_such_package: neither" in result["msg"]


def test_an_expectation_of_another_name() -> None:
    _server, code, result, _output = launch("warm", expect={"file": ["gone.txt"]})
    assert code == 1 and "expect.file" in result["msg"] and "files" in result["msg"]


@pytest.mark.parametrize("seconds", [0, 3601, 10**11])
def test_a_time_for_the_kernel_that_is_none(seconds: int) -> None:
    server, code, result, _output = launch("warm", kernel_timeout_seconds=seconds)
    assert code == 1 and result["kind"] == "request" and server.seen == []
    assert result["msg"] == f"kernel_timeout_seconds is {seconds}: use 1 to 3600"


def test_a_failure_has_its_log_in_the_message() -> None:
    _server, code, result, _output = launch("failed_old")
    assert code == 1 and result["failed"] and result["kind"] == "build"
    lines = result["msg"].splitlines()
    assert lines[0].startswith("the build failed. Where: http://127.0.0.1:")
    assert "  docker buildx build returned 1" in lines
    assert list(result["phases"]) == ["waiting", "fetching", "building"]


def test_a_failure_with_half_of_a_character_has_its_kind() -> None:
    """No text in UTF-8 can have it, and so no answer of a module."""
    with BinderServer(Answers(speed=100)) as server:
        said = json.dumps({"phase": "failed", "message": "pip says \ud800 x"}).encode()
        server.answers.pieces = [
            (0.1, b'data: {"phase": "building", "message": "\\ud800 y"}\n\n'),
            (0.2, b"data: " + said + b"\n\n"),
        ]
        code, result, _output = module(
            "binder_launch", url=server.url, hub_url=server.hub_url, provider="gh", spec="a/b/HEAD"
        )
    assert code == 1 and result["kind"] == "build"
    assert "pip says ? x" in result["msg"] and "? y" in result["log"]


def test_check_mode_launches_nothing() -> None:
    server, code, result, _output = launch("warm", check_mode=True)
    assert code == 0 and result["skipped"] and not result["changed"]
    assert server.seen == []


def test_a_ca_file_that_is_not_there() -> None:
    _server, code, result, _output = launch("warm", ca_files=["/no/such/ca.pem"])
    assert code == 1 and "/no/such/ca.pem" in result["msg"] and result["kind"] == "request"


def test_warnings_are_shown() -> None:
    _server, _code, result, _output = launch("warm", keep_server=True)
    assert "was kept" in json.dumps(result["warnings"])


@pytest.mark.parametrize("check_mode", [True, False])
def test_health(check_mode: bool) -> None:
    checks = [{"service": "Docker registry", "ok": False}]
    with BinderServer(Answers(health=(503, {"ok": False, "checks": checks}))) as server:
        code, result, _output = module("binderhub_health", check_mode, url=server.url)
        assert code == 1 and "Docker registry failing" in result["msg"] and result["kind"] == "ill"
        code, result, _output = module("binderhub_health", check_mode, url=server.url, fail_when_ill=False)
        assert code == 0 and result["ok"] is False and result["checks"] == checks
        server.answers.health = (404, None)
        code, result, _output = module("binderhub_health", check_mode, url=server.url)
        assert code == 0 and result["ok"] and not result["supported"] and not result["changed"]


def test_health_of_nothing() -> None:
    with BinderServer(Answers()) as server:
        url = server.url
    code, result, _output = module("binderhub_health", url=url)
    assert code == 1 and result["kind"] == "unreachable"
