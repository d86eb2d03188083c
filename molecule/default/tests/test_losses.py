# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A worker loses its power: with the hubs on it, and as the one that announces the floating address.

`--long` only, about 40 minutes, most of which is waiting for machines to be themselves again. What follows from the settings that
this proves is asked in short in tests/infra/test_losses.py. Seconds are printed and kept in inventories/lab/.lab/measured.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from live_site import ROOT, Site
from losses import in_words, keep, launch, probing, seconds_until_launched
from machines import KUBECTL, OF_PEOPLE, cut_off, is_ready, lacking, on, switch_on
from web import Client

from playbooks import play

pytestmark = pytest.mark.usefixtures("fresh_connections")

MEASURED = ROOT / "inventories/lab/.lab/measured"
MACHINES = yaml.safe_load((ROOT / "inventories/lab/hosts.yml").read_text())["all"]["children"]["machines"]
WORKERS = list(MACHINES["children"]["workers"]["hosts"])
# Launches work again; the address answers again, where another replica is ready and where none is.
LAUNCH_SECONDS = 90
ADDRESS_SECONDS = {2: 30, 1: 90}
BACK_SECONDS, MOVED_SECONDS, MOST_SECONDS = 240, 180, 300
TIMES = 10
AWAY_SECONDS = 75
# Of one event of a launch.
EVENT_SECONDS = 20
PROXY = "component=proxy"
PREFER = "{site_node_purpose_affinity: prefer}"
# A database in a folder of the head would keep its hub there.
FORGETS = json.dumps(
    {
        "site_storage": {
            "kind": "local",
            "shared_path": "/mnt/campus",
            "helper_image": "docker.io/library/debian:bookworm-slim",
            "hub_database": False,
        }
    }
)

Eventually = Callable[..., Any]


class Cluster:
    """What the tests do with the first hub's pods."""

    def __init__(self, site: Site, eventually: Eventually) -> None:
        self.site, self.eventually = site, eventually
        self.head = site.hosts("head")[0]
        self.hub: Mapping[str, Any] = next(iter(site.hubs.values()))
        self.url = f"{self.hub['binder_url']}build/{site.contract['site_verify_provider']}/{site.contract['site_verify_spec']}"
        self.client = Client(ca_files=tuple(site.contract["site_ca_files"]), timeout=EVENT_SECONDS)

    def kubectl(self, *words: str) -> str:
        """Run kubectl in the hub's namespace."""
        return on(self.head, *KUBECTL, "--namespace", self.hub["namespace"], *words)

    def pods(self, selector: str = "") -> list[dict[str, Any]]:
        """The hub's own pods, without those that are ending."""
        told = self.kubectl("get", "pods", f"--selector={selector}", "--output=json")
        return [
            pod
            for pod in (json.loads(told)["items"] if told else [])
            if not pod["metadata"]["name"].startswith(OF_PEOPLE)
            and "deletionTimestamp" not in pod["metadata"]
        ]

    def not_on(self, node: str, selector: str = "") -> list[str]:
        """Name the pods that are not ready, or not on this node."""
        pods = self.pods(selector)
        away = [pod for pod in pods if pod["spec"].get("nodeName") != node or not is_ready(pod)]
        return [pod["metadata"]["name"] for pod in away] if pods else ["no pod at all"]

    def not_spread(self, selector: str) -> list[str]:
        """Name the pods that are not ready, or share a node; of these one is sent to look for another."""
        pods = self.pods(selector)
        late = [pod["metadata"]["name"] for pod in pods if not is_ready(pod)]
        if late or not pods or len({pod["spec"]["nodeName"] for pod in pods}) == len(pods):
            return late if pods else ["no pod at all"]
        self.kubectl("delete", "pod", "--wait=false", pods[0]["metadata"]["name"])
        return [pods[0]["metadata"]["name"]]

    def gather(self, node: str, selector: str = "") -> None:
        """Have pods run on one worker, with its images on it."""
        others = [name for name in WORKERS if name != node]
        try:
            assert self.kubectl("cordon", *others)
            away = [
                pod["metadata"]["name"] for pod in self.pods(selector) if pod["spec"].get("nodeName") != node
            ]
            if away:
                self.kubectl("delete", "pods", "--wait=false", *away)
            assert self.eventually(lambda: self.not_on(node, selector), seconds=MOVED_SECONDS) == []
        finally:
            self.kubectl("uncordon", *others)

    def announcer(self) -> str:
        """Say who announces the floating address, as this computer's own network has it."""
        address = str(self.hub["floating_ip"])
        rows = [line.split() for line in Path("/proc/net/arp").read_text().splitlines()]
        [hardware] = [row[3] for row in rows if row[0] == address]
        known = {on(name, "cat", "/sys/class/net/eth0/address").strip(): name for name in WORKERS}
        return known[hardware]

    def is_itself_after(self, off: Any) -> None:
        """Wait until the whole site is as it has to be."""
        assert self.eventually(lambda: lacking(self.site, off), seconds=BACK_SECONDS) == []


