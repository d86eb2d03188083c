"""Every state that a machine can be in, on a machine made of a dictionary."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._base.lock import LockFile
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.kubeadm import (
    Action,
    Kubeadm,
    KubeadmError,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.kubeadm_host import CommandResult
from kubeadm_machine import (
    ADMIN,
    APISERVER,
    BOOTSTRAP,
    CERTIFICATE,
    COMPLETE,
    CONFIG,
    ETCD,
    ETCD_LOG,
    INIT_ATTEMPT,
    INIT_MARKER,
    JOIN_ATTEMPT,
    JOIN_MARKER,
    KEY,
    KUBELET,
    FakeHost,
)


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Kubeadm]:
    def make(host: FakeHost, state: str = "init", **more: Any) -> Kubeadm:
        return kubeadm_of(host, LockFile(tmp_path / "kubeadm.lock"), state, **more)

    return make


def kubeadm_of(host: FakeHost, lock: LockFile, state: str, **more: Any) -> Kubeadm:
    name = "head1" if state == "init" else "worker1"
    return Kubeadm(
        host,
        host,
        host,
        lock,
        state=state,
        config=CONFIG,
        node_name=name,
        cri_socket="unix:///run/containerd/containerd.sock",
        **more,
    )


ENDED = '{"node_name": "head1", "action": "run", "ended": 0}'
HALF = [ADMIN, KUBELET, APISERVER, ETCD]
ONCE_WORKED = {**dict.fromkeys(HALF, ""), ETCD_LOG: f"\x00{KEY}\x12"}

CASES: dict[str, tuple[str, Callable[[], FakeHost], Action, list[str]]] = {
    "fresh": ("init", FakeHost, Action.RUN, ["init"]),
    "fresh, with a CA that an administrator put there": (
        "init",
        lambda: FakeHost(["/etc/kubernetes/pki/ca.crt"]),
        Action.RUN,
        ["init"],
    ),
    "works and we know": (
        "init",
        lambda: FakeHost([INIT_MARKER, *HALF], answers=True, knows=COMPLETE),
        Action.NONE,
        [],
    ),
    "works without kube-proxy and we know": (
        "init",
        lambda: FakeHost([INIT_MARKER, *HALF], answers=True, knows=COMPLETE[:2]),
        Action.NONE,
        [],
    ),
    "made by others": (
        "init",
        lambda: FakeHost(HALF, answers=True, knows=COMPLETE[:2]),
        Action.ADOPT,
        [],
    ),
    "killed before we could say that it works": (
        "init",
        lambda: FakeHost([INIT_ATTEMPT, *HALF], answers=True, knows=COMPLETE),
        Action.ADOPT,
        [],
    ),
    "killed while certificates were written": (
        "init",
        lambda: FakeHost([INIT_ATTEMPT, "/etc/kubernetes/pki/ca.key"]),
        Action.RESET_AND_RUN,
        ["reset", "init"],
    ),
    "killed before the API was up": (
        "init",
        lambda: FakeHost([INIT_ATTEMPT, *HALF]),
        Action.RESET_AND_RUN,
        ["reset", "init"],
    ),
    "half made by hand, never worked": (
        "init",
        lambda: FakeHost(HALF),
        Action.RESET_AND_RUN,
        ["reset", "init"],
    ),
    "killed before the administrator had any rights": (
        "init",
        lambda: FakeHost([INIT_ATTEMPT, *HALF], answers=True, forbidden=True),
        Action.RESET_AND_RUN,
        ["reset", "init"],
    ),
    "killed when the API was up": (
        "init",
        lambda: FakeHost([INIT_ATTEMPT, *HALF], answers=True, knows=["node/head1"]),
        Action.RESUME,
        ["init"],
    ),
    "killed before the last phase": (
        "init",
        lambda: FakeHost([INIT_ATTEMPT, *HALF], answers=True, knows=COMPLETE[:2]),
        Action.RESUME,
        ["init"],
    ),
    "kubeadm ended well without kube-proxy, and the node came late": (
        "init",
        lambda: FakeHost({**dict.fromkeys(HALF, ""), INIT_ATTEMPT: ENDED}, answers=True, knows=COMPLETE[:2]),
        Action.ADOPT,
        [],
    ),
    "power lost before the last phase, comes up": (
        "init",
        lambda: FakeHost({**ONCE_WORKED, INIT_ATTEMPT: ""}, comes_up_after=20, knows=COMPLETE),
        Action.ADOPT,
        [],
    ),
    "power lost before the last phase, stays silent": (
        "init",
        lambda: FakeHost({**ONCE_WORKED, INIT_ATTEMPT: ""}),
        Action.RESET_AND_RUN,
        ["reset", "init"],
    ),
    "made by others, booting": (
        "init",
        lambda: FakeHost(ONCE_WORKED, comes_up_after=20, knows=COMPLETE),
        Action.ADOPT,
        [],
    ),
    "works, and the file that says so is empty": (
        "init",
        lambda: FakeHost({**dict.fromkeys(HALF, ""), INIT_MARKER: " "}, answers=True, knows=COMPLETE),
        Action.ADOPT,
        [],
    ),
    "joined, and the file that says so is cut": (
        "join",
        lambda: FakeHost(
            {KUBELET: "", CERTIFICATE: "", JOIN_MARKER: '{"node_name": '},
            answers=True,
            knows=["node/worker1"],
        ),
        Action.ADOPT,
        [],
    ),
    "works, is booting": (
        "init",
        lambda: FakeHost([INIT_MARKER, *HALF], comes_up_after=20, knows=COMPLETE),
        Action.NONE,
        [],
    ),
    "fresh worker": ("join", FakeHost, Action.RUN, ["join"]),
    "joined": (
        "join",
        lambda: FakeHost([JOIN_MARKER, KUBELET, CERTIFICATE], answers=True, knows=["node/worker1"]),
        Action.NONE,
        [],
    ),
    "joined by hand": (
        "join",
        lambda: FakeHost([KUBELET, CERTIFICATE], answers=True, knows=["node/worker1"]),
        Action.ADOPT,
        [],
    ),
    "join killed before the cluster signed": (
        "join",
        lambda: FakeHost(
            [JOIN_ATTEMPT, "/etc/kubernetes/bootstrap-kubelet.conf", "/etc/kubernetes/pki/ca.crt"]
        ),
        Action.RESET_AND_RUN,
        ["reset", "join"],
    ),
    "join killed with only the CA written": (
        "join",
        lambda: FakeHost([JOIN_ATTEMPT, "/etc/kubernetes/pki/ca.crt"]),
        Action.RESET_AND_RUN,
        ["reset", "join"],
    ),
    "join killed while the kubelet registered, comes up": (
        "join",
        lambda: FakeHost([JOIN_ATTEMPT, KUBELET, CERTIFICATE], comes_up_after=10, knows=["node/worker1"]),
        Action.ADOPT,
        [],
    ),
    "join killed after the cluster signed, stays silent": (
        "join",
        lambda: FakeHost([JOIN_ATTEMPT, KUBELET, CERTIFICATE]),
        Action.RESET_AND_RUN,
        ["reset", "join"],
    ),
}


@pytest.mark.parametrize(("state", "host", "action", "commands"), CASES.values(), ids=CASES.keys())
def test_every_state_converges(
    made: Callable[..., Kubeadm],
    state: str,
    host: Callable[[], FakeHost],
    action: Action,
    commands: list[str],
) -> None:
    """Check mode says it, doing it does it, and the second run finds nothing to do."""
    machine = host()
    before = dict(machine.files)
    predicted = made(machine, state).bring_about(check_mode=True)
    assert (predicted.action, predicted.changed) == (action, action is not Action.NONE)
    assert (machine.files, machine.commands) == (before, [])

    machine = host()
    done = made(machine, state).bring_about()
    assert (done.action, done.changed) == (action, action is not Action.NONE)
    assert [command[1] for command in machine.commands] == commands
    marker = INIT_MARKER if state == "init" else JOIN_MARKER
    assert marker in machine.files
    assert not machine.matches("/var/lib/ironbinder/*.begun.json")

    again = made(machine, state).bring_about()
    assert (again.action, again.changed) == (Action.NONE, False)
    assert len(machine.commands) == len(commands)


REFUSALS = {
    "once worked, API down": ("init", FakeHost([INIT_MARKER, *HALF]), "journalctl -u kubelet"),
    "once worked, API up without the node": (
        "init",
        FakeHost([INIT_MARKER, *HALF], answers=True, knows=COMPLETE[1:]),
        "no node named head1",
    ),
    "once worked, API down, and the file that says so names no node": (
        "init",
        FakeHost({**dict.fromkeys(HALF, ""), INIT_MARKER: "[]"}),
        "refused.*kubeadm-init.json names no node.*Nothing was reset",
    ),
    "kubectl is gone": (
        "init",
        FakeHost([INIT_ATTEMPT, *HALF], kubectl=CommandResult(127, "", "kubectl: No such file or directory")),
        "kubectl cannot be run on this machine .*run the stage `nodes` first",
    ),
    "kubectl says what is not JSON": (
        "init",
        FakeHost([INIT_ATTEMPT, *HALF], kubectl=CommandResult(0, "Welcome to head1!", "")),
        "said what is not a list of objects: 'Welcome to head1!'",
    ),
    "kubectl says another JSON": (
        "init",
        FakeHost([INIT_ATTEMPT, *HALF], kubectl=CommandResult(0, '{"items": 3}', "")),
        "said what is not a list of objects",
    ),
    "once worked, disk gone": ("init", FakeHost([INIT_MARKER]), "disk is not mounted"),
    "kubeadm ended well, API down": (
        "init",
        FakeHost({**ONCE_WORKED, INIT_ATTEMPT: ENDED}),
        "ended well on head1, but .*refused.*Nothing was reset",
    ),
    "kubeadm ended well, API up without the node": (
        "init",
        FakeHost({**ONCE_WORKED, INIT_ATTEMPT: ENDED}, answers=True, knows=COMPLETE[1:]),
        "no node named head1",
    ),
    "kubeadm ended well, disk gone": (
        "init",
        FakeHost({INIT_ATTEMPT: ENDED}),
        f"{INIT_ATTEMPT} says .*remove that file",
    ),
    "kubeadm ended well, kubelet down": (
        "join",
        FakeHost({KUBELET: "", CERTIFICATE: "", JOIN_ATTEMPT: ENDED}),
        f"remove {JOIN_ATTEMPT}, and start again. Nothing was reset",
    ),
    "made by others, API down": ("init", FakeHost(ONCE_WORKED), "Nothing was reset"),
    "made by others, other node name": (
        "init",
        FakeHost(HALF, answers=True, knows=["configmap/kubeadm-config"]),
        "Name this host in the inventory",
    ),
    "a worker of ours": ("init", FakeHost([JOIN_MARKER, KUBELET]), "already a worker"),
    "a worker of others": ("init", FakeHost([KUBELET, CERTIFICATE]), "already a worker"),
    "once joined, kubelet down": (
        "join",
        FakeHost([JOIN_MARKER, KUBELET]),
        "systemctl status containerd kubelet",
    ),
    "once joined, node deleted": (
        "join",
        FakeHost([JOIN_MARKER, KUBELET], answers=True),
        "systemctl restart kubelet",
    ),
    "joined by others, silent": ("join", FakeHost([KUBELET, CERTIFICATE]), "Nothing was reset"),
    "a control plane of others": ("join", FakeHost(HALF), "already a control plane"),
    "a control plane of ours": ("join", FakeHost([INIT_MARKER]), "already a control plane"),
}


@pytest.mark.parametrize(("state", "host", "words"), REFUSALS.values(), ids=REFUSALS.keys())
def test_what_worked_is_never_touched(
    made: Callable[..., Kubeadm], state: str, host: FakeHost, words: str
) -> None:
    """No command of kubeadm runs, no file changes, and the message says what to do."""
    before = dict(host.files)
    with pytest.raises(KubeadmError, match=words):
        made(host, state).bring_about()
    assert host.commands == []
    assert host.files == before
    assert host.clock <= 125


@pytest.mark.parametrize("state", ["init", "join"])
def test_what_kubeadm_ended_well_is_never_reset(made: Callable[..., Kubeadm], state: str) -> None:
    """A node that answers later than it may is waited for by each run, and taken when it does."""
    host = FakeHost(kubeadm=CommandResult(0, "", ""))
    with pytest.raises(KubeadmError, match="ended well"):
        made(host, state).bring_about()
    host.files.update(ONCE_WORKED if state == "init" else {KUBELET: "", CERTIFICATE: ""})
    for check_mode in (True, False):
        with pytest.raises(KubeadmError, match="Nothing was reset"):
            made(host, state).bring_about(check_mode)
    assert [command[1] for command in host.commands] == [state]
    host.answers, host.knows = True, [*COMPLETE, "node/worker1"]
    assert made(host, state).bring_about().action is Action.ADOPT
    assert not host.matches("/var/lib/ironbinder/*.begun.json")


def test_arguments(made: Callable[..., Kubeadm]) -> None:
    """Config by file, checks by name, nothing secret printed, only the missing phases on resume."""
    host = FakeHost([INIT_ATTEMPT, *HALF], answers=True, knows=COMPLETE[:2])
    made(host, ignore_preflight_errors=["SystemVerification", "Swap"]).bring_about()
    assert host.commands == [
        [
            *["kubeadm", "init", "--config", CONFIG, "--ignore-preflight-errors", "SystemVerification,Swap"],
            *["--skip-token-print", "--skip-certificate-key-print"],
            *["--skip-phases", "preflight,certs,kubeconfig,etcd,control-plane,kubelet-start"],
        ]
    ]
    host = FakeHost([JOIN_ATTEMPT, KUBELET])
    made(host, "join").bring_about()
    assert host.commands == [
        [
            "kubeadm",
            "reset",
            "--force",
            "--cleanup-tmp-dir",
            "--cri-socket",
            "unix:///run/containerd/containerd.sock",
        ],
        ["kubeadm", "join", "--config", CONFIG],
    ]


def test_the_attempt_is_on_disk_before_kubeadm_runs(made: Callable[..., Kubeadm]) -> None:
    """Otherwise a kill could not be told from somebody else's half-made cluster."""
    host = FakeHost(["/etc/kubernetes/admin.conf"])
    made(host).bring_about()
    assert all(INIT_ATTEMPT in files for files in host.at_kubeadm)
    assert not any(INIT_MARKER in files for files in host.at_kubeadm)


