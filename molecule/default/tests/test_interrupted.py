# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""SIGKILL in the middle of a run: the next one puts all of it right.

In short form three kills, each put right by the stage that was interrupted, and one run of the whole site at the end that changes
nothing and proves a launch: two minutes. With --long a chain of twenty kills at random moments of the stages named below, each
put right by a run of the whole site: IRONBINDER_SEED=<number> draws the same moments again. The table for docs/reliability.md
is written to inventories/lab/.lab/reliability/interrupted.md.

What is needed to have something to interrupt is done on the machines by `provoke`.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from killing import (
    CONTROLLER,
    LAUNCH_ONLY,
    Moment,
    Recovery,
    Row,
    begin,
    changes,
    settled,
    strike,
    write_table,
)
from live_site import ROOT, Site
from machines import KUBECTL, on

# A slow machine needs forty minutes.
KILLS, CHAIN_SECONDS = 20, 60 * 60
# A moment that has passed before it was found is drawn again.
TRIES = 4
RETURN = ("-e", json.dumps({"site_returning_nodes": ["worker2"]}))
REMOVE = ("playbooks/remove_node.yml", "-e", "node=worker2", "-e", "confirm=worker2")


@dataclass(frozen=True)
class Stage:
    """What is interrupted: a playbook with something to do, and the moments at which it is killed."""

    playbook: tuple[str, ...]
    moments: tuple[Moment, ...]
    provoke: Callable[[Site], None] = lambda _site: None
    # What puts it right in the chain.
    plays: tuple[tuple[str, ...], ...] = (("site.yml",),)


def wish(**values: object) -> tuple[str, ...]:
    """Wish for something else, which the next run takes back."""
    return ("-e", json.dumps(values))


def without_tools(_site: Site) -> None:
    """Without what a kubelet that runs does not need; all of it, or dpkg is done before it is seen."""
    tools = ("kubectl", "kubeadm", "ethtool", "socat")
    assert on("worker2", "dpkg", "--force-depends", "--remove", *tools)


def without_network(_site: Site) -> None:
    on("worker1", "sh", "-c", "rm -f /etc/cni/net.d/10-ironbinder.conflist; ip -4 route flush proto 99")


def without_pool(site: Site) -> None:
    on(
        site.hosts("head")[0],
        *KUBECTL,
        "delete",
        "ipaddresspools,l2advertisements",
        "--all",
        "--namespace=metallb-system",
    )


def without_hub(site: Site) -> None:
    """As if nobody had ever installed it: Helm's own records are all that says that it is there."""
    for hub in site.hubs.values():
        on(
            site.hosts("head")[0],
            *KUBECTL,
            "delete",
            "secrets",
            f"--namespace={hub['namespace']}",
            "--selector=owner=helm",
        )
        on(site.hosts("head")[0], *KUBECTL, "delete", "namespace", hub["namespace"], "--timeout=120s")


def without_worker(site: Site) -> None:
    """Out of the cluster; a run that is told so brings it in again."""
    if "worker2" in on(site.hosts("head")[0], *KUBECTL, "get", "nodes", "--output=name"):
        log = ROOT / "inventories/lab/.lab/remove.log"
        run = begin(site, *REMOVE, log=log)
        assert run.process.wait(600) == 0, run.said()[-4000:]


UPGRADE = ("playbooks/binderhub.yml", *wish(binderhub_session_memory_limit="777M"))
NGINX = ("playbooks/proxy.yml", *wish(reverse_proxy_max_body_size="99m"))
PACKAGES = ("playbooks/nodes.yml", "--limit", "worker2")
STAGES = {
    "apt": Stage(
        PACKAGES,
        (
            Moment("apt", "Have the kubelet and its tools", 0.05, "worker2", "dpkg"),
            Moment("apt", "Have the kubelet and its tools", 0.5, "worker2", "apt-get"),
            Moment("apt", "Have the kubelet and its tools", 4),
        ),
        without_tools,
    ),
    "dockerd": Stage(
        ("playbooks/nodes.yml", "--limit", "worker1", *wish(docker_log_max_files=5)),
        (
            Moment("Docker's start", "Run Docker with this configuration", 2, "worker1", "dockerd"),
            Moment("Docker's start", "Run Docker with this configuration", 2),
        ),
    ),
    "join": Stage(
        ("site.yml", *RETURN),
        (
            Moment("join", "Join the cluster|Run kubeadm", 2, "worker2", "kubeadm"),
            Moment("join", "Get a token", 4),
        ),
        without_worker,
        (("site.yml", *RETURN),),
    ),
    "pod network": Stage(
        ("playbooks/cluster.yml",),
        (Moment("pod network", "Write the network, its routes", 1),),
        without_network,
    ),
    "MetalLB": Stage(
        ("playbooks/load_balancer.yml",),
        (Moment("MetalLB", "Configure the pool", 1.5), Moment("MetalLB", "Download the manifest", 3)),
        without_pool,
    ),
    "Helm install": Stage(
        ("playbooks/binderhub.yml",),
        (
            # Helm has written its release within a few seconds; later there is nothing to put right.
            Moment("Helm's install", "Release the hubs", 2, CONTROLLER, "helm"),
            Moment("Helm's install", "Release the hubs", 4),
        ),
        without_hub,
    ),
    "Helm upgrade": Stage(
        UPGRADE,
        (
            Moment("Helm's upgrade", "Release the hubs", 4, CONTROLLER, "helm"),
            Moment("Helm's upgrade", "Release the hubs", 6),
        ),
    ),
    "NGINX": Stage(NGINX, (Moment("NGINX's reload", "Put the hubs' paths into NGINX", 2),)),
    "removal": Stage(REMOVE, (Moment("a node's removal", "", 25),), plays=(REMOVE, ("site.yml", *RETURN))),
}
SHORT = {"apt": 0, "Helm upgrade": 1, "NGINX": 0}