@pytest.fixture(scope="module")
def cluster(
    site: Site,
    eventually: Eventually,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Cluster]:
    """The cluster, with the hubs on workers: of the lab's nodes the head alone is for them."""
    if not request.config.getoption("--long"):
        pytest.skip("--long takes the power from workers, again and again")
    log = tmp_path_factory.mktemp("losses") / "binderhub.log"

    def release(*arguments: str) -> None:
        code = play(site.inventory, ROOT / "playbooks/binderhub.yml", *arguments, log=log)
        assert code == 0, log.read_text(errors="replace")[-3000:]

    release("-e", PREFER, "-e", FORGETS)
    try:
        yield Cluster(site, eventually)
    finally:
        release()


def test_launches_work_again_after_the_worker_with_the_hubs_is_lost(cluster: Cluster) -> None:
    lost, other = WORKERS[:2]
    # Both have the images of the hubs and of a session then. What a node lacks it pulls first, which is its registry's affair.
    for node in (other, lost):
        cluster.gather(node)
        assert (
            cluster.eventually(lambda: not launch(cluster.client, cluster.url), seconds=MOST_SECONDS) is False
        )
    cluster.kubectl("cordon", lost)
    assert launch(cluster.client, cluster.url)
    cluster.kubectl("uncordon", lost)

    off = cut_off(lost)
    since = time.monotonic()
    try:
        seconds = seconds_until_launched(cluster.client, cluster.url, since, MOST_SECONDS)
    finally:
        switch_on(lost)
    keep(MEASURED, "a worker with the hubs is lost, launches work again after seconds", round(seconds, 1))
    cluster.is_itself_after(off)
    assert seconds <= LAUNCH_SECONDS


def test_launches_work_again_after_the_api_was_away(cluster: Cluster) -> None:
    """For longer than KubeSpawner watches without an answer."""
    here, aside = "/etc/kubernetes/manifests/kube-apiserver.yaml", "/etc/kubernetes/kube-apiserver.aside"
    assert launch(cluster.client, cluster.url)
    on(cluster.head, "mv", here, aside)
    try:
        assert cluster.eventually(lambda: bool(cluster.kubectl("version")), seconds=60, pause=0.5) is False
        # Nothing tells that somebody waits in vain.
        time.sleep(AWAY_SECONDS)
    finally:
        on(cluster.head, "mv", aside, here)
    since = time.monotonic()
    seconds = seconds_until_launched(cluster.client, cluster.url, since, MOST_SECONDS)
    keep(MEASURED, f"API away for {AWAY_SECONDS} s, launches work again after seconds", round(seconds, 1))
    assert seconds <= LAUNCH_SECONDS


@pytest.fixture(params=sorted(ADDRESS_SECONDS))
def replicas(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[int]:
    """How many proxies there are. The chart's own has one, as it keeps in memory who is where."""
    assert cluster.kubectl("scale", "deployment/proxy", f"--replicas={request.param}")
    yield request.param
    cluster.kubectl("scale", "deployment/proxy", "--replicas=1")


def test_the_floating_address_answers_again(cluster: Cluster, replicas: int) -> None:
    """With one proxy the node that announces is the one that has it: the worst that one loss can do."""
    outages = []
    with probing(f"http://{cluster.hub['floating_ip']}/_chp_healthz") as first:
        assert cluster.eventually(lambda: not first.answered, seconds=30) is False
    for _ in range(TIMES):
        lost = cluster.announcer()
        if replicas == 1:
            cluster.gather(lost, PROXY)
        else:
            assert cluster.eventually(lambda: cluster.not_spread(PROXY), seconds=MOVED_SECONDS) == []
        with probing(f"http://{cluster.hub['floating_ip']}/_chp_healthz") as prober:
            assert cluster.eventually(lambda: not prober.answered, seconds=30) is False
            off = cut_off(lost)
            died = time.monotonic()
            try:
                back = cluster.eventually(
                    lambda prober=prober, died=died: not prober.has_answered_since(died),
                    seconds=MOST_SECONDS,
                    pause=0.5,
                )
            finally:
                switch_on(lost)
            outages.append(prober.longest_gap if back is False else float(MOST_SECONDS))
        cluster.is_itself_after(off)
    words = in_words(outages)
    keep(MEASURED, f"floating address, {TIMES} failovers, proxies: {replicas}, seconds", words)
    assert words["p95"] <= ADDRESS_SECONDS[replicas]
