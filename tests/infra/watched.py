# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Runs of the site that are watched from every machine: each is made once, for all tests that ask about it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from canary import Canaries, scan_processes
from live_site import ROOT, Site

from playbooks import answers, play, start_script

STOP = "/run/ironbinder-canary-stop"
WATCH_SECONDS = 1800
# On the machines: a secret at rest has a file of its owner's alone; logs and temporary files have none.
LOOSE = ["/etc", "/root", "/home", "/opt", "/srv", "/usr/local", "/var/lib", "/run"]
NEVER = ["/tmp", "/var/tmp", "/var/log", "/var/cache", "/root/.ansible", "/home/*/.ansible"]
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


@dataclass(frozen=True)
class Run:
    """A playbook, and how it is run."""

    playbook: str
    arguments: tuple[str, ...]
    wishes: Mapping[str, Any] = field(default_factory=dict)
    # Tells nothing that shorter ones together do not tell about most sites.
    long: bool = False
    # A look through all files takes longer than most runs; one after a later run finds what an earlier one left.
    every_file: bool = False


RUNS = {
    # Launches, builds and probes for real, with every token in its hands.
    "verify": Run("playbooks/verify.yml", ("-vvv", "--diff")),
    # Every stage, and a difference to show in each.
    "check of wishes": Run("site.yml", ("-vvv", "--diff", "--check"), WISHES, every_file=True),
    "run": Run("site.yml", ("-vvv", "--diff"), long=True),
    "check": Run("site.yml", ("-vvv", "--diff", "--check"), long=True),
}


class Secrets(dict[str, str]):
    """Secrets by name. pytest shows what a failing test was given, so this shows names only."""

    def __repr__(self) -> str:
        """Name them."""
        return f"<secrets {', '.join(self)}>"


@contextmanager
def watching(site: Site, secrets: Secrets, folder: Path, told: dict[str, Any]) -> Iterator[None]:
    """Watch every machine's process list, and leave in `told` what was seen."""
    for name, verb in (("remove", "unlink(missing_ok=True)"), ("make", "touch()")):
        script = f"import pathlib; pathlib.Path('{STOP}').{verb}; print('{{}}')"
        (folder / f"{name}.py").write_text(script)

    def everywhere(name: str) -> None:
        answers(start_script(site.inventory, str(folder / f"{name}.py"), folder / name), folder / name)

    everywhere("remove")
    question = {"secrets": secrets, "action": "watch", "stop": STOP, "seconds": WATCH_SECONDS}
    watcher = start_script(site.inventory, "canary.py", folder / "watch", question)
    try:
        yield
    finally:
        everywhere("make")
        told["watched"] = answers(watcher, folder / "watch")
        everywhere("remove")


def snapshot(site: Site, folder: Path) -> dict[str, Any]:
    """Return everything that a run could change, by host."""
    return answers(start_script(site.inventory, "snapshot.py", folder), folder)


def make_run(site: Site, secrets: Secrets, run: Run, folder: Path) -> dict[str, Any]:
    """Run a playbook while machines are watched; then look through files everywhere.

    Returns:
        Exit code, log, what the callback change_log wrote (`changes`), when it began, what was found in process lists
        (`watched` by host, `controller`) and in files (`scanned`), and every machine before and after a check.
    """
    told: dict[str, Any] = {
        "began": time.time(),
        "log": folder / "site.log",
        "changes": folder / "changes.json",
        "controller": [],
    }
    wishes = ["-e", json.dumps(run.wishes)] if run.wishes else []
    callbacks = {
        "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callback"),
        "ANSIBLE_CALLBACKS_ENABLED": "ironbinder.platform.preload,change_log",
        "IRONBINDER_CHANGE_LOG": str(told["changes"]),
        "IRONBINDER_CHANGE_LOG_PLAYBOOK": Path(run.playbook).stem,
    }
    is_check = "--check" in run.arguments
    if is_check:
        told["before"] = snapshot(site, folder / "before")
    with watching(site, secrets, folder, told), mock.patch.dict(os.environ, callbacks):
        told["code"] = play(site.inventory, ROOT / run.playbook, *run.arguments, *wishes, log=told["log"])
        told["controller"] += scan_processes(Canaries(secrets))
    if is_check:
        told["after"] = snapshot(site, folder / "after")
    since = 0.0 if run.every_file else told["began"]
    question = {"secrets": secrets, "action": "scan", "loose": LOOSE, "never": NEVER, "since": since}
    told["scanned"] = answers(
        start_script(site.inventory, "canary.py", folder / "scan", question), folder / "scan"
    )
    return told


@pytest.fixture(scope="session")
def secrets(site: Site) -> Secrets:
    """The site's secrets."""
    found = Secrets(site.secrets())
    assert found, "the site has no secrets, so nothing would be looked for"
    return found


@pytest.fixture(scope="session")
def watched(
    site: Site, secrets: Secrets, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], dict[str, Any]]:
    """Return a function that tells of one of RUNS, which is made when it is first asked for."""
    made: dict[str, dict[str, Any]] = {}

    def tell(name: str) -> dict[str, Any]:
        if name not in made:
            made[name] = make_run(site, secrets, RUNS[name], tmp_path_factory.mktemp(name.replace(" ", "_")))
        return made[name]

    return tell
