# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A check announces at least what the run after it changes, and changes nothing itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from live_site import ROOT, Site
from snapshot import differences

from playbooks import answers, play, start_script

CALLBACKS = Path(__file__).parent / "callback"
# Another wish for each component that can be told one while it runs.
WISHES: dict[str, Any] = {
    "node_hosts": {"192.0.2.7": ["elsewhere.example"]},
    "containerd_cni_bin_dir": "/opt/cni/other",
    "docker_log_max_files": 5,
    "kubernetes_node_kubelet_args": ["--v=2"],
    "site_guard_denied_ports": [26],
    "pod_network_mtu": 1400,
    "cluster_nodes_labels_not_on_all": ["kubernetes.io/os"],
    "metallb_address_pool": ["192.0.2.8"],
    "binderhub_session_memory_limit": "777M",
    "reverse_proxy_max_body_size": "99m",
}
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


def test_check_changes_nothing(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages, files, units, containers and objects are the same after a check that announces changes everywhere."""
    log = tmp_path / "site.log"
    changes = tmp_path / "changes.json"
    monkeypatch.setenv("ANSIBLE_CALLBACK_PLUGINS", str(CALLBACKS))
    monkeypatch.setenv("ANSIBLE_CALLBACKS_ENABLED", "change_log")
    monkeypatch.setenv("IRONBINDER_CHANGE_LOG", str(changes))
    monkeypatch.setenv("IRONBINDER_CHANGE_LOG_PLAYBOOK", "site")
    before = answers(start_script(site.inventory, "snapshot.py", tmp_path / "before"), tmp_path / "before")
    code = play(site.inventory, ROOT / "site.yml", "--check", "--diff", "-e", json.dumps(WISHES), log=log)
    after = answers(start_script(site.inventory, "snapshot.py", tmp_path / "after"), tmp_path / "after")
    assert code == 0, log.read_text(errors="replace")[-3000:]
    (run,) = json.loads(changes.read_text(encoding="utf-8"))
    assert {file.split("/")[1] for _, file, _ in announced(run)} >= ROLES
    assert set(after) == set(before)
    told = {host: differences(before[host], after[host]) for host in before}
    assert {host: lines for host, lines in told.items() if lines} == {}
