# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A whole upgrade while people launch: what a check tells of it, where it stops, how it goes on, and what of it people noticed.

The tests are one story, in this order. What was measured is printed and written to inventories/lab/.lab/upgrade.json, for
docs/reliability.md. Expected: ten minutes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from launch_loop import LaunchLoop, launcher
from live_site import ROOT, Site
from machines import on

from playbooks import play

testinfra_hosts = ["ansible://head"]

BEFORE = yaml.safe_load((ROOT / "molecule/upgrade/vars/before.yml").read_text())["site_kubernetes_version"]
UPGRADE = ROOT / "playbooks/upgrade.yml"
WORKERS = ("worker1", "worker2")
# As a kubelet that does not come back with its new version.
BROKEN = "/etc/systemd/system/kubelet.service.d/99-test.conf"
# A launch takes 5 s, the API of one head is away while its parts are replaced, and a worker's sessions end with it.
LONGEST_GAP_SECONDS = 180
TURN = "ironbinder/upgrade-turn"
# A launch that failed while the API was away may leave a session that nobody ends; the others are over within a minute.
SESSIONS_END = ("-e", "{site_upgrade_drain_timeout_seconds: 60, site_upgrade_end_sessions: true}")


@pytest.fixture(scope="module", autouse=True)
def repaired() -> Iterator[None]:
    """Leave no broken kubelet behind, whatever fails."""
    yield
    on("worker1", "rm", "-f", BROKEN)


