# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A machine leaves its cluster: what is reset, what is refused, and that a kill in between is made good by the next run."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import Ran
from ansible_collections.ironbinder.platform.plugins.module_utils._base.lock import LockFile
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.kernel_remains import KernelRemains
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.kubeadm import Action, KubeadmError
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.kubeadm_absent import Departure
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.kubeadm_host import CommandResult
from certificate_files import kubelet_certificate
from kubeadm_machine import (
    ADMIN,
    APISERVER,
    CERTIFICATE,
    COMPLETE,
    ETCD,
    INIT_ATTEMPT,
    INIT_MARKER,
    JOIN_ATTEMPT,
    JOIN_MARKER,
    KUBELET,
    FakeHost,
)

UPGRADED = "/var/lib/ironbinder/kubeadm-upgrade.json"
WORKER = [JOIN_MARKER, KUBELET, CERTIFICATE, "/var/lib/kubelet/config.yaml", UPGRADED]
HEAD = [INIT_MARKER, ADMIN, KUBELET, APISERVER, ETCD, CERTIFICATE, UPGRADED]


class Rules:
    """A kernel with chains of kube-proxy until they are removed."""

    def __init__(self, chains: Sequence[str] = ()) -> None:
        self.chains = list(chains)

    def __call__(self, argv: Sequence[str], text: str) -> Ran:
        if argv[0] == "iptables-save":
            lines = ["*nat", ":INPUT ACCEPT [0:0]", *(f":{name} - [0:0]" for name in self.chains), "COMMIT"]
            return Ran(0, "\n".join(lines))
        if argv[0] == "iptables-restore":
            self.chains = [name for name in self.chains if f"-X {name}" not in text.splitlines()]
            return Ran(0)
        return Ran(127)


@pytest.fixture
def leaving(tmp_path: Path) -> Callable[..., Departure]:
    def make(
        host: FakeHost,
        rules: Rules | None = None,
        name: str = "worker1",
        goes: bool = False,
        node_goes: bool = False,
    ) -> Departure:
        return Departure(
            host,
            host,
            host,
            LockFile(tmp_path / "lock"),
            remains=KernelRemains(rules or Rules()),
            cluster_goes=goes,
            node_goes=node_goes,
            state="absent",
            config="",
            node_name=name,
            cri_socket="unix:///run/containerd/containerd.sock",
        )

    return make


def test_a_worker_that_was_deleted_is_reset(leaving: Callable[..., Departure]) -> None:
    """Check, do, check, do."""
    host, rules = FakeHost(WORKER, answers=True), Rules(["KUBE-SERVICES", "CNI-DN-1", "DOCKER"])
    before = dict(host.files)
    checked = leaving(host, rules).bring_about(check_mode=True)
    assert (checked.changed, checked.action, host.files, host.commands) == (True, Action.RESET, before, [])
    done = leaving(host, rules).bring_about()
    assert (done.changed, done.action) == (True, Action.RESET)
    assert [command[:3] for command in host.commands] == [["kubeadm", "reset", "--force"]]
    assert done.removed == checked.removed == ["iptables nat KUBE-SERVICES", "iptables nat CNI-DN-1"]
    assert rules.chains == ["DOCKER"]
    assert not host.matches("/var/lib/ironbinder/kubeadm-*") and not host.matches("/etc/kubernetes/*")
    for check in (True, False):
        again = leaving(host, rules).bring_about(check_mode=check)
        assert (again.changed, again.action) == (False, Action.NONE)
    assert len(host.commands) == 1


def test_a_worker_that_its_cluster_has_is_refused(leaving: Callable[..., Departure]) -> None:
    host = FakeHost(WORKER, answers=True, knows=["node/worker1"])
    for check in (True, False):
        with pytest.raises(
            KubeadmError, match=r"still has the node worker1.*remove_node.*Nothing was changed"
        ):
            leaving(host).bring_about(check_mode=check)
    assert host.commands == []
    assert leaving(host, goes=True).bring_about().action is Action.RESET


