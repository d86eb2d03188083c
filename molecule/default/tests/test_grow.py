# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A worker leaves and comes again: the others notice no more than they must.

In short form worker2 is removed, refused while it is only still listed, and added again by a run of the whole site: a minute and
a half. With --long it is drained first, leaves and comes twice, and the second time its join is killed in the middle.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import pytest
from killing import LAUNCH_ONLY, Moment, Recovery, begin, settled, state, strike
from live_site import ROOT, Site
from machines import KUBECTL, on

NODE = "worker2"
RETURN = ("-e", json.dumps({"site_returning_nodes": [NODE]}))
# What a node that comes changes elsewhere: the ways to its pods, who is one of the site's machines, whom NGINX asks, and what is
# done on a head for all nodes together.
ELSEWHERE = {
    "Write the network, its routes and rules, and what brings them back",
    # Unless its keeper was quicker.
    "Ask the kernel for routes and rules",
    "Apply what is missing, now and after a restart",
    "Label and taint the nodes, and wait until they are ready",
    "Write the site's CAs, package sources, machines and kernel parameters",
    "Put the hubs' paths into NGINX, once it accepts them",
    "Get a token from the control plane",
    "Prove that a launch works",
}


@pytest.fixture
def recovery(site: Site, tmp_path: Path) -> Iterator[Recovery]:
    """Runs of playbooks that have to end well; the node is there again afterwards."""
    runs = Recovery(site, tmp_path)
    yield runs
    if f"node/{NODE}" not in nodes(site):
        runs.run("site.yml", *RETURN)
    # Where a test ended before its time.
    on(site.hosts("head")[0], *KUBECTL, "uncordon", NODE)


def nodes(site: Site) -> list[str]:
    return on(site.hosts("head")[0], *KUBECTL, "get", "nodes", "--output=name").split()


def logged(log: Path) -> Any:
    """Have runs write down what they changed where."""
    callbacks = {
        "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "tests/infra/callback"),
        "ANSIBLE_CALLBACKS_ENABLED": "ironbinder.platform.preload,change_log",
        "IRONBINDER_CHANGE_LOG": str(log),
        "IRONBINDER_CHANGE_LOG_PLAYBOOK": "site",
    }
    return mock.patch.dict(os.environ, callbacks)


def leave(recovery: Recovery) -> None:
    """Take the node out. A run that only still lists it is refused before it changes anything."""
    recovery.run("playbooks/remove_node.yml", "-e", f"node={NODE}", "-e", f"confirm={NODE}")
    assert f"node/{NODE}" not in nodes(recovery.site)
    refused = begin(recovery.site, "playbooks/preflight.yml", log=recovery.folder / "refused.log")
    assert refused.process.wait(120) == 2
    said = refused.said()
    assert "removed-host-listed" in said and "site_returning_nodes" in said


def come(recovery: Recovery) -> None:
    """Add it again. Nothing changes on the others but what must."""
    log = recovery.folder / "changes.json"
    log.unlink(missing_ok=True)
    with logged(log):
        recovery.run("site.yml", *RETURN, *LAUNCH_ONLY)
    [run] = json.loads(log.read_text())
    others = {(entry["host"], entry["task"]) for entry in run["changes"] if entry["host"] != NODE}
    assert {entry for entry in others if entry[1].rpartition(" : ")[2] not in ELSEWHERE} == set()
    assert f"node/{NODE}" in nodes(recovery.site)
    assert settled(recovery.site) == []


def test_a_worker_leaves_and_comes_again(recovery: Recovery) -> None:
    leave(recovery)
    come(recovery)


def test_again_and_killed(
    recovery: Recovery, request: pytest.FixtureRequest, eventually: Callable[..., Any]
) -> None:
    if not request.config.getoption("--long"):
        pytest.skip("--long has it leave and come once more, with its join killed")
    recovery.run("playbooks/drain.yml", "-e", f"node={NODE}")
    drained = [f"{recovery.site.hosts('head')[0]}: node {NODE} is not ready, or takes no pods"]
    # The run's lock is given back a moment after its end.
    assert eventually(lambda: found if (found := state(recovery.site)) != drained else "", seconds=15) == ""
    leave(recovery)
    run = begin(recovery.site, "site.yml", *RETURN, log=recovery.folder / "killed.log")
    # When the cluster has signed the node's certificate, and kubeadm is not done.
    moment = Moment(
        "join", "Run kubeadm", 0, NODE, "kubeadm", "test -e /var/lib/kubelet/pki/kubelet-client-current.pem"
    )
    struck = strike(run, moment, Random(0))
    assert struck, run.said()[-4000:]
    print(recovery.after(struck, moment, ("site.yml", *RETURN)))
    recovery.prove_rest()
