# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The head talks to the cluster, where the controller cannot reach the API: it gets what that takes, and nothing else changes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml
from live_site import ROOT, Site

from playbooks import HERE, play

testinfra_hosts = ["ansible://head"]

LAB = yaml.safe_load((ROOT / "inventories/lab/group_vars/all/lab.yml").read_text())
TABLE = "inet ironbinder-client-test"
# What a host needs to talk to the cluster, fetched first where the controller has none; no other task may change anything.
CARRIED = re.compile(
    r"roles/(cluster_client/tasks/(fetch|install)|control_plane/tasks/kubeconfig|helm/tasks/install)\.yml"
)


@pytest.fixture(scope="module")
def head(site: Site) -> str:
    """Return the head's name."""
    return site.hosts("head")[0]


@pytest.fixture(scope="module")
def places(host: Any, site: Site, head: str) -> list[str]:
    """Return what is left on the head, to be removed."""
    user = site.told[head]["connection"]["ansible_user"]
    home = host.user(user).home
    name = site.contract["site_name"]
    return [f"/usr/local/lib/ironbinder-client-{name}", f"{home}/.ironbinder", f"{home}/.cache/ironbinder"]


@pytest.fixture(scope="module")
def unreachable(host: Any, site: Site, places: list[str]) -> Iterator[None]:
    """Have the head drop what the controller sends to the API, and forget afterwards what was carried to it."""
    rules = (
        f"table {TABLE} {{ chain input {{ type filter hook input priority -200; policy accept; "
        f"ip saddr {LAB['lab_gateway']} tcp dport {site.contract['site_api_port']} counter drop; }}; }}"
    )
    assert [place for place in places if host.file(place).exists] == []
    host.run_expect([0], f"printf %s '{rules}' | nft --file -")
    try:
        yield
    finally:
        host.run_expect([0], f"nft delete table {TABLE}; rm -rf {' '.join(places)}")


@pytest.fixture(scope="module")
def run(site: Site, head: str, tmp_path_factory: pytest.TempPathFactory, unreachable: None) -> dict[str, Any]:
    """Run the stages with the head in the controller's place; return the exit code, the output, and what was changed."""
    folder = tmp_path_factory.mktemp("client")
    changes = folder / "changes.json"
    callbacks = {
        "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback"),
        "ANSIBLE_CALLBACKS_ENABLED": "ironbinder.platform.preload,change_log",
        "IRONBINDER_CHANGE_LOG": str(changes),
        "IRONBINDER_CHANGE_LOG_PLAYBOOK": "client_host",
    }
    with mock.patch.dict(os.environ, callbacks):
        code = play(
            site.inventory,
            Path(__file__).with_name("client_host.yml"),
            "-e",
            f"site_kubernetes_client_host={head}",
            log=folder / "log",
        )
    told = json.loads(changes.read_text())[-1]["changes"] if changes.exists() else []
    return {"code": code, "output": (folder / "log").read_text(errors="replace"), "changes": told}


def test_it_works_from_there(run: dict[str, Any]) -> None:
    assert run["code"] == 0, run["output"][-4000:]


def test_only_what_it_takes_is_carried_there(run: dict[str, Any]) -> None:
    """The cluster and its hubs are as the controller left them: the same values give the same release from anywhere."""
    other = [entry for entry in run["changes"] if not CARRIED.fullmatch(entry["file"])]
    assert other == []
    for role in ("cluster_client", "control_plane", "helm"):
        assert any(f"roles/{role}/" in entry["file"] for entry in run["changes"]), role


def test_what_is_carried_is_for_its_owner(host: Any, run: dict[str, Any], places: list[str]) -> None:
    """The kubeconfig is an administrator's; the packages are root's, as whoever logs in runs them."""
    [config] = host.check_output("find %s -type f -name config", places[1]).split()
    assert (host.file(config).mode, host.file(config).user) == (0o600, host.file(places[1]).user)
    assert host.file(places[1]).user != "root"
    assert host.check_output("find %s ! -user root -o -perm /022 ! -type l", places[0]) == ""


def test_the_whole_site_runs_again_from_there(
    request: pytest.FixtureRequest, site: Site, head: str, run: dict[str, Any], tmp_path: Path
) -> None:
    """And changes nothing; the fences are proved from the head, too."""
    if not request.config.getoption("--long"):
        pytest.skip("--long runs the whole site for this")
    log = tmp_path / "log"
    code = play(site.inventory, ROOT / "site.yml", "-e", f"site_kubernetes_client_host={head}", log=log)
    output = log.read_text(errors="replace")
    assert code == 0, output[-4000:]
    changed = re.findall(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)", output.rpartition("PLAY RECAP")[2], re.M)
    assert changed and {count for _, count in changed} == {"0"}