def test_a_check_takes_a_node_that_goes_as_gone(leaving: Callable[..., Departure]) -> None:
    """It deletes none. A run asks the cluster all the same."""
    host = FakeHost(WORKER, answers=True, knows=["node/worker1"])
    checked = leaving(host, node_goes=True).bring_about(check_mode=True)
    assert (checked.changed, checked.action, host.commands) == (True, Action.RESET, [])
    with pytest.raises(KubeadmError, match="still has the node worker1"):
        leaving(host, node_goes=True).bring_about()
    with pytest.raises(KubeadmError, match="head1 has a control plane"):
        leaving(FakeHost(HEAD), name="head1", node_goes=True).bring_about(check_mode=True)
    assert host.commands == []


@pytest.mark.parametrize(
    "files", [HEAD, [INIT_MARKER], [APISERVER], [ETCD]], ids=["whole", "marker", "pods", "data"]
)
def test_a_control_plane_is_refused(leaving: Callable[..., Departure], files: list[str]) -> None:
    """Also where nothing of it answers."""
    host = FakeHost(files)
    with pytest.raises(KubeadmError, match=r"head1 has a control plane .*what=cluster"):
        leaving(host, name="head1").bring_about()
    assert host.commands == []


@pytest.mark.parametrize("copied", [ADMIN, "/etc/kubernetes/super-admin.conf"])
def test_a_copied_kubeconfig_makes_no_control_plane(leaving: Callable[..., Departure], copied: str) -> None:
    """Administrators put one on a worker to use kubectl there."""
    host = FakeHost([*WORKER, copied], answers=True, knows=COMPLETE)
    assert leaving(host).bring_about().action is Action.RESET
    assert copied not in host.files


@pytest.mark.parametrize("goes", [False, True])
@pytest.mark.parametrize(
    "files",
    [
        {JOIN_MARKER: '{"node_name": "worker3", "action": "run"}', KUBELET: ""},
        {JOIN_ATTEMPT: '{"node_name": "worker3", "action": "run"}'},
        {KUBELET: "", CERTIFICATE: kubelet_certificate("worker3")},
        {JOIN_MARKER: "half a mark", KUBELET: "", CERTIFICATE: kubelet_certificate("worker3")},
        {JOIN_MARKER: '{"node_name": "worker2"}', KUBELET: "", CERTIFICATE: kubelet_certificate("worker3")},
    ],
    ids=["mark", "begun", "others made it", "mark broken", "certificate"],
)
def test_another_nodes_machine_is_left_alone(
    leaving: Callable[..., Departure], files: dict[str, str], goes: bool
) -> None:
    """An address was copied in hosts.yml, or two were exchanged. Its own node lives, and is not asked for."""
    host = FakeHost(files, answers=True, knows=["node/worker3"])
    before = dict(host.files)
    for check in (True, False):
        with pytest.raises(KubeadmError) as refused:
            leaving(host, Rules(["KUBE-SERVICES"]), name="worker2", goes=goes).bring_about(check_mode=check)
        told = str(refused.value)
        assert "is worker3 of its cluster (" in told
        assert "correct ansible_host of worker2 in hosts.yml" in told
    assert (host.commands, host.files) == ([], before)


def test_a_machine_that_leads_to_a_head_is_left_alone(leaving: Callable[..., Departure]) -> None:
    with pytest.raises(KubeadmError, match=r"is head1 of its cluster \(.*kubeadm-init.json says so\)"):
        leaving(FakeHost(HEAD, answers=True, knows=COMPLETE), name="worker2").bring_about()


