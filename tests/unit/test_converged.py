# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The definition of a site that has converged: each thing that it forbids is found, and nothing else."""

from __future__ import annotations

import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "infra"))

import converged

WELL: dict[str, Any] = {"half_written": [], "begun": [], "dpkg": [], "journal": [], "cluster": None}
CLUSTER: dict[str, Any] = {
    "nodes": {"head1": True, "worker1": True},
    "releases": {"binder/binder": (3, "deployed")},
    "tokens": [],
    "members": ["head1"],
    "error": "",
}


def site(**cluster: Any) -> dict[str, dict[str, Any]]:
    machines = {"head1": {**WELL, "cluster": {**CLUSTER, **cluster}}, "worker1": WELL, "proxy1": WELL}
    return {name: deepcopy(machine) for name, machine in machines.items()}


def judged(told: dict[str, dict[str, Any]]) -> list[str]:
    return converged.faults(told, ["head1"], ["worker1"])


def test_a_site_that_has_converged() -> None:
    assert judged(site()) == []


@pytest.mark.parametrize(
    ("cluster", "fault"),
    [
        (
            {"members": ["head1", "old"]},
            "head1: etcd's members are ['head1', 'old'], and the heads ['head1']",
        ),
        ({"members": []}, "head1: etcd's members are [], and the heads ['head1']"),
        ({"nodes": {**CLUSTER["nodes"], "worker9": True}}, "head1: stray node worker9"),
        ({"nodes": {"head1": True}}, "head1: no node worker1"),
        ({"nodes": {"head1": True, "worker1": False}}, "head1: node worker1 is not ready, or takes no pods"),
        ({"tokens": ["bootstrap-token-abcdef"]}, "head1: stray token bootstrap-token-abcdef"),
        ({"error": "connection refused"}, "head1: its cluster says connection refused"),
        *[
            (
                {"releases": {"binder/binder": (4, status)}},
                f"head1: Helm release binder/binder is {status} in revision 4",
            )
            for status in converged.IN_MOTION
        ],
    ],
)
def test_what_a_cluster_may_not_have(cluster: dict[str, Any], fault: str) -> None:
    assert judged(site(**cluster)) == [fault]


def test_a_head_without_a_cluster() -> None:
    told = site()
    told["head1"]["cluster"] = None
    assert judged(told) == ["head1: has no cluster"]
    del told["head1"]
    assert judged(told) == ["head1: has no cluster"]


@pytest.mark.parametrize(
    ("part", "seen", "fault"),
    [
        ("half_written", ["/etc/.x.ab012_yz"], "worker1: half written: /etc/.x.ab012_yz"),
        ("begun", ["/var/lib/ironbinder/kubeadm-join.yaml"], "worker1: begun and not ended: "),
        ("dpkg", ["The following packages are only half configured"], "worker1: dpkg says: The following"),
        ("journal", ["0000", "0001"], "worker1: dpkg was interrupted: 2 files in its journal"),
    ],
)
def test_what_a_machine_may_not_have(part: str, seen: list[str], fault: str) -> None:
    told = site()
    told["worker1"][part] = seen
    [found] = judged(told)
    assert found.startswith(fault)


def test_files_that_somebody_was_writing(tmp_path: Path) -> None:
    whole = ["conf", ".hidden", ".bash_logout", ".a.b", "x.dpkg-old", ".x.toolong12", "x.abcdefgh"]
    half = [
        ".conf.ab_d0f1z",
        ".kubeadm-join.json.01234567",
        ".ansible_tmpab12conf",
        "x.conf.dpkg-new",
        "x.dpkg-tmp",
    ]
    (tmp_path / "below").mkdir()
    for name in whole + half:
        (tmp_path / "below" / name).touch()
    assert converged.half_written([str(tmp_path)]) == sorted(str(tmp_path / "below" / name) for name in half)


def test_the_newest_revision_is_what_a_release_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that a rollback replaced stays in the history as it was left."""

    def items(*what: str) -> list[dict[str, Any]]:
        if what[0] == "nodes" or "-nkube-system" in what:
            return []
        states = {"2": "deployed", "10": "deployed", "9": "pending-upgrade", "1": "superseded"}
        return [
            {
                "metadata": {
                    "namespace": "binder",
                    "labels": {"name": "binder", "version": version, "status": status},
                }
            }
            for version, status in states.items()
        ]

    monkeypatch.setattr(converged, "items", items)
    monkeypatch.setattr(converged, "members", lambda: ["head1"])
    assert converged.cluster()["releases"] == {"binder/binder": (10, "deployed")}


def test_a_cluster_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(converged, "run", lambda *_command: "The connection was refused\n - did you specify?")
    assert "did you specify?" in converged.cluster()["error"]
