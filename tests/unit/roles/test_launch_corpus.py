# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Entry point corpus of role launch_check by real Ansible, against a BinderHub that replays streams."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from binder_server import Answers, BinderServer, load_stream
from role_runs import ansible

READY = {"name": "hello", "provider": "gh", "spec": "a/hello/HEAD", "outcome": "ready"}
BROKEN = {"name": "broken", "provider": "gh", "spec": "a/broken/HEAD", "outcome": "failed", "cause": "build"}
LOST = {"name": "lost", "provider": "gh", "spec": "a/lost/HEAD", "outcome": "failed", "cause": "repository"}
CONDA = {"name": "conda", "skip": "builds reach no Internet here"}


def run(folder: Path, corpus: list[dict[str, Any]], *options: str) -> tuple[int, str, BinderServer, Any]:
    """Launch a corpus; return exit code, output, what was asked of BinderHub, and the report."""
    report = folder / "corpus.json"
    with BinderServer(Answers(speed=100)) as server:
        # An old BinderHub, which goes on to say built after a build that failed.
        server.answers.streams = {
            "a/hello": load_stream("warm", server.host),
            "a/broken": load_stream("failed_old_ready", server.host),
            "a/lost": load_stream("no_repository", server.host),
        }
        variables = {
            "launch_check_hubs": {
                "down": {"binder_url": "http://127.0.0.1:9/", "hub_url": server.hub_url},
                "binder": {"binder_url": server.url, "hub_url": server.hub_url},
            },
            "launch_check_corpus": [{"hub": "binder", **entry} for entry in corpus],
            "launch_check_corpus_report_file": str(report),
            "ansible_python_interpreter": sys.executable,
        }
        role = {"name": "ironbinder.platform.launch_check", "tasks_from": "corpus"}
        plays = [
            {
                "hosts": "localhost",
                "gather_facts": False,
                "tasks": [{"ansible.builtin.import_role": role}],
            }
        ]
        (folder / "hosts").write_text("localhost ansible_connection=local\n")
        done = ansible(folder, plays, "-i", "hosts", "-e", json.dumps(variables), *options)
    told = json.loads(report.read_text()) if report.is_file() else None
    return done.returncode, " ".join((done.stdout + done.stderr).split()), server, told


def test_each_is_as_expected(tmp_path: Path) -> None:
    code, text, server, told = run(tmp_path, [READY, CONDA, BROKEN, LOST])
    assert code == 0, text
    assert "corpus verified: 3 of 3 launches as expected, 1 skipped" in text
    assert "changed=0" in text
    assert [launch["outcome"] for launch in told["launches"]] == [
        "ready",
        "skipped",
        "failed: build",
        "failed: repository",
    ]
    assert told["launches"][0]["phases"]
    assert "builds reach no Internet here" in told["table"][2]
    assert len([path for path in server.paths("GET") if "/build/" in path]) == 3


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({**READY, "spec": "a/broken/HEAD"}, "hello: expected ready, and it is failed: build."),
        ({**BROKEN, "spec": "a/hello/HEAD"}, "broken: expected failed: build, and it is ready."),
        ({**BROKEN, "cause": "push"}, "broken: expected failed: push, and it is failed: build."),
        (
            {**LOST, "hub": "down", "name": "nobody answers"},
            "nobody answers: expected failed: repository, and it is failed: unreachable.",
        ),
    ],
)
def test_one_that_differs_is_named_when_all_were_tried(
    tmp_path: Path, wrong: dict[str, Any], said: str
) -> None:
    code, text, _server, told = run(tmp_path, [wrong, {**READY, "name": "last"}])
    assert code == 2, text
    assert said in text
    assert "corpus not verified: 1 of 2 launches as expected, 0 skipped" in text
    assert [bool(launch["problem"]) for launch in told["launches"]] == [True, False]


@pytest.mark.parametrize("corpus", [[], [CONDA]])
def test_nothing_to_launch_proves_nothing(tmp_path: Path, corpus: list[dict[str, Any]]) -> None:
    code, text, server, _told = run(tmp_path, corpus)
    assert code == 2, text
    assert "site_verify_corpus) has no repository that is to be launched" in text
    assert server.seen == []


def test_a_check_launches_nothing(tmp_path: Path) -> None:
    code, text, server, told = run(tmp_path, [BROKEN], "--check")
    assert code == 0, text
    assert (server.seen, told) == ([], None)
