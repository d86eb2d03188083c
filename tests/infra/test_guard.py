# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The guard of every node: its table is what it has to be, and every pod of a hub came by way of its plugin."""

from __future__ import annotations

from typing import Any

import pytest
from live_site import Site

testinfra_hosts = ["ansible://head", "ansible://workers"]
PROGRAM = "/usr/local/sbin/ironbinder-guard"


@pytest.fixture(autouse=True)
def needs_the_guard(site: Site) -> None:
    """A site whose provider enforces policies does without."""
    if not site.contract["site_guard_enabled"]:
        pytest.skip("site_guard_enabled is off")


def test_nothing_differs_from_what_has_to_be(host: Any) -> None:
    assert host.service("ironbinder-guard").is_running
    assert host.service("ironbinder-guard").is_enabled
    told = host.run(f"{PROGRAM} check")
    assert (told.rc, told.stdout) == (0, "")


def test_every_pod_of_a_hub_came_by_the_plugin(host: Any, site: Site) -> None:
    namespaces = tuple(f"{hub['namespace']}/" for hub in site.hubs.values())
    rows = [line.split() for line in host.check_output(f"{PROGRAM} show").splitlines()]
    hubs = [row for row in rows if any(word.startswith(namespaces) for word in row)]
    assert [row for row in hubs if "plugin" not in row] == []
    assert [row for row in hubs if row[1] == "denied"] == []
    # What the plugin cost each pod's start, for people to read.
    print(sorted(int(row[-2]) for row in rows if row[-1] == "ms"))
