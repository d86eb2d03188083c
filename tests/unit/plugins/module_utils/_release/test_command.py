# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._release.command import (
    HelmError,
    make_runner,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._release.helm import explain


def test_the_runner_keeps_helm_from_its_users_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HELM_NAMESPACE", "elsewhere")
    code = "import os; print(os.getcwd(), os.getenv('HELM_NAMESPACE'), os.getenv('HELM_CACHE_HOME'))"
    outcome = make_runner(tmp_path)([sys.executable, "-c", code], 30)
    assert outcome.out.split() == [str(tmp_path), "None", str(tmp_path / "cache")]


def test_the_runner_ends_a_command_that_hangs(tmp_path: Path) -> None:
    outcome = make_runner(tmp_path)([sys.executable, "-c", "import time; time.sleep(30)"], 0.2)
    assert outcome.code == 124
    assert "timeout_seconds" in explain(outcome, "x")


def test_the_runner_ends_what_the_command_started_too(tmp_path: Path) -> None:
    """A kubeconfig may run a program for its credentials; nobody would end that one."""
    pid = tmp_path / "pid"
    code = f"sleep 600 & echo $! > {pid}.made; mv {pid}.made {pid}; sleep 600"
    for seconds in (0.5, 5, 60):  # as long as this machine needs for that
        assert make_runner(tmp_path)(["sh", "-c", code], seconds).code == 124
        if pid.exists():
            break
    child = Path(f"/proc/{pid.read_text().strip()}/status")

    def gone() -> bool:
        try:
            # A killed child is a zombie until whoever inherits it looks.
            return "State:\tZ" in child.read_text()
        except OSError:
            return True

    deadline = time.monotonic() + 60
    while not gone() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert gone()


def test_broken_bytes_are_no_traceback(tmp_path: Path) -> None:
    code = "import sys; sys.stdout.buffer.write(b'a\\xff'); sys.exit(3)"
    outcome = make_runner(tmp_path)([sys.executable, "-c", code], 30)
    assert (outcome.code, outcome.out) == (3, "a\ufffd")


def test_no_helm_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(HelmError, match="helm_binary"):
        make_runner(tmp_path)([str(tmp_path / "nope")], 5)
    (tmp_path / "text").write_text("not a program")
    with pytest.raises(HelmError, match="helm_binary"):
        make_runner(tmp_path)([str(tmp_path / "text")], 5)


def test_helm_sees_the_sites_proxy_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://own:1")
    monkeypatch.setenv("no_proxy", "own")
    code = "import os; print(sorted((k, v) for k, v in os.environ.items() if k.lower().endswith('_proxy')))"
    for proxies in ({}, {"https_proxy": "http://site:2", "NO_PROXY": "10.96.0.1"}):
        told = make_runner(tmp_path, proxies)([sys.executable, "-c", code], 30).out.strip()
        expected = proxies or {"HTTPS_PROXY": "http://own:1", "no_proxy": "own"}
        assert told == str(sorted(expected.items()))
