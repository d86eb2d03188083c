# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""kubeadm upgrade from every state that it can be left in, on a machine made of a dictionary."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._base.lock import LockFile
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.kubeadm_host import (
    CommandResult,
    KubeadmError,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.kubeadm_upgrade import (
    KubeadmUpgrade,
)
from hand_clock import HandClock

OLD, NEW = "1.35.4", "1.36.3"
PARTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
MARKER = "/var/lib/ironbinder/kubeadm-upgrade.json"
PATCHES = "/var/lib/ironbinder/kubeadm-patches"


class Machine:
    """A head, or a worker, and what kubeadm makes of it."""

    def __init__(self, **versions: str) -> None:
        self.versions = {**dict.fromkeys((*PARTS, "kubeadm-config", "kube-proxy"), OLD), **versions}
        self.kubeadm = NEW
        self.files: dict[str, str] = {PATCHES: ""}
        self.upgrade: Callable[[], CommandResult] = self.work
        self.silent_looks = 0
        self.commands: list[list[str]] = []
        self.is_head = True
        self.proxy = {"daemonset/kube-proxy", "configmap/kube-proxy"}

    def work(self) -> CommandResult:
        self.versions = dict.fromkeys(self.versions, NEW)
        return CommandResult(
            0, "", "", [(0.0, "[upgrade/preflight] Running"), (3.0, "[addons] Applied")], 4.0
        )

    def run(self, argv: Sequence[str], timeout_seconds: float, lock: LockFile | None = None) -> CommandResult:
        if argv[:2] == ["kubeadm", "version"]:
            return (
                CommandResult(0, f"v{self.kubeadm}\n", "")
                if self.kubeadm
                else CommandResult(127, "", "kubeadm: No such file")
            )
        if argv[0] == "kubeadm":
            assert lock is not None and lock.handles()
            self.commands.append(list(argv))
            return self.upgrade()
        if self.silent_looks:
            self.silent_looks -= 1
            return CommandResult(1, "", "The connection to the server was refused\n")
        if "configmap/kubeadm-config" in argv:
            text = f"clusterName: lab\nkubernetesVersion: v{self.versions['kubeadm-config']}\n"
            return CommandResult(0, json.dumps({"data": {"ClusterConfiguration": text}}), "")
        [name] = {"daemonset/kube-proxy", "configmap/kube-proxy"} & set(argv)
        if name not in self.proxy:
            return CommandResult(
                *((0, "", "") if "--ignore-not-found" in argv else (1, "", "Error from server (NotFound)"))
            )
        image = f"mirror.example:5000/registry.k8s.io/kube-proxy:v{self.versions['kube-proxy']}@sha256:0"
        spec = {"template": {"spec": {"containers": [{"image": image}]}}}
        return CommandResult(0, json.dumps({"spec": spec}), "")

    def matches(self, pattern: str) -> list[str]:
        return [pattern] if pattern in self.files else []

    def contains(self, pattern: str, needle: bytes) -> bool:
        raise AssertionError("nothing is searched")

    def read(self, path: str) -> str | None:
        name = Path(path).stem
        if self.is_head and name in PARTS:
            return f"spec:\n  containers:\n  - image: registry.k8s.io/{name}:v{self.versions[name]}\n"
        return self.files.get(path)

    def write(self, path: str, data: Mapping[str, Any]) -> None:
        self.files[path] = json.dumps(data)

    def remove(self, path: str) -> None:
        self.files.pop(path, None)


@pytest.fixture
def work(tmp_path: Path) -> Callable[..., KubeadmUpgrade]:
    def make(machine: Machine, state: str = "apply", **more: Any) -> KubeadmUpgrade:
        lock = LockFile(tmp_path / "lock")
        return KubeadmUpgrade(
            machine, HandClock(), lock, state=state, version=NEW, patches_dir=PATCHES, **more
        )

    return make


@pytest.mark.parametrize(
    "left",
    [
        (*PARTS, "kubeadm-config", "kube-proxy"),
        ("kubeadm-config", "kube-proxy"),
        ("kube-proxy",),
        ("kube-scheduler",),
    ],
)
def test_an_upgrade_goes_on_where_it_was_left(
    work: Callable[..., KubeadmUpgrade], left: Sequence[str]
) -> None:
    machine = Machine(**{name: NEW for name in (*PARTS, "kubeadm-config", "kube-proxy") if name not in left})
    told = work(machine).bring_about(check_mode=True)
    assert told.changed and dict(told.before) == dict.fromkeys(left, OLD) and machine.commands == []
    done = work(machine).bring_about()
    assert done.changed and dict(done.before) == dict.fromkeys(left, OLD)
    assert machine.commands == [["kubeadm", "upgrade", "apply", f"v{NEW}", "--yes", "--patches", PATCHES]]
    again = work(machine).bring_about()
    assert not again.changed and len(machine.commands) == 1


def test_words_and_seconds(work: Callable[..., KubeadmUpgrade]) -> None:
    machine = Machine()
    machine.files.pop(PATCHES)
    done = work(machine, ignore_preflight_errors=["SystemVerification", "Swap"]).bring_about()
    assert machine.commands[0][5:] == ["--ignore-preflight-errors", "SystemVerification,Swap"]
    assert done.seconds == {"upgrade/preflight": 3.0, "addons": 1.0}


def test_a_control_plane_that_is_slow_to_answer_is_waited_for(work: Callable[..., KubeadmUpgrade]) -> None:
    machine = Machine()

    def slow() -> CommandResult:
        machine.silent_looks = 5
        return machine.work()

    machine.upgrade = slow
    assert work(machine).bring_about().changed
    machine = Machine()

    def gone() -> CommandResult:
        machine.silent_looks = 10_000
        return machine.work()

    machine.upgrade = gone
    with pytest.raises(KubeadmError, match=r"ended well, but 180 s later the API is .* refused"):
        work(machine).bring_about()


def test_kubeadm_that_ends_well_and_did_nothing_is_not_believed(work: Callable[..., KubeadmUpgrade]) -> None:
    machine = Machine()
    machine.upgrade = lambda: CommandResult(0, "", "")
    with pytest.raises(KubeadmError, match=r"kube-apiserver is 1\.35\.4"):
        work(machine).bring_about()


def test_a_failure_carries_kubeadms_words(work: Callable[..., KubeadmUpgrade]) -> None:
    machine = Machine()
    machine.upgrade = lambda: CommandResult(
        1, "", "[upgrade] fine\nerror: static pod hash did not change\n", (), 9.0
    )
    with pytest.raises(KubeadmError, match="`kubeadm upgrade apply` failed with 1 after 9 s") as error:
        work(machine).bring_about()
    assert error.value.lines == ["error: static pod hash did not change"]


@pytest.mark.parametrize(("kubeadm", "words"), [(OLD, "kubeadm here is 1.35.4"), ("", "No such file")])
def test_another_kubeadm_is_refused_before_it_runs(
    work: Callable[..., KubeadmUpgrade], kubeadm: str, words: str
) -> None:
    machine = Machine()
    machine.kubeadm = kubeadm
    with pytest.raises(KubeadmError, match=words):
        work(machine).bring_about()
    assert machine.commands == []


def test_a_cluster_that_does_not_answer_is_not_upgraded(work: Callable[..., KubeadmUpgrade]) -> None:
    machine = Machine()
    machine.silent_looks = 1
    with pytest.raises(KubeadmError, match="could not be asked for configmap/kubeadm-config: The connection"):
        work(machine).bring_about()
    machine.is_head = False
    with pytest.raises(KubeadmError, match="no control plane that kubeadm made"):
        work(machine).bring_about()


def test_a_cluster_without_kube_proxy(work: Callable[..., KubeadmUpgrade]) -> None:
    """Another program does its work. kubeadm leaves it out only where its settings are gone too."""
    machine = Machine()
    machine.proxy = {"configmap/kube-proxy"}
    for check_mode in (True, False):
        with pytest.raises(
            KubeadmError, match=r"kubeadm would bring it back: .* delete configmap kube-proxy"
        ):
            work(machine).bring_about(check_mode)
    assert machine.commands == []
    machine.proxy = set()
    assert set(work(machine).bring_about().before) == {*PARTS, "kubeadm-config"}
    assert not work(machine).bring_about().changed
    assert len(machine.commands) == 1


def test_a_nodes_own_part(work: Callable[..., KubeadmUpgrade]) -> None:
    """It leaves nothing to be asked of, so a file says for which version it was done."""
    machine = Machine()
    machine.is_head = False
    for marker in ("", "{", '["1.36.3"]', json.dumps({"version": OLD})):
        if marker:
            machine.files[MARKER] = marker
        assert work(machine, "node").bring_about().changed
        assert not work(machine, "node").bring_about().changed
    assert machine.commands == [["kubeadm", "upgrade", "node", "--patches", PATCHES]] * 4
    assert json.loads(machine.files[MARKER]) == {"version": NEW, "state": "node"}


def test_a_killed_one_is_not_taken_for_done(work: Callable[..., KubeadmUpgrade]) -> None:
    machine = Machine()
    machine.is_head = False
    machine.upgrade = lambda: CommandResult(137, "", "")
    with pytest.raises(KubeadmError):
        work(machine, "node").bring_about()
    assert MARKER not in machine.files


def test_one_kubeadm_at_a_time(work: Callable[..., KubeadmUpgrade], tmp_path: Path) -> None:
    other = LockFile(tmp_path / "lock")
    assert other.try_take()
    with pytest.raises(KubeadmError, match="another kubeadm works on this machine"):
        work(Machine(), timeout_seconds=5).bring_about()
    other.release()