@pytest.mark.parametrize(
    "begun", [[], [JOIN_ATTEMPT, KUBELET, CERTIFICATE, BOOTSTRAP]], ids=["joins", "is adopted"]
)
def test_no_token_is_left_where_a_run_is_stopped_after_the_marker(
    made: Callable[..., Kubeadm], begun: list[str]
) -> None:
    """With the marker no later run looks at the file any more that has the token."""
    host = FakeHost(begun, answers=bool(begun), knows=["node/worker1"] if begun else [])
    at_marker = []
    write = host.write

    def watch(path: str, data: Mapping[str, Any]) -> None:
        at_marker.extend([set(host.files)] if path == JOIN_MARKER else [])
        write(path, data)

    host.write = watch  # type: ignore[method-assign]
    made(host, "join").bring_about()
    [files] = at_marker
    assert not files & {CONFIG, BOOTSTRAP}


def test_seconds_and_found_say_what_was(made: Callable[..., Kubeadm]) -> None:
    """Phases by name; what was found is what was there before."""
    host = FakeHost(HALF)
    result = made(host).bring_about()
    assert result.seconds["reset"] == 2.0
    assert result.seconds["preflight"] == 1.0
    assert result.seconds["certs"] == 7.4
    assert result.seconds["total"] > 0
    assert result.found.leftovers == (ADMIN, KUBELET, APISERVER, ETCD)
    assert not result.found.answers


