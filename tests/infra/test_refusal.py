# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A refused run leaves every machine exactly as it was."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from live_site import ROOT, Site
from snapshot import differences
from watched import snapshot

from playbooks import play

# Faults that no stage but preflight would see before it had changed something.
FAULTS: dict[str, dict[str, Any]] = {
    "reversed pool": {"site_floating_pool": "192.0.2.9-192.0.2.1"},
    "no chart version": {"site_binderhub_chart_version": ""},
    "prefix without a level": {"site_registry_prefix": "images-"},
    "misspelt variable and overlapping ranges": {
        "site_pod_subnett": "x",
        "site_service_subnet": "10.244.0.0/16",
    },
}


@pytest.fixture(scope="module")
def refused(site: Site, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every refused run's exit code and output, and all machines before the first and after the last."""
    folder = tmp_path_factory.mktemp("refused")
    told: dict[str, Any] = {"before": snapshot(site, folder / "before")}
    for fault, variables in FAULTS.items():
        log = folder / f"{fault}.log"
        code = play(site.inventory, ROOT / "site.yml", "-e", json.dumps(variables), log=log)
        told[fault] = (code, log.read_text(errors="replace"))
    return told | {"after": snapshot(site, folder / "after")}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_site_is_refused(fault: str, refused: dict[str, Any]) -> None:
    code, output = refused[fault]
    assert code != 0
    assert "Preflight refuses this site" in output
    assert not re.search(r"changed=[1-9]", output)


def test_refused_runs_change_nothing(refused: dict[str, Any]) -> None:
    """Packages, files, units, containers and objects of the cluster are identical after them."""
    before, after = refused["before"], refused["after"]
    assert set(after) == set(before)
    told = {host: differences(before[host], after[host]) for host in before}
    assert {host: lines for host, lines in told.items() if lines} == {}