@pytest.mark.parametrize(
    "files",
    [
        {JOIN_MARKER: '{"node_name": "Worker1"}', KUBELET: "", CERTIFICATE: kubelet_certificate("worker1")},
        {JOIN_MARKER: "[]", KUBELET: "", CERTIFICATE: "no certificate"},
        {JOIN_MARKER: '{"node_name": 5}', KUBELET: "", CERTIFICATE: ""},
    ],
    ids=["itself", "broken", "odd"],
)
def test_a_machine_that_is_itself_or_cannot_tell_is_reset(
    leaving: Callable[..., Departure], files: dict[str, str]
) -> None:
    assert leaving(FakeHost(files, answers=True)).bring_about().action is Action.RESET


def test_a_control_plane_goes_with_its_cluster(leaving: Callable[..., Departure]) -> None:
    host = FakeHost(HEAD, answers=True, knows=COMPLETE)
    assert leaving(host, name="head1", goes=True).bring_about().action is Action.RESET
    assert [name for name in host.files if "kube" in name and "kubeadm.yaml" not in name] == []


def test_data_that_kubeadm_does_not_know_of_go_too(leaving: Callable[..., Departure]) -> None:
    """Its reset looks for etcd's manifest, which an earlier one may have removed."""

    class Forgetful(FakeHost):
        def run(self, argv: Sequence[str], timeout_seconds: float, lock: Any = None) -> CommandResult:
            if argv[0] == "rm":
                self.files.pop(argv[-1])
                return CommandResult(0, "", "")
            kept = self.files.get(ETCD)
            ran = super().run(argv, timeout_seconds, lock)
            if kept is not None and argv[:2] == ["kubeadm", "reset"]:
                self.files[ETCD] = kept
            return ran

    host = Forgetful([INIT_MARKER, KUBELET, ETCD])
    assert leaving(host, name="head1", goes=True).bring_about().changed
    assert not host.matches(ETCD)


@pytest.mark.parametrize(
    ("files", "chains"),
    [
        ([JOIN_MARKER], []),
        ([JOIN_ATTEMPT], []),
        ([UPGRADED], []),
        ([], ["KUBE-MARK-MASQ"]),
        ([JOIN_MARKER], ["KUBE-MARK-MASQ"]),
    ],
)
def test_a_killed_run_is_made_good(
    leaving: Callable[..., Departure], files: list[str], chains: list[str]
) -> None:
    """Nothing of kubeadm is left, so it need not be installed any more."""
    host, rules = FakeHost(files), Rules(chains)
    assert leaving(host, rules).bring_about().changed
    assert (host.commands, rules.chains) == ([], [])
    assert not leaving(host, rules).bring_about().changed


def test_a_reset_that_fails_says_so(leaving: Callable[..., Departure]) -> None:
    class Refusing(FakeHost):
        def _kubeadm(self, argv: list[str]) -> CommandResult:
            self.commands.append(argv)
            return CommandResult(1, "", "error: device busy\n")

    host = Refusing(WORKER)
    with pytest.raises(KubeadmError, match=r"`kubeadm reset` failed"):
        leaving(host).bring_about()
    assert JOIN_MARKER in host.files, "so that the next run of the site knows that this was a node"


def test_a_reset_that_leaves_files_is_no_success(leaving: Callable[..., Departure]) -> None:
    class Idle(FakeHost):
        def _kubeadm(self, argv: list[str]) -> CommandResult:
            return CommandResult(0, "", "")

    host = Idle(WORKER)
    with pytest.raises(KubeadmError, match=r"left /etc/kubernetes/kubelet.conf"):
        leaving(host).bring_about()
    assert JOIN_MARKER in host.files


def test_a_half_made_head_needs_its_cluster_to_go(leaving: Callable[..., Departure]) -> None:
    host = FakeHost([INIT_ATTEMPT, ADMIN])
    with pytest.raises(KubeadmError, match="control plane"):
        leaving(host, name="head1").bring_about()
    assert leaving(host, name="head1", goes=True).bring_about().changed
    assert INIT_ATTEMPT not in json.dumps(list(host.files))
