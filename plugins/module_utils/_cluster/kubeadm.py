# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Bring a machine into a cluster with kubeadm, from whatever state it is in.

The rules, in one place (`decide`): what works is left alone; what never worked is cleared away and
begun again; what once worked and is silent is waited for, and never reset. And a machine is judged
only while no other kubeadm works on it: one that outlived the run that began it is waited for first.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.lock import LockBusy, LockFile, held
from ansible_collections.ironbinder.platform.plugins.module_utils._base.waiting import wait_until
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.kubeadm_host import (
    CommandResult,
    Host,
    KubeadmError,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.kubeadm_output import (
    error_lines,
    phase_seconds,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.kubeadm_probe import (
    BOOTSTRAP_FILE,
    Asks,
    Found,
    attempt_file,
    marker_file,
    probe,
)

__all__ = ["LOCK_FILE", "RESET_SECONDS", "Action", "Kubeadm", "KubeadmError", "KubeadmResult", "decide"]

# Outside of what `kubeadm reset` empties.
LOCK_FILE = "/var/lib/ironbinder/kubeadm.lock"

# What init has behind it when the API answers. The rest only adds what is missing.
_PHASES_BEFORE_API = ("preflight", "certs", "kubeconfig", "etcd", "control-plane", "kubelet-start")
RESET_SECONDS = 180
_WAIT_STEP_SECONDS = 2


class Action(Enum):
    """What a machine needs."""

    NONE = "none"  # it works
    ADOPT = "adopt"  # it works, made by others or by a run killed in its last moment: say so
    RUN = "run"  # nothing is there
    RESUME = "resume"  # the API answers, later phases are missing
    RESET_AND_RUN = "reset_and_run"  # half made, never worked
    WAIT = "wait"  # it has worked and is silent
    REFUSE = "refuse"  # it has another role in a cluster
    RESET = "reset"  # it is to leave its cluster, see `kubeadm_absent`


@dataclass(frozen=True)
class KubeadmResult:
    """What was done, why, and how long each phase took."""

    changed: bool
    action: Action
    found: Found
    seconds: Mapping[str, float] = field(default_factory=dict)
    removed: Sequence[str] = ()  # what was left of the cluster in the kernel


def decide(state: str, found: Found, waited: bool = False) -> Action:
    """Say what a machine needs.

    Args:
        state: `init` or `join`.
        found: what `probe` says.
        waited: it was given its time to come up by itself.

    Returns:
        The action. After waiting, WAIT means that it will not come and must not be reset.
    """
    if found.other_role:
        return Action.REFUSE
    # What kubeadm finished is waited for, whether we saw it answer or not: there may be data in it.
    if (found.marker or found.attempt_ended) and not found.done:
        return Action.WAIT
    if found.done and (found.marker or found.attempt_ended or found.finished or not found.attempt):
        # Where the marker cannot be read, it is written again: the cluster says what it should have said.
        return Action.NONE if found.marker and not found.marker_problem else Action.ADOPT
    if state == "init" and found.answers:
        # Somebody's cluster, complete but for a node of this name, is not ours to add phases to.
        return Action.REFUSE if found.configured and not found.attempt else Action.RESUME
    if found.leftovers and found.once_worked and not (found.attempt and waited):
        return Action.WAIT
    return Action.RESET_AND_RUN if found.leftovers else Action.RUN


def _remedy(state: str, found: Found) -> str:
    """Tell a person where to look when something that worked is down."""
    ours = attempt_file(state) if found.attempt_ended and not found.marker else marker_file(state)
    if not found.leftovers:
        return (
            f"Nothing of kubeadm is left on this machine although {ours} says that it ended well: "
            f"`kubeadm reset` was run by hand, or a disk is not mounted. If the node is to be made anew, remove that file."
        )
    if state == "init":
        return (
            "Look at `journalctl -u kubelet -n 50`, `systemctl status containerd`, `ctr -n k8s.io tasks ls`, the logs in "
            "/var/log/pods/kube-system_kube-apiserver-* and kube-system_etcd-*, `df -h /var/lib/etcd` and "
            "`kubeadm certs check-expiration`. Nothing was reset: the cluster's data are there."
        )
    return (
        "Look at `journalctl -u kubelet -n 50` and `systemctl status containerd kubelet`. If the node object was deleted, "
        "`systemctl restart kubelet` registers it again. If the cluster was made anew, this machine still belongs to the old "
        f"one: run `kubeadm reset` on it, remove {ours}, and start again. Nothing was reset."
    )


class Kubeadm:
    """Drives kubeadm on one machine."""

    def __init__(
        self,
        host: Host,
        asks: Asks,
        clock: Clock,
        lock: LockFile,
        *,
        state: str,
        config: str,
        node_name: str,
        cri_socket: str,
        ignore_preflight_errors: Sequence[str] = (),
        timeout_seconds: float = 600,
        recovery_seconds: float = 120,
    ) -> None:
        """Take the machine, and what to bring about; see the module `kubeadm` for each value."""
        self.host = host
        self.asks = asks
        self.clock = clock
        self.lock = lock
        self.state = state
        self.config = config
        self.node_name = node_name
        self.cri_socket = cri_socket
        self.ignored = tuple(ignore_preflight_errors)
        self.timeout_seconds = timeout_seconds
        self.recovery_seconds = recovery_seconds

    def bring_about(self, check_mode: bool = False) -> KubeadmResult:
        """Do what the machine needs, or only say it.

        Raises:
            KubeadmError: kubeadm failed; another one does not end; what once worked stays silent; the machine has
                another role; a file cannot be read or written.
        """
        started = self.clock.now()
        try:
            # A check makes no file; but where one is, it waits too: a machine half made is not to be judged.
            with held(
                self.lock,
                f"a run that looks at {self.node_name}",
                clock=self.clock,
                timeout_seconds=self.timeout_seconds,
                create=not check_mode,
            ):
                return self._bring_about(check_mode, started)
        except LockBusy as busy:
            raise KubeadmError(self._busy(busy)) from busy
        except OSError as error:
            raise KubeadmError(
                f"{error.filename or 'a file'} on {self.node_name}: {error.strerror or error}. "
                "This needs root (become: true), a disk with room and one that can be written."
            ) from error

    def _bring_about(self, check_mode: bool, started: float) -> KubeadmResult:
        """Judge and act, undisturbed by another kubeadm."""
        found = self._probe()
        action = decide(self.state, found)
        if action is Action.WAIT:
            found = self._wait()
            action = decide(self.state, found, waited=True)
        first = found
        self._refuse(action, found)
        if check_mode or action is Action.NONE:
            return KubeadmResult(changed=action is not Action.NONE, action=action, found=found)
        seconds: dict[str, float] = {}
        if action is not Action.ADOPT:
            if not self.host.matches(self.config):
                raise KubeadmError(
                    f"{self.config} is not there: it has to be written before kubeadm can {self.state}"
                )
            attempt = {"node_name": self.node_name, "action": action.value}
            self.host.write(attempt_file(self.state), attempt)
            if action is Action.RESET_AND_RUN:
                reset = ["kubeadm", "reset", "--force", "--cleanup-tmp-dir", "--cri-socket", self.cri_socket]
                seconds["reset"] = round(self._run(reset, RESET_SECONDS).seconds, 1)
            done = self._run(self._argv(action), self.timeout_seconds)
            # Whatever comes now, this machine is not to be emptied again.
            self.host.write(attempt_file(self.state), {**attempt, "ended": done.rc})
            seconds.update(phase_seconds(done.lines, done.seconds))
            found = self._wait()
            if not found.done:
                raise KubeadmError(
                    f"kubeadm {self.state} ended well on {self.node_name}, but after {self.recovery_seconds:.0f} s more: "
                    f"{found.observed}. Look at `journalctl -u kubelet -n 50`."
                )
        if self.state == "join":
            # Both have a token, and a run that is stopped after the marker never looks at them again. The second kubeadm
            # itself removes, where it is not killed; the kubelet has a certificate of its own by now.
            self.host.remove(self.config)
            self.host.remove(BOOTSTRAP_FILE)
        self.host.write(marker_file(self.state), {"node_name": self.node_name, "action": action.value})
        self.host.remove(attempt_file(self.state))
        seconds["total"] = round(self.clock.now() - started, 1)
        # The reason is what was found first.
        return KubeadmResult(changed=True, action=action, found=first, seconds=seconds)

    def _busy(self, busy: LockBusy) -> str:
        """Tell a person who else is at work on the machine, and what to do."""
        where, waited = f"another run is at work on {self.node_name}", f"waited {busy.seconds:.0f} s for it"
        holder = busy.holder
        if holder and holder.alive:
            pid = holder.pid
            return (
                f"{where}: process {pid} (`{holder.what}`) has {busy.path}; {waited}. Nothing was changed. "
                f"Look at it by `ps -o pid,etime,args -p {pid}`, let it end or end it by `kill {pid}`, and start again."
            )
        began = f" by process {holder.pid} (`{holder.what}`), which is gone" if holder else ""
        return (
            f"{where}: {busy.path} was taken{began}; {waited}. Nothing was changed. "
            f"`fuser -v {busy.path}` names the process that still has it: let it end or end it, and start again."
        )

    def _probe(self) -> Found:
        return probe(self.host, self.asks, self.state, self.node_name)

    def _refuse(self, action: Action, found: Found) -> None:
        """Stop where nothing may be done."""
        if action is Action.REFUSE and not found.other_role:
            raise KubeadmError(
                f"a cluster runs on this machine that Ironbinder did not make, and {found.observed}. Name this host in "
                "the inventory as the cluster names its node, or run `kubeadm reset` on it if that cluster is over."
            )
        if action is Action.REFUSE:
            role = "a worker of" if self.state == "init" else "a control plane of"
            raise KubeadmError(
                f"{self.node_name} is already {role} a cluster ({found.other_role} says so), and cannot "
                f"{self.state} as well. If that is over, run `kubeadm reset` on it and remove that file."
            )
        if action is Action.WAIT:
            what = f"{self.node_name} has worked in its cluster"
            if found.attempt_ended and not found.marker:
                what = f"kubeadm {self.state} has ended well on {self.node_name}"
            raise KubeadmError(
                f"{what}, but now, given up to {self.recovery_seconds:.0f} s: "
                f"{'; '.join(filter(None, (found.observed, found.marker_problem)))}. "
                + _remedy(self.state, found)
            )

    def _wait(self) -> Found:
        """Ask until everything answers, nothing of kubeadm is there, or the time is over; give the last answer."""
        return wait_until(
            lambda _seconds: self._probe(),
            lambda found: found.done or not found.leftovers,
            clock=self.clock,
            timeout_seconds=self.recovery_seconds,
            step_seconds=_WAIT_STEP_SECONDS,
        ).seen

    def _argv(self, action: Action) -> list[str]:
        """Give the command. Tokens are in the configuration file, never here."""
        argv = ["kubeadm", self.state, "--config", self.config]
        if self.ignored:
            argv += ["--ignore-preflight-errors", ",".join(self.ignored)]
        if self.state == "init":
            argv += ["--skip-token-print", "--skip-certificate-key-print"]
        if action is Action.RESUME:
            argv += ["--skip-phases", ",".join(_PHASES_BEFORE_API)]
        return argv

    def _run(self, argv: Sequence[str], timeout_seconds: float) -> CommandResult:
        """Run kubeadm; raise with its own words where it fails."""
        result = self.host.run(argv, timeout_seconds, self.lock)
        self.lock.tell(os.getpid(), f"a run that waits for {self.node_name}")
        if result.rc == 127:
            raise KubeadmError(f"{argv[0]} is not installed on {self.node_name}: run the stage `nodes` first")
        if result.rc != 0:
            raise KubeadmError(
                f"`{argv[0]} {argv[1]}` failed on {self.node_name} with {result.rc} after {result.seconds:.0f} s. It said:",
                error_lines(result.output),
            )
        return result