def test_failure_carries_kubeadms_words_and_can_be_tried_again(made: Callable[..., Kubeadm]) -> None:
    """The attempt stays on disk, so that the next run clears away what this one left."""
    said = (
        (0.1, "[preflight] Running"),
        (0.2, "\t[ERROR Swap]: running with swap on, token abcdef.0123456789abcdef"),
    )
    host = FakeHost(kubeadm=CommandResult(1, "", "", lines=said, seconds=3.0))
    with pytest.raises(KubeadmError) as caught:
        made(host).bring_about()
    assert caught.value.lines == ["[ERROR Swap]: running with swap on, token [token]"]
    assert "`kubeadm init` failed on head1 with 1 after 3 s" in str(caught.value)
    assert INIT_ATTEMPT in host.files
    assert INIT_MARKER not in host.files


def test_missing_kubeadm_and_missing_config(made: Callable[..., Kubeadm]) -> None:
    """Each says which step was left out."""
    host = FakeHost(kubeadm=CommandResult(127, "", "kubeadm: No such file or directory"))
    with pytest.raises(KubeadmError, match="run the stage `nodes` first"):
        made(host).bring_about()
    host = FakeHost()
    del host.files[CONFIG]
    with pytest.raises(KubeadmError, match="has to be written before kubeadm can init"):
        made(host).bring_about()
    assert host.commands == []


