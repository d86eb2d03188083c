# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A node is emptied without throwing anybody out, people are told by the hub, and a removed machine is as a new one.

Expected: half a minute; with --long some four minutes more, as a machine is removed and added again.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from departed import left_over
from live_site import ROOT, Site
from machines import KUBECTL, on
from web import Client

from playbooks import play

SECONDS = 120
# What goes into docs/reliability.md, a line each.
MEASURED = "IRONBINDER-MEASURED"
BUDGET = "ironbinder-test-never"


def kubectl(site: Site, *words: str) -> Any:
    """Ask the cluster."""
    told = on(site.hosts("head")[0], *KUBECTL, *words, "--output=json")
    return json.loads(told) if told else None


@pytest.fixture
def run(site: Site, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Return a function that plays a playbook: its exit code, and what it said, on one line."""

    def start(name: str, *options: str, **extra: object) -> tuple[int, str]:
        log = tmp_path / f"{name.replace('/', '-')}.log"
        began = time.monotonic()
        code = play(site.inventory, ROOT / f"{name}.yml", "-e", json.dumps(extra), *options, log=log)
        print(f"{MEASURED} {name} {extra} {time.monotonic() - began:.1f} s")
        return code, " ".join(log.read_text(errors="replace").split())

    return start


@pytest.fixture
def session(site: Site, client: Client) -> Iterator[dict[str, Any]]:
    """Launch a session: its url and token, its pod's name and node."""
    hub: Mapping[str, Any] = next(iter(site.hubs.values()))
    contract = site.contract
    ready: dict[str, Any] = {}
    url = f"{hub['binder_url']}build/{contract['site_verify_provider']}/{contract['site_verify_spec']}"
    for _, data in client.events(url):
        if str(data.get("phase", "")).lower() in ("ready", "failed", "failure"):
            ready = data
            break
    assert ready.get("phase") == "ready", ready
    namespace = ("--namespace", hub["namespace"])
    pods = kubectl(site, *namespace, "get", "pods", "--selector=component=singleuser-server")["items"]
    [pod] = [one for one in pods if ready["token"] in json.dumps(one["spec"]["containers"][0]["args"])]
    yield {**ready, "pod": pod["metadata"]["name"], "node": pod["spec"]["nodeName"]}
    client.send("POST", f"{ready['url']}api/shutdown", {"Authorization": f"token {ready['token']}"})


@pytest.fixture
def opened(site: Site) -> Iterator[None]:
    """Open every node again, whatever happened."""
    yield
    for name in site.hosts("head", "workers"):
        on(site.hosts("head")[0], *KUBECTL, "uncordon", name)


@pytest.mark.usefixtures("opened")
def test_people_stay_until_somebody_says_otherwise(
    session: dict[str, Any],
    run: Callable[..., tuple[int, str]],
    client: Client,
    site: Site,
    eventually: Callable[..., Any],
) -> None:
    node, token = session["node"], {"Authorization": f"token {session['token']}"}
    code, told = run("playbooks/drain", node=node, site_drain_timeout_seconds=5)
    assert code != 0
    assert f"/{session['pod']} of " in told
    assert "-e end_sessions=true" in told
    assert client.get(f"{session['url']}api/status", token).status == 200
    # Everybody else has gone, and nobody comes.
    spec = kubectl(site, "get", "node", node)["spec"]
    assert spec["unschedulable"] is True
    code, told = run("playbooks/drain", node=node, site_drain_timeout_seconds=0, end_sessions=True)
    assert code == 0, told[-3000:]

    def lacking() -> str:
        answer = client.get(f"{session['url']}lab", {"Accept": "text/html"})
        text = answer.body.decode(errors="replace")
        # Not the session, not a bare word of NGINX's, and not a page that never comes.
        if answer.status in (301, 302, 303):
            return "" if "/hub/" in answer.headers.get("location", "") else f"it leads to {answer.headers}"
        return "" if answer.status >= 400 and "JupyterHub" in text else f"{answer.status}: {text[:300]}"

    assert eventually(lacking, seconds=60) == ""
    code, told = run("playbooks/uncordon", node=node)
    assert code == 0
    assert "unschedulable" not in kubectl(site, "get", "node", node)["spec"]


@pytest.mark.usefixtures("opened")
def test_a_budget_that_can_never_be_met_is_named(run: Callable[..., tuple[int, str]], site: Site) -> None:
    """Before anything is changed. CoreDNS is on the workers, as they are the first that are ready."""
    pods = kubectl(site, "--namespace=kube-system", "get", "pods", "--selector=k8s-app=kube-dns")["items"]
    [node, *_] = sorted({pod["spec"]["nodeName"] for pod in pods})
    head = site.hosts("head")[0]
    never = ("--selector=k8s-app=kube-dns", f"--min-available={len(pods)}")
    on(head, *KUBECTL, "--namespace=kube-system", "create", "poddisruptionbudget", BUDGET, *never)
    try:
        deadline = time.monotonic() + 30
        while not kubectl(site, "--namespace=kube-system", "get", "pdb", BUDGET)["status"].get(
            "expectedPods"
        ):
            assert time.monotonic() < deadline, "the budget has not been counted"
            time.sleep(0.5)
        code, told = run("playbooks/drain", node=node, end_sessions=True)
    finally:
        on(head, *KUBECTL, "--namespace=kube-system", "delete", "poddisruptionbudget", BUDGET)
    assert code != 0
    assert f"PodDisruptionBudget kube-system/{BUDGET}, which wants {len(pods)} healthy of {len(pods)}" in told
    assert "Nothing was changed" in told
    assert "unschedulable" not in kubectl(site, "get", "node", node)["spec"]


def test_nothing_is_removed_by_oversight(run: Callable[..., tuple[int, str]], site: Site) -> None:
    worker, head = site.hosts("workers")[-1], site.hosts("head")[0]
    for book, extra, words in (
        ("playbooks/remove_node", {"node": worker}, f"start again with -e confirm={worker}"),
        ("playbooks/remove_node", {"node": head, "confirm": head}, f"{head} is the last head"),
        ("playbooks/reset", {"what": "everything"}, "goes: what Ironbinder wrote on "),
    ):
        code, told = run(book, **extra)
        assert code != 0
        assert words in told, told[-3000:]
        assert not re.search(r"changed=[1-9]", told)


@pytest.mark.parametrize("packages", [False, True])
def test_a_removed_machine_is_as_a_new_one(
    packages: bool, request: pytest.FixtureRequest, run: Callable[..., tuple[int, str]], site: Site
) -> None:
    """It passes preflight, and joins again where somebody says so."""
    if not request.config.getoption("--long"):
        pytest.skip("--long removes a machine and adds it again; scenario grow does so in short")
    worker = site.hosts("workers")[-1]
    extra = {"node": worker, "confirm": worker, "end_sessions": True, "site_drain_timeout_seconds": 10}
    try:
        code, told = run("playbooks/remove_node", packages=packages, **extra)
        assert code == 0, told[-3000:]
        assert kubectl(site, "get", "nodes", "--field-selector", f"metadata.name={worker}")["items"] == []
        assert left_over(worker, packages=packages) == []
        # Again, as after a kill, there is nothing to do.
        code, told = run("playbooks/remove_node", packages=packages, **extra)
        assert code == 0, told[-3000:]
        assert "changed=0" in told.rpartition(f"{worker} :")[2][:60]
        code, told = run("site")
        assert code != 0
        assert "removed-host-listed" in told
        assert "changed=0" in told
        code, told = run("playbooks/preflight", site_returning_nodes=[worker])
        assert code == 0, told[-3000:]
    finally:
        code, told = run("site", site_returning_nodes=[worker])
    assert code == 0, told[-3000:]
    code, told = run("site")
    assert code == 0, told[-3000:]
    assert not re.search(r"changed=[1-9]", told.rpartition("PLAY RECAP")[2])
