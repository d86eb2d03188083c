# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A check announces at least what the run after it changes, and changes nothing itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from snapshot import differences

# The roles that bring these about.
ROLES = {
    "node",
    "containerd",
    "docker",
    "kubernetes_node",
    "guard",
    "pod_network",
    "cluster_nodes",
    "metallb",
    "binderhub",
    "reverse_proxy",
}


def announced(run: dict[str, Any]) -> dict[tuple[str, str, str], set[str]]:
    """Each change of a run as {(host, file, task): items}."""
    told: dict[tuple[str, str, str], set[str]] = {}
    for change in run["changes"]:
        told.setdefault((change["host"], change["file"], change["task"]), set()).update(change["items"])
    return told


def test_check_of_bare_machines_announces_what_the_run_changes(request: pytest.FixtureRequest) -> None:
    """Task by task, host by host, item by item."""
    path = request.config.getoption("--change-log")
    if path is None:
        pytest.skip("needs --change-log: a check, and the run after it")
    check, run = json.loads(path.read_text(encoding="utf-8"))[:2]
    assert check["check"]
    assert not run["check"]
    assert run["changes"], "a run that changed nothing proves nothing"
    said = announced(check)
    kept_quiet = {
        key: sorted(items - said.get(key, set())) or "the task"
        for key, items in announced(run).items()
        if key not in said or items - said[key]
    }
    assert kept_quiet == {}


def test_check_changes_nothing(watched: Callable[[str], dict[str, Any]]) -> None:
    """Packages, files, units, containers and objects are the same after a check that announces changes everywhere."""
    told = watched("check of wishes")
    assert told["code"] == 0, told["log"].read_text(errors="replace")[-3000:]
    (run,) = json.loads(told["changes"].read_text(encoding="utf-8"))
    assert {file.split("/")[1] for _, file, _ in announced(run)} >= ROLES
    before, after = told["before"], told["after"]
    assert set(after) == set(before)
    lines = {host: differences(before[host], after[host]) for host in before}
    assert {host: changed for host, changed in lines.items() if changed} == {}
