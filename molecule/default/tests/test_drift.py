# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What somebody changed by hand: a check names it, a run puts it back, and nothing else changes.

All of it is made at once, so that one check and one run tell of everything. `--long` adds what takes long to come back, looks at
every file and object of every machine before and afterwards, and makes a third run.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from drifts import CONTROLLER, DRIFTS, Drift
from killing import LAUNCH_ONLY
from live_site import ROOT, Site
from machines import on
from snapshot import differences
from watched import snapshot

from playbooks import play

OPTIONS = ("--diff", *LAUNCH_ONLY)


@dataclass
class Told:
    """What came of it. Answers are by the drift's name; runs are the check, the repair and, with `--long`, another one."""

    before: dict[str, str]
    drifted: dict[str, str] = field(default_factory=dict)
    codes: list[int] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    runs: list[list[dict[str, Any]]] = field(default_factory=list)
    # Every file and object that differs, by host; None where nobody looked.
    differences: dict[str, list[str]] | None = None


def helm_words(site: Site) -> dict[str, str]:
    """What a shell on this computer has to know of the first hub's release."""
    contract, hub = site.contract, next(iter(site.hubs.values()))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    program = cache / f"ironbinder/helm-{contract['site_helm_version']}/helm"
    where = ["--kubeconfig", contract["site_kubeconfig_file"], "--namespace", hub["namespace"]]
    source = ["--repo", contract["site_binderhub_chart_repository"]]
    trust = ["--ca-file", contract["site_ca_files"][0]] if contract["site_ca_files"] else []
    version = ["--version", contract["site_binderhub_chart_version"]]
    return {
        "HELM": " ".join([str(program), *where]),
        "RELEASE": hub["release"],
        "CHART": " ".join([contract["site_binderhub_chart"], *source, *version, *trust]),
    }


def shell(site: Site, host: str, script: str) -> str:
    """Run a script, which has to end well, and give what it says."""
    if host != CONTROLLER:
        said = on(host, "sh", "-c", f"{{ {script}\n}} && echo done")
        assert said.endswith("done\n"), f"{host} cannot do this: {script}\n{said}"
        return said
    environment = {**os.environ, **helm_words(site)}
    ran = subprocess.run(
        ["sh", "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def answers(site: Site, drifts: list[Drift]) -> dict[str, str]:
    """Ask how everything is."""
    return {drift.name: shell(site, drift.host, drift.ask) for drift in drifts}


@pytest.fixture(scope="module")
def drifts(request: pytest.FixtureRequest) -> list[Drift]:
    """What is made this time."""
    return [drift for drift in DRIFTS if request.config.getoption("--long") or not drift.long]


@pytest.fixture(scope="module")
def told(
    site: Site, drifts: list[Drift], request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Told]:
    """Make it all, check, run, and run again."""
    folder = tmp_path_factory.mktemp("drift")
    is_long = request.config.getoption("--long")
    log = folder / "changes.json"
    environment = {
        "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "tests/infra/callback"),
        "ANSIBLE_CALLBACKS_ENABLED": "ironbinder.platform.preload,change_log",
        "IRONBINDER_CHANGE_LOG": str(log),
        "IRONBINDER_CHANGE_LOG_PLAYBOOK": "site",
    }

    def run(name: str, *arguments: str) -> None:
        output = folder / f"{name}.log"
        with mock.patch.dict(os.environ, environment):
            found.codes.append(play(site.inventory, ROOT / "site.yml", *OPTIONS, *arguments, log=output))
        found.logs.append(output.read_text(errors="replace"))

    found = Told(answers(site, drifts))
    machines = snapshot(site, folder / "before") if is_long else {}
    try:
        for drift in drifts:
            shell(site, drift.host, drift.make)
        found.drifted = answers(site, drifts)
        run("check", "--check")
        run("repair")
        if is_long:
            after = snapshot(site, folder / "after")
            found.differences = {host: differences(machines[host], after[host]) for host in machines}
            run("again")
        found.runs = [run["changes"] for run in json.loads(log.read_text(encoding="utf-8"))]
        yield found
    finally:
        # Others come after this on the same machines.
        if found.codes[1:2] != [0]:
            play(site.inventory, ROOT / "site.yml", *OPTIONS)


def where(changes: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """The hosts and roles of changes."""
    return {(change["host"], Path(change["file"]).parts[1]) for change in changes}


def test_both_runs_end_well(told: Told) -> None:
    for code, log in zip(told.codes, told.logs):
        assert code == 0, log[-3000:]


@pytest.mark.parametrize("drift", DRIFTS, ids=lambda drift: drift.name)
class TestDrift:
    """One by one."""

    @pytest.fixture(autouse=True)
    def made(self, drift: Drift, drifts: list[Drift]) -> None:
        if drift not in drifts:
            pytest.skip("--long makes it too")

    def test_it_was_made(self, drift: Drift, told: Told) -> None:
        """Or what follows would prove nothing."""
        assert told.drifted[drift.name] != told.before[drift.name]

    def test_a_check_names_it(self, drift: Drift, told: Told) -> None:
        assert drift.told_of in where(told.runs[0])
        assert re.search(drift.shown, told.logs[0]), drift.shown

    def test_a_run_repairs_it(
        self, drift: Drift, told: Told, site: Site, eventually: Callable[..., dict[str, str]]
    ) -> None:
        assert drift.told_of in where(told.runs[1])

        def lacking() -> dict[str, str]:
            now = shell(site, drift.host, drift.ask)
            return {} if now == told.before[drift.name] else {"before": told.before[drift.name], "now": now}

        assert eventually(lacking, seconds=10) == {}


def test_nothing_else_changes(drifts: list[Drift], told: Told) -> None:
    """By what the runs say: the check, the repair, and with `--long` one more."""
    expected = {drift.told_of for drift in drifts}
    assert where(told.runs[0]) == where(told.runs[1]) == expected
    assert told.runs[2:] in ([], [[]])


# Written anew with the same content; and what keeps count of its versions.
EXPECTED = re.compile(
    r"/etc/docker/(daemon\.json|registry/config\.yml)|ConfigMap private/binder-config"
    r"|/etc/containerd/certs\.d/docker\.io|/etc/nginx/conf\.d/ironbinder\.conf"
    r"|/etc/kubernetes/manifests/kube-controller-manager\.yaml|Pod kube-system/kube-controller-manager-"
    # A hook of Helm, which is made anew with each release.
    r"|IPAddressPool metallb-system/floating|Secret \S+/(sh\.helm\.release\.|image-pull-secret)"
)


def test_nothing_else_is_different(told: Told) -> None:
    """By what the machines say: every file, package, unit, container and object."""
    if told.differences is None:
        pytest.skip("--long looks at every file and object of every machine")
    left = {
        host: [line for line in lines if not EXPECTED.search(line)]
        for host, lines in told.differences.items()
    }
    assert {host: lines for host, lines in left.items() if lines} == {}
