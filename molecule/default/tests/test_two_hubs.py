# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A hub goes and comes back, and the other one does not notice: its pods are those that were there, and people reach it.

Expected: two minutes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from live_site import ROOT, Site
from machines import KUBECTL, on
from web import Client

from playbooks import play

Run = Callable[..., str]


@pytest.fixture
def run(site: Site, tmp_path: Path) -> Run:
    """Return a function that plays a playbook, which has to end well: what it said."""

    def start(name: str, **extra: object) -> str:
        log = tmp_path / f"{name}.log"
        code = play(site.inventory, ROOT / "playbooks" / f"{name}.yml", "-e", json.dumps(extra), log=log)
        text = log.read_text(errors="replace")
        assert code == 0, text[-4000:]
        return text

    return start


@pytest.fixture
def hubs(site: Site) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the hub that stays, and the one that goes."""
    stays, *others = site.hubs.values()
    assert others, "the lab has two hubs"
    return stays, others[0]


def started(site: Site, hub: Mapping[str, Any]) -> dict[str, str]:
    """Give when each pod of a hub's own started, by its name."""
    told = on(
        site.hosts("head")[0],
        *KUBECTL,
        f"--namespace={hub['namespace']}",
        "get",
        "pods",
        "--selector=component in (binder, hub, proxy)",
        "--output=json",
    )
    return {pod["metadata"]["name"]: pod["status"]["startTime"] for pod in json.loads(told)["items"]}


def test_one_hub_goes_and_comes_back_and_the_other_stays(
    site: Site, hubs: tuple[Mapping[str, Any], Mapping[str, Any]], client: Client, run: Run
) -> None:
    stays, goes = hubs
    before = started(site, stays)
    assert len(before) >= 3
    try:
        run("remove_hub", hub=goes["name"], confirm=goes["name"])
        namespaces = on(site.hosts("head")[0], *KUBECTL, "get", "namespaces", "--output=name").split()
        assert f"namespace/{goes['namespace']}" not in namespaces
        assert f"namespace/{stays['namespace']}" in namespaces
        assert started(site, stays) == before
        assert client.get(stays["binder_url"]).status == 200
    finally:
        run("binderhub")
    assert started(site, stays) == before
    said = run("verify")
    for hub in hubs:
        assert hub["binder_url"] in said
