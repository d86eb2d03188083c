# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Arguments of a component on a head that works: in which order, what is waited for, and what is given back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import Ran
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.control_plane_arguments import (
    ArgumentsError,
    ControlPlaneArguments,
)

DATA = Path(__file__).parents[3] / "data/kubeadm"
MANAGER = "kube-controller-manager"
FLAG = "--node-monitor-grace-period=20s"


class Head:
    """A head: its manifest, what its API says, and a kubelet that needs a while to see the manifest."""

    def __init__(self, folder: Path) -> None:
        self.manifest = folder / f"{MANAGER}.yaml"
        self.manifest.write_text((DATA / f"{MANAGER}.txt").read_text())
        self.config = (DATA / "ClusterConfiguration.txt").read_text()
        self.has_config = True
        self.runs = self.in_manifest
        self.seconds = 0.0
        self.sees_after = 6.0
        self.is_ready = True
        self.done: list[str] = []
        self.refused: dict[str, Ran] = {}
        self.silent_from = 1e9

    @property
    def in_manifest(self) -> list[str]:
        command: list[str] = yaml.safe_load(self.manifest.read_text())["spec"]["containers"][0]["command"]
        return command

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        if self.seconds >= self.sees_after:
            self.runs = self.in_manifest

    def __call__(self, argv: Sequence[str], timeout_seconds: float) -> Ran:
        assert timeout_seconds > 0
        verb = argv[1] if argv[0] == "kubeadm" else argv[6]
        if verb in self.refused:
            return self.refused[verb]
        if verb == "config":
            told = yaml.safe_load(Path(argv[-1]).read_text())
            assert told["kind"] == "ClusterConfiguration"
            return Ran(0)
        if verb == "patch":
            (file,) = (word.partition("=")[2] for word in argv if word.startswith("--patch-file="))
            change = json.loads(Path(file).read_text())
            assert change["metadata"] == {"resourceVersion": "224"}
            self.config = change["data"]["ClusterConfiguration"]
            self.done.append("config" if FLAG not in self.in_manifest else "config too late")
            return Ran(0)
        assert verb == "get"
        if self.seconds >= self.silent_from:
            return Ran(1, stderr="The connection to the server was refused")
        items: list[dict[str, Any]] = [
            {
                "metadata": {"name": f"{MANAGER}-head1"},
                "spec": {"containers": [{"command": self.runs}]},
                "status": {"conditions": [{"type": "Ready", "status": str(self.is_ready)}]},
            }
        ]
        if self.has_config:
            items.append(
                {
                    "metadata": {"name": "kubeadm-config", "resourceVersion": "224"},
                    "data": {"ClusterConfiguration": self.config},
                }
            )
        return Ran(0, json.dumps({"items": items} if len(items) > 1 else items[0]))

    def work(self) -> ControlPlaneArguments:
        return ControlPlaneArguments(
            self,
            self,
            component=MANAGER,
            node_name="head1",
            arguments={"node-monitor-grace-period": "20s"},
            timeout_seconds=60,
            manifest_dir=self.manifest.parent,
        )


@pytest.fixture
def head(tmp_path: Path) -> Head:
    return Head(tmp_path)


def test_check_do_check_again_do_again(head: Head) -> None:
    before = head.manifest.read_text(), head.config
    told = [head.work().bring_about(check_mode=True)]
    assert (head.manifest.read_text(), head.config) == before
    told.append(head.work().bring_about())
    assert told[0] == told[1]
    assert head.done == ["config"], (
        "the memory first: whoever is ended in between has a manifest to be made good"
    )
    assert FLAG in head.runs
    assert list(head.manifest.parent.iterdir()) == [head.manifest], "the kubelet starts what else is there"
    asked = head.seconds
    told += [head.work().bring_about(check_mode=check) for check in (True, False)]
    assert [entry.changed for entry in told] == [True, True, False, False]
    assert head.seconds == asked, "nothing is waited for"


def test_a_run_that_was_ended_before_the_manifest(head: Head) -> None:
    head.work().bring_about()
    config = head.config
    head.manifest.write_text((DATA / f"{MANAGER}.txt").read_text())
    told = head.work().bring_about()
    assert told.changed
    assert FLAG in head.in_manifest
    assert head.config == config
    assert head.done == ["config"]


def test_a_run_that_was_ended_before_the_kubelet_saw_it(head: Head) -> None:
    head.work().bring_about()
    head.runs = [MANAGER]
    head.sees_after = head.seconds + 10
    assert not head.work().bring_about(check_mode=True).changed
    assert not head.work().bring_about().changed
    assert FLAG in head.runs


def test_what_does_not_come_up_gets_its_manifest_back(head: Head) -> None:
    before = head.manifest.read_text()
    head.is_ready = False
    with pytest.raises(ArgumentsError, match=r"not ready.*as it was before.*/var/log/pods/"):
        head.work().bring_about()
    assert head.manifest.read_text() == before
    assert head.seconds == pytest.approx(60)


def test_also_where_the_api_went_away_meanwhile(head: Head) -> None:
    """As where the API server itself cannot start with its new arguments."""
    before = head.manifest.read_text()
    head.silent_from = 2
    with pytest.raises(ArgumentsError, match=r"cannot be asked.*as it was before"):
        head.work().bring_about()
    assert head.manifest.read_text() == before


@pytest.mark.parametrize("verb", ["config", "patch"])
def test_a_memory_that_is_refused_changes_nothing(head: Head, verb: str) -> None:
    before = head.manifest.read_text()
    head.refused[verb] = Ran(1, stderr="Operation cannot be fulfilled: the object has been modified")
    with pytest.raises(ArgumentsError, match=r"nothing was changed: Operation cannot be fulfilled"):
        head.work().bring_about()
    assert head.manifest.read_text() == before


def test_a_cluster_that_kubeadm_did_not_make(head: Head) -> None:
    head.has_config = False
    with pytest.raises(ArgumentsError, match="not made by kubeadm"):
        head.work().bring_about()


def test_a_machine_that_is_no_head(head: Head) -> None:
    head.manifest.unlink()
    with pytest.raises(FileNotFoundError):
        head.work().bring_about()
