# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Role launch_check by real Ansible, before BinderHubs of a few lines: each hub is judged, whatever the others do."""

from __future__ import annotations

import json
import re
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from binder_server import Answers, BinderServer, load_stream
from role_runs import ansible

WELL = (200, {"ok": True, "checks": []})
ILL = (503, {"ok": False, "checks": [{"service": "Docker registry", "ok": False}]})


def prove(
    folder: Path, streams: dict[str, str | None], *options: str, **verify: Any
) -> tuple[int, str, dict[str, BinderServer], Any]:
    """Prove hubs that answer with these streams; None is one that is not well. Gives code, output, servers and the report."""
    with ExitStack() as stack:
        servers = {}
        for name, stream in streams.items():
            server = stack.enter_context(BinderServer(Answers(speed=10, health=WELL if stream else ILL)))
            server.answers.pieces = load_stream(stream, server.host) if stream else []
            servers[name] = server
        hubs = {
            name: {"binder_url": server.url, "hub_url": server.hub_url, "verify": verify.get(name, {})}
            for name, server in servers.items()
        }
        play = {
            "hosts": "localhost",
            "gather_facts": False,
            "vars": {
                "ansible_python_interpreter": sys.executable,
                "launch_check_hubs": hubs,
                "launch_check_spec": "a/b/HEAD",
                "launch_check_fail_when_buffered": False,
                "launch_check_health_retries": 0,
                "launch_check_report_file": str(folder / "report.json"),
            },
            "roles": ["ironbinder.platform.launch_check"],
        }
        done = ansible(folder, [play], *options)
    report = folder / "report.json"
    told = json.loads(report.read_text()) if report.is_file() else None
    return done.returncode, done.stdout + done.stderr, servers, told


def test_hubs_are_shown_side_by_side_each_with_its_own_repository(tmp_path: Path) -> None:
    own = {"spec": "c/d/v1", "timeout_seconds": 60}
    code, output, servers, told = prove(tmp_path, {"binder": "warm", "private": "warm"}, private=own)
    assert code == 0, output
    lines = [line.strip() for line in output.splitlines()]
    title = next(
        place
        for place, line in enumerate(lines)
        if re.match(r"(\W*msg: )?\W*HUB +PROOF +SECONDS +PHASES", line)
    )
    for place, name in enumerate(servers, 1):
        assert re.match(rf"{name} +verified +[\d.]+ +waiting [\d.]+ \| ", lines[title + place])
    assert any("/build/gh/a/b/HEAD" in path for path in servers["binder"].paths("GET"))
    assert any("/build/gh/c/d/v1" in path for path in servers["private"].paths("GET"))
    assert set(told) == {"binder", "private"}


def test_one_that_fails_hides_nothing_of_the_others(tmp_path: Path) -> None:
    streams = {"sick": None, "broken": "failed_build", "fine": "warm"}
    code, output, servers, told = prove(tmp_path, streams)
    assert code != 0
    assert re.search(r"sick +NOT WELL +- +\S", output)
    assert re.search(r"broken +FAILED: build +[\d.]+ +\S", output)
    assert re.search(r"fine +verified +[\d.]+ +waiting", output)
    # Who is not well is not asked for a launch.
    assert not any("/build/" in path for path in servers["sick"].paths("GET"))
    assert {name: result["failed"] for name, result in told.items()} == {"broken": True, "fine": False}


def test_one_hub_is_told_as_ever(tmp_path: Path) -> None:
    code, output, _, _ = prove(tmp_path, {"binder": "warm"})
    assert code == 0, output
    assert "launch verified in" in output
    assert "PROOF" not in output
    code, output, _, _ = prove(tmp_path, {"binder": "failed_build"})
    assert code != 0
    assert "launch verified in" not in output


def test_check_mode_launches_nothing(tmp_path: Path) -> None:
    code, output, servers, _ = prove(tmp_path, {"binder": None, "private": "warm"}, "--check")
    assert code == 0, output
    assert not any("/build/" in path for server in servers.values() for path in server.paths("GET"))
