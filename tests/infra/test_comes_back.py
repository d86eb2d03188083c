# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Services that were killed run again, without anybody's doing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from live_site import Site

testinfra_hosts = ["ansible://proxy", "ansible://registry"]

UNITS = {"proxy": ["nginx"], "registry": ["docker-registry", "ironbinder-registry-gate"]}
SECONDS = 10


def state(host: Any, unit: str) -> dict[str, str]:
    """Return what systemd says of a unit."""
    told = host.check_output("systemctl show --property MainPID,ActiveState,SubState,Result %s", unit)
    return dict(line.split("=", 1) for line in told.splitlines())


def test_a_killed_service_comes_back(
    host: Any, site: Site, request: pytest.FixtureRequest, eventually: Callable[..., Any]
) -> None:
    if not request.config.getoption("--interrupt-services"):
        pytest.skip("needs --interrupt-services: people notice")
    groups = site.told[host.backend.host]["groups"]
    units = [unit for group, names in UNITS.items() if group in groups for unit in names]
    if not site.contract["site_registry_pull_username"]:
        units = [unit for unit in units if unit != "ironbinder-registry-gate"]
    assert units
    for unit in units:
        before = state(host, unit)
        assert before["ActiveState"] == "active"
        killed = before["MainPID"]
        assert killed != "0"
        host.run_expect([0], "kill -KILL %s", killed)

        def lacking(unit: str = unit, killed: str = killed) -> dict[str, str]:
            now = state(host, unit)
            return {} if now["ActiveState"] == "active" and now["MainPID"] not in ("0", killed) else now

        assert eventually(lacking, seconds=SECONDS, pause=0.5) == {}, unit
