# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Services that were killed run again, without anybody's doing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from live_site import Site

testinfra_hosts = ["ansible://proxy", "ansible://registry", "ansible://head", "ansible://workers"]

# What runs where, and what says that it does its work again: a process alone may be one that gives up in a moment.
UNITS = {
    "proxy": {"nginx": "ss --listening --tcp --numeric --processes | grep nginx"},
    "registry": {
        "docker-registry": "systemctl is-active docker-registry",
        "ironbinder-registry-gate": "systemctl is-active ironbinder-registry-gate",
    },
    "head": {},
    "workers": {},
}
NODE = {
    "containerd": "ctr version",
    "kubelet": "python3 -c 'import urllib.request as url; url.urlopen(\"http://127.0.0.1:10248/healthz\", timeout=2)'",
}
BUILDS = {"docker": "docker version"}
SECONDS = 10


def state(host: Any, unit: str) -> dict[str, str]:
    """Return what systemd says of a unit."""
    told = host.check_output("systemctl show --property MainPID,ActiveState,SubState,Result %s", unit)
    return dict(line.split("=", 1) for line in told.splitlines())


def units_of(site: Site, name: str) -> dict[str, str]:
    """Return a machine's units that have to come back, and how each is asked."""
    groups = site.told[name]["groups"]
    units = {unit: question for group in groups for unit, question in UNITS.get(group, {}).items()}
    if not site.contract["site_registry_pull_username"]:
        units.pop("ironbinder-registry-gate", None)
    if {"head", "workers"} & set(groups):
        units |= NODE
        if site.variables(name)["site_node_builds"]:
            units |= BUILDS
    return units


def test_killed_services_come_back(
    host: Any, site: Site, request: pytest.FixtureRequest, eventually: Callable[..., Any]
) -> None:
    """All those of a machine at once, by SIGKILL."""
    if not request.config.getoption("--interrupt-services"):
        pytest.skip("needs --interrupt-services: people notice")
    units = units_of(site, host.backend.host)
    before = {unit: state(host, unit) for unit in units}
    assert units
    assert {told["ActiveState"] for told in before.values()} == {"active"}
    killed = {unit: told["MainPID"] for unit, told in before.items()}
    assert "0" not in killed.values()
    host.run_expect([0], "kill -KILL " + " ".join(killed.values()))

    def lacking() -> dict[str, Any]:
        found: dict[str, Any] = {}
        for unit, question in units.items():
            now = state(host, unit)
            if now["ActiveState"] != "active" or now["MainPID"] in ("0", killed[unit]):
                found[unit] = now
            elif (asked := host.run(question)).rc != 0:
                found[unit] = asked.stderr
        return found

    assert eventually(lacking, seconds=SECONDS, pause=0.5) == {}