@pytest.fixture
def draw() -> Random:
    """Moments of this test, and the number that draws them again."""
    seed = int(os.environ.get("IRONBINDER_SEED") or time.time_ns() % 1_000_000)
    print(f"IRONBINDER_SEED={seed}")
    return Random(seed)


@pytest.fixture
def recovery(site: Site, tmp_path: Path) -> Recovery:
    """Runs that put the site right."""
    return Recovery(site, tmp_path)


def interrupt(recovery: Recovery, stage: Stage, moment: Moment, draw: Random) -> str:
    """Run a stage and kill it at a moment; say what was killed."""
    for _ in range(TRIES):
        stage.provoke(recovery.site)
        run = begin(recovery.site, *stage.playbook, log=recovery.folder / "killed.log")
        if struck := strike(run, moment, draw):
            return struck
        for playbook, *arguments in stage.plays:
            recovery.run(playbook, *arguments)
    raise AssertionError(f"{moment} did not come in {TRIES} runs; the last one said:\n{run.said()[-4000:]}")


def test_two_runs_at_once(site: Site, recovery: Recovery, eventually: Callable[..., object]) -> None:
    """The second is refused before it changes anything; the first, killed, keeps nobody out."""
    [head] = site.hosts("head")

    def holder() -> str:
        return on(head, "cat", "/var/lib/ironbinder/site-lock.json")

    assert eventually(holder, seconds=15, pause=0.5) == ""
    first = begin(site, "playbooks/nodes.yml", "--limit", "worker1", log=recovery.folder / "first.log")
    assert eventually(lambda: not holder(), seconds=60, pause=0.2) is False
    second = begin(site, "playbooks/proxy.yml", log=recovery.folder / "second.log")
    assert second.process.wait(60) == 2
    said = " ".join(second.said().split())
    assert f"process {first.process.pid} there" in said and "-e site_lock_break=" in said
    assert changes(second.said()) == {}
    # Alone: what keeps its lock gives it back.
    first.process.kill()
    assert eventually(holder, seconds=15, pause=0.5) == ""
    first.kill()


def test_three_kills(site: Site, recovery: Recovery, draw: Random) -> None:
    assert settled(site) == []
    for name, number in SHORT.items():
        stage = STAGES[name]
        moment = stage.moments[number]
        struck = interrupt(recovery, stage, moment, draw)
        # Without the wish that made it work.
        playbook, *arguments = stage.playbook
        plain = arguments[: arguments.index("-e")] if "-e" in arguments else arguments
        print(recovery.after(struck, moment, (playbook, *plain)))
    recovery.prove_rest("site.yml", *LAUNCH_ONLY)


def test_twenty_kills(site: Site, recovery: Recovery, draw: Random, request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--long"):
        pytest.skip("--long interrupts twenty runs, half an hour long, or more")
    started, uninterrupted = time.monotonic(), recovery.run()[1]
    # Every stage at least twice, in any order.
    names = [*STAGES, *STAGES, *draw.choices(list(STAGES), k=KILLS)][:KILLS]
    draw.shuffle(names)
    rows: list[Row] = []
    for name in names:
        if time.monotonic() - started > CHAIN_SECONDS:
            break
        stage = STAGES[name]
        moment = draw.choice(stage.moments)
        rows.append(recovery.after(interrupt(recovery, stage, moment, draw), moment, *stage.plays))
        print(rows[-1], flush=True)
    recovery.prove_rest()
    took = round(time.monotonic() - started)
    about = {"kills": len(rows), "seconds in all": took, "seconds of a run without any": round(uninterrupted)}
    print(write_table(site, "interrupted", rows, **about))
    assert len(rows) == KILLS, f"{len(rows)} of {KILLS} kills in {CHAIN_SECONDS} s; each was put right"
