# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Machines that are switched off and on, and routes that are lost: all of it comes back, and nobody does anything.

Off and on is `docker stop` and `docker start` of a machine's container, see lab/README.md. Expected: a minute and a half in short
form, of which 40 seconds are Kubernetes' own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from live_site import ROOT, Site
from machines import lacking, on, restart

from playbooks import play

pytestmark = pytest.mark.usefixtures("fresh_connections")

INVENTORY = yaml.safe_load((ROOT / "inventories/lab/hosts.yml").read_text())
WORKERS = INVENTORY["all"]["children"]["machines"]["children"]["workers"]["hosts"]
MACHINES = ("head1", *WORKERS, "proxy1", "mirror1")
RELEASES = {"": "12", "trixie": "13"}
# All that runs, and the routes, have to be back by then.
BACK_SECONDS, ROUTES_SECONDS = 240, 60
TIMES = 10

# Takes the interface down and up. What the machine's own network service would put back, this puts back: systemd-networkd is
# masked in the lab. Not the routes of pods.
DOWN_AND_UP = """set -eu
routes=$(ip -N -4 route show dev eth0 | grep -v ' proto ')
addresses=$(ip -6 -o address show dev eth0 scope global | awk '{print $4}')
ip link set eth0 down
[ -z "$(ip -4 route show proto 99)" ] && echo lost
ip link set eth0 up
for address in $addresses; do ip -6 address add "$address" dev eth0 nodad; done
echo "$routes" | while read -r route; do ip route replace $route dev eth0; done
"""


@pytest.fixture
def comes_back(site: Site, eventually: Callable[..., list[str]], tmp_path: Path) -> Callable[..., None]:
    """Return a function that restarts machines, and fails unless the site is itself again and a launch is verified."""

    def run(*names: str) -> None:
        off = restart(names)
        assert eventually(lambda: lacking(site, off), seconds=BACK_SECONDS) == []
        log = tmp_path / "verify.log"
        probes = "{site_fence_check_enabled: false, site_trust_check_enabled: false}"
        code = play(site.inventory, ROOT / "playbooks/verify.yml", "-e", probes, log=log)
        assert code == 0, log.read_text(errors="replace")[-3000:]

    return run


def changes(log: Path) -> dict[str, str]:
    """Give the hosts that a run changed, with how much."""
    recap = log.read_text(errors="replace").rpartition("PLAY RECAP")[2]
    told = re.findall(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)", recap, re.MULTILINE)
    assert told
    return {host: count for host, count in told if count != "0"}


@pytest.mark.parametrize("name", WORKERS)
def test_lost_routes_come_back(name: str, eventually: Callable[..., str]) -> None:
    """Whoever took them: somebody, or an interface that went down."""

    def missing() -> str:
        return on(name, "sh", "-c", "ironbinder-pod-network check || echo it cannot be asked")

    assert missing() == ""
    assert on(name, "sh", "-c", "ip -4 route flush proto 99 && echo flushed") == "flushed\n"
    assert eventually(missing, seconds=ROUTES_SECONDS, pause=0.5) == ""
    assert on(name, "sh", "-c", DOWN_AND_UP) == "lost\n"
    assert eventually(missing, seconds=ROUTES_SECONDS, pause=0.5) == ""
    assert "put back: route to " in on(
        name, "journalctl", "--unit=ironbinder-pod-network", "--lines=20", "--output=cat"
    )


@pytest.mark.parametrize("name", ["head1", *WORKERS])
def test_packets_of_pods_are_as_large_as_the_network_takes(name: str) -> None:
    mtu = on(name, "cat", "/sys/class/net/eth0/mtu").strip()
    assert f'"mtu": {mtu}' in on(name, "cat", "/etc/cni/net.d/10-ironbinder.conflist")


@pytest.mark.parametrize("name", WORKERS)
def test_nodes_of_one_cluster_run_different_systems(name: str) -> None:
    release = RELEASES[WORKERS[name].get("lab_system", "")]
    assert f'VERSION_ID="{release}"' in on(name, "cat", "/etc/os-release").splitlines()


def test_all_machines_off_and_on(comes_back: Callable[..., None]) -> None:
    comes_back(*MACHINES)


@pytest.mark.parametrize("name", MACHINES)
def test_each_machine_off_and_on(
    name: str, comes_back: Callable[..., None], request: pytest.FixtureRequest
) -> None:
    if not request.config.getoption("--long"):
        pytest.skip("--long restarts each machine by itself")
    comes_back(name)


def test_again_and_again(
    site: Site, comes_back: Callable[..., None], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Off and on ten times, and then a run finds nothing to do."""
    if not request.config.getoption("--long"):
        pytest.skip("--long restarts all machines ten times, and runs the whole site")
    for _ in range(TIMES):
        comes_back(*MACHINES)
    log = tmp_path / "site.log"
    assert play(site.inventory, ROOT / "site.yml", log=log) == 0, log.read_text(errors="replace")[-3000:]
    assert changes(log) == {}