@pytest.fixture
def upgrade(site: Site, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Return a function that runs upgrade.yml, and returns its exit code and its output."""

    def run(*arguments: str) -> tuple[int, str]:
        log = tmp_path / "log"
        code = play(site.inventory, UPGRADE, *arguments, log=log)
        return code, log.read_text(errors="replace")

    return run


def versions(kubectl: Callable[..., Any]) -> dict[str, str]:
    """Versions of the API, of kube-proxy and of each kubelet."""
    proxy = kubectl("get", "daemonset", "kube-proxy", "--namespace", "kube-system")
    found = {
        "api": json.loads(kubectl("get", "--raw", "/version", output=""))["gitVersion"],
        "kube-proxy": proxy["spec"]["template"]["spec"]["containers"][0]["image"].rpartition(":")[2],
    }
    for node in kubectl("get", "nodes")["items"]:
        found[node["metadata"]["name"]] = node["status"]["nodeInfo"]["kubeletVersion"]
    return found


def marked(kubectl: Callable[..., Any]) -> dict[str, tuple[bool, bool]]:
    """Nodes that are cordoned or whose turn has begun."""
    states = {
        node["metadata"]["name"]: (
            bool(node["spec"].get("unschedulable")),
            TURN in node["metadata"].get("annotations", {}),
        )
        for node in kubectl("get", "nodes")["items"]
    }
    return {name: state for name, state in states.items() if any(state)}


def changed(output: str) -> dict[str, str]:
    """Hosts that a run changed, with how much."""
    found = re.findall(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)", output.rpartition("PLAY RECAP")[2], re.M)
    assert found
    return {host: count for host, count in found if count != "0"}


def test_all_of_it_is_old_at_the_start(kubectl: Callable[..., Any]) -> None:
    assert set(versions(kubectl).values()) == {f"v{BEFORE}"}


def test_a_check_tells_and_changes_nothing(
    site: Site, kubectl: Callable[..., Any], upgrade: Callable[..., tuple[int, str]]
) -> None:
    wanted = site.contract["site_kubernetes_version"]
    code, output = upgrade("--check")
    assert code == 0, output[-4000:]
    assert f"control plane {BEFORE} -> {wanted}" in output
    places = [
        output.index(words)
        for words in (
            "1. head1: take a snapshot",
            "2. head1: upgrade the control plane",
            "3. head1: ",
            "4. worker1: empty",
            "5. worker2: empty",
        )
    ]
    assert places == sorted(places)
    assert set(versions(kubectl).values()) == {f"v{BEFORE}"}
    assert (marked(kubectl), changed(output)) == ({}, {})


@pytest.mark.parametrize(
    ("version", "finding"), [("1.37.0", "kubernetes-skips-minor"), ("1.34.1", "kubernetes-downgrade")]
)
def test_other_jumps_are_refused_before_anything_changes(
    kubectl: Callable[..., Any], upgrade: Callable[..., tuple[int, str]], version: str, finding: str
) -> None:
    code, output = upgrade("-e", f"site_kubernetes_version={version}")
    assert code != 0
    assert finding in output
    assert changed(output) == {}
    assert set(versions(kubectl).values()) == {f"v{BEFORE}"}


def test_people_launch_through_all_of_it(
    site: Site, kubectl: Callable[..., Any], upgrade: Callable[..., tuple[int, str]]
) -> None:
    """It stops at a worker whose kubelet does not come back, and goes on there when that is repaired."""
    wanted = f"v{site.contract['site_kubernetes_version']}"
    launch = launcher(site)
    assert launch() == ""
    on("worker1", "sh", "-c", f"printf '[Service]\\nExecStart=\\nExecStart=/bin/false\\n' > {BROKEN}")
    with LaunchLoop(launch) as loop:
        code, output = upgrade("-e", "site_upgrade_ready_timeout_seconds=60", *SESSIONS_END)
        assert code != 0
        assert "worker1 did not end its turn" in output, output[-6000:]
        assert "Done: head1. Not begun: worker2." in output
        found = versions(kubectl)
        assert (found["api"], found["kube-proxy"], found["head1"]) == (wanted, wanted, wanted)
        assert found["worker2"] == f"v{BEFORE}"
        assert marked(kubectl) == {"worker1": (True, True)}
        on("worker1", "rm", BROKEN)
        code, output = upgrade(*SESSIONS_END)
        assert code == 0, output[-6000:]
    assert "begun, goes on first" in output
    # Once worker1 has ended its turn it takes what worker2 sends away.
    assert "2. worker2: empty" in output
    assert set(versions(kubectl).values()) == {wanted}
    assert marked(kubectl) == {}
    told = {"from": BEFORE, "to": wanted[1:], **loop.told}
    print(f"MEASURED upgrade {json.dumps(told)}")
    (ROOT / "inventories/lab/.lab/upgrade.json").write_text(json.dumps(told, indent=1) + "\n")
    assert told["longest_gap_seconds"] <= LONGEST_GAP_SECONDS, told
    assert loop.attempts[-1].fault == ""


def test_a_snapshot_was_taken_before(site: Site, host: Any) -> None:
    folder = host.file(site.contract["site_upgrade_snapshot_dir"])
    assert folder.is_directory and folder.listdir() != []


def test_what_kubeadm_brings_is_what_the_lab_builds(kubectl: Callable[..., Any]) -> None:
    """etcd and CoreDNS went along, and nothing of the version before runs any more."""
    pods = kubectl("get", "pods", "--namespace", "kube-system")["items"]
    images = {container["image"] for pod in pods for container in pod["spec"]["containers"]}
    recipes = yaml.safe_load((ROOT / "lab/artifacts/images.yml").read_text())
    [etcd] = [one["name"] for one in recipes if "/etcd:" in one["name"] and one["component"] == "etcd"]
    assert etcd in images
    assert not [image for image in images if BEFORE in image]


@pytest.mark.parametrize("name", ["head1", *WORKERS])
def test_packages_are_held_in_the_new_version(site: Site, name: str) -> None:
    wanted = site.contract["site_kubernetes_version"]
    told = on(
        name,
        "dpkg-query",
        "--show",
        "--showformat",
        "${Version} ${db:Status-Want}\\n",
        "kubelet",
        "kubeadm",
        "kubectl",
    )
    assert {line.split("-")[0] + line[line.index(" ") :] for line in told.splitlines()} == {f"{wanted} hold"}


def test_a_second_upgrade_has_nothing_to_do(upgrade: Callable[..., tuple[int, str]]) -> None:
    code, output = upgrade()
    assert code == 0, output[-4000:]
    assert "Nothing is to be done." in output
    assert changed(output) == {}


def test_a_run_of_the_whole_site_changes_nothing(site: Site, tmp_path: Path) -> None:
    log = tmp_path / "site.log"
    assert play(site.inventory, ROOT / "site.yml", log=log) == 0, log.read_text(errors="replace")[-4000:]
    assert changed(log.read_text(errors="replace")) == {}
