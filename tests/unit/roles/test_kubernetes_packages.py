# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What role kubernetes_node moves on a node that runs, and what it refuses, by the real apt."""

from __future__ import annotations

from pathlib import Path

import apt_root
import pytest
import yaml
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.packages import (
    HeldPackages,
    PackagesError,
    Wanted,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.removals import LEDGER_FILE, Ledger
from hand_clock import HandClock

TASKS = Path(__file__).parents[3] / "roles/kubernetes_node/tasks"
[TASK] = yaml.safe_load((TASKS / "install.yml").read_text())
ASKED = TASK["ironbinder.platform.held_packages"]
OLD, NEW = "1.35.4-1.1", "1.36.3-1.1"
TOOLS = ("kubeadm", "kubectl")
pytestmark = pytest.mark.skipif(not apt_root.USABLE, reason="needs root, apt and dpkg")


@pytest.fixture
def machine(tmp_path: Path) -> apt_root.AptRoot:
    """A node of the old version."""
    machine = apt_root.AptRoot(tmp_path)
    machine.offer("kubernetes-cni", "1.9.1-1.1")
    for name in ("kubelet", *TOOLS):
        for version in (OLD, NEW):
            machine.offer(name, version)
    install(machine, OLD)
    return machine


def install(machine: apt_root.AptRoot, version: str) -> dict[str, str]:
    """Do what the role does where no change of versions is allowed."""
    wanted = Wanted(
        names=ASKED["name"],
        version=version.partition("-")[0],
        versions={"kubernetes-cni": "1.9.1"},
        kept=ASKED["kept"],
        movable=ASKED["movable"],
    )
    work = HeldPackages(machine.run, HandClock(), wanted, Ledger(machine.root / LEDGER_FILE))
    return {name: state.version for name, state in work.bring_about().after.items() if state.held}


@pytest.mark.parametrize("moved", [TOOLS, ("kubeadm",)])
def test_an_upgrade_given_up_before_it_began(machine: apt_root.AptRoot, moved: tuple[str, ...]) -> None:
    """Its new kubeadm is there, and the version of the cluster is asked for again."""
    packages = [f"{name}={NEW}" for name in moved]
    assert machine.run(["apt-get", "install", "--yes", "--allow-change-held-packages", *packages])[0] == 0
    assert install(machine, OLD) == {
        **dict.fromkeys(("kubelet", *TOOLS), OLD),
        "kubernetes-cni": "1.9.1-1.1",
    }


def test_a_kubelet_is_never_moved_by_the_way(machine: apt_root.AptRoot) -> None:
    """Nor are its tools, then: which of both is right is for an upgrade to say."""
    with pytest.raises(
        PackagesError, match=r"this machine has kubelet 1\.35\.4-1\.1, and 1\.36\.3 was asked for"
    ):
        install(machine, NEW)
    assert (
        "kubeadm 1.35.4"
        in machine.run(["dpkg-query", "--show", "--showformat=${Package} ${Version}", "kubeadm"])[1]
    )