def test_kubeadm_that_ends_well_without_a_cluster_is_not_believed(made: Callable[..., Kubeadm]) -> None:
    """Success is what answers, not what exits with 0."""
    host = FakeHost(kubeadm=CommandResult(0, "", "", seconds=1.0))
    with pytest.raises(KubeadmError, match="ended well on head1, but after 120 s more"):
        made(host).bring_about()
    assert INIT_MARKER not in host.files


def test_another_kubeadm_is_waited_for_and_the_machine_judged_after_it(tmp_path: Path) -> None:
    """What the first one made while it was waited for is there: nothing is reset."""
    first = LockFile(tmp_path / "kubeadm.lock")
    assert first.try_take()

    class Finishing(FakeHost):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if self.clock >= 40:
                self.files.update(dict.fromkeys(HALF, ""))
                self.answers, self.knows = True, list(COMPLETE)
                first.release()

    host = Finishing([INIT_ATTEMPT, ADMIN])
    done = kubeadm_of(host, LockFile(first.path), "init").bring_about()
    assert (done.action, host.commands) == (Action.ADOPT, [])
    assert 40 <= host.clock < 50


@pytest.mark.parametrize("check_mode", [False, True])
def test_another_kubeadm_that_does_not_end_is_named(tmp_path: Path, check_mode: bool) -> None:
    """After timeout_seconds, with its number and what to do, and with nothing asked or changed."""
    first = LockFile(tmp_path / "kubeadm.lock")
    assert first.try_take()
    first.tell(1, "kubeadm init")
    host = FakeHost([INIT_ATTEMPT, *HALF])
    before = dict(host.files)
    with pytest.raises(KubeadmError, match=r"process 1 \(`kubeadm init`\).*waited 90 s for it.*`kill 1`"):
        kubeadm_of(host, LockFile(first.path), "init", timeout_seconds=90).bring_about(check_mode)
    assert (host.commands, host.files) == ([], before)
    assert 90 <= host.clock < 95
    # A child of the one that took it has it still.
    first.tell(2**22 + 1, "kubeadm init")
    with pytest.raises(KubeadmError, match=r"which is gone.*`fuser -v .*kubeadm.lock`"):
        kubeadm_of(host, LockFile(first.path), "init", timeout_seconds=1).bring_about(check_mode)


def test_files_that_cannot_be_used_are_an_error_with_a_remedy(tmp_path: Path) -> None:
    """A full disk, a read-only one, a folder in the place of a file: no traceback."""

    class Full(FakeHost):
        def write(self, path: str, data: Mapping[str, Any]) -> None:
            raise OSError(28, "No space left on device", path)

    with pytest.raises(
        KubeadmError, match=r"kubeadm-init.begun.json on head1: No space left on device.*root"
    ):
        kubeadm_of(Full(), LockFile(tmp_path / "kubeadm.lock"), "init").bring_about()
    (tmp_path / "folder.lock").mkdir()
    with pytest.raises(KubeadmError, match=r"folder.lock on head1: Is a directory"):
        kubeadm_of(FakeHost(), LockFile(tmp_path / "folder.lock"), "init").bring_about()


def test_a_check_makes_no_lock(tmp_path: Path) -> None:
    """A machine that was only looked at has nothing new on it."""
    kubeadm_of(FakeHost(), LockFile(tmp_path / "new" / "kubeadm.lock"), "init").bring_about(check_mode=True)
    assert list(tmp_path.iterdir()) == []
