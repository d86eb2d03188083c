# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Take a control plane, or a node's own part of it, to another version with kubeadm, from wherever it was left.

kubeadm may be run again after it was killed: what has the version already is left as it is. So everything that it changes is
asked for its version, and it is run where anything has another one.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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
    redact,
)

__all__ = ["UPGRADE_MARKER", "KubeadmUpgrade", "Upgraded"]

# What a node's own part leaves nothing to be asked of; kept out of /etc/kubernetes, which `kubeadm reset` empties.
UPGRADE_MARKER = "/var/lib/ironbinder/kubeadm-upgrade.json"
_ADMIN_CONF = "/etc/kubernetes/admin.conf"
_MANIFESTS = "/etc/kubernetes/manifests"
_PARTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
_QUESTION_SECONDS = 10


@dataclass(frozen=True)
class Upgraded:
    """What was done, what had another version before, and how long each phase took."""

    changed: bool
    before: Mapping[str, str]
    seconds: Mapping[str, float] = field(default_factory=dict)


class KubeadmUpgrade:
    """Drives `kubeadm upgrade` on one machine."""

    def __init__(
        self,
        host: Host,
        clock: Clock,
        lock: LockFile,
        *,
        state: str,
        version: str,
        patches_dir: str = "",
        ignore_preflight_errors: Sequence[str] = (),
        timeout_seconds: float = 900,
        recovery_seconds: float = 180,
    ) -> None:
        """Take the machine, and what to bring about; see the module `kubeadm_upgrade` for each value."""
        self.host = host
        self.clock = clock
        self.lock = lock
        self.state = state
        self.version = version
        self.patches_dir = patches_dir
        self.ignored = tuple(ignore_preflight_errors)
        self.timeout_seconds = timeout_seconds
        self.recovery_seconds = recovery_seconds

    def bring_about(self, check_mode: bool = False) -> Upgraded:
        """Upgrade where anything has another version, or only say it.

        Raises:
            KubeadmError: kubeadm failed, is another version itself, or another one is at work; the API does not answer.
        """
        try:
            with held(
                self.lock,
                f"an upgrade to {self.version}",
                clock=self.clock,
                timeout_seconds=self.timeout_seconds,
                create=not check_mode,
            ):
                return self._bring_about(check_mode)
        except LockBusy as busy:
            raise KubeadmError(
                f"another kubeadm works on this machine: {busy}. Nothing was changed. Wait for its end, or look at it by "
                f"`fuser -v {busy.path}`"
            ) from busy
        except OSError as error:
            raise KubeadmError(
                f"{error.filename or 'a file'}: {error.strerror or error}. This needs root (become: true) and a disk with room."
            ) from error

    def _bring_about(self, check_mode: bool) -> Upgraded:
        before = self._others()
        if before:
            self._check_proxy()
        if not before or check_mode:
            return Upgraded(bool(before), before)
        self._check_kubeadm()
        done = self._run(self._argv(), self.timeout_seconds)
        left = wait_until(
            lambda _seconds: self._left(),
            lambda found: not found,
            clock=self.clock,
            timeout_seconds=self.recovery_seconds,
            step_seconds=2.0,
        ).seen
        if left:
            told = ", ".join(f"{name} is {has}" for name, has in left.items())
            raise KubeadmError(
                f"kubeadm upgrade {self.state} ended well, but {self.recovery_seconds:.0f} s later {told}, and {self.version} "
                "was asked for. Look at `journalctl -u kubelet -n 50` and at the pods in kube-system"
            )
        self.host.write(UPGRADE_MARKER, {"version": self.version, "state": self.state})
        return Upgraded(True, before, phase_seconds(done.lines, done.seconds))

    def _left(self) -> Mapping[str, str]:
        """As `_others` after kubeadm has ended: a node's own part is done then, and an API may still be starting."""
        if self.state == "node":
            return {}
        try:
            return self._others()
        except KubeadmError as error:
            return {"the API": str(error)}

    def _others(self) -> dict[str, str]:
        """Give what has another version than is wanted, with that version."""
        if self.state == "node":
            return {} if self._marked() == self.version else {"this node": self._marked() or "as it joined"}
        told = {name: self._manifest(name) for name in _PARTS}
        told["kubeadm-config"] = self._configured()
        told["kube-proxy"] = self._proxy() or self.version
        return {name: has for name, has in told.items() if has != self.version}

    def _marked(self) -> str:
        try:
            data = json.loads(self.host.read(UPGRADE_MARKER) or "{}")
        except ValueError:
            return ""
        return str(data.get("version") or "") if isinstance(data, dict) else ""

    def _manifest(self, name: str) -> str:
        text = self.host.read(f"{_MANIFESTS}/{name}.yaml")
        if text is None:
            raise KubeadmError(
                f"{_MANIFESTS}/{name}.yaml is not there: this machine is no control plane that kubeadm made. Nothing was changed"
            )
        image = re.search(rf"image: *\S*/{name}:v?(\S+)", text)
        return image.group(1).partition("@")[0] if image else "unknown"

    def _configured(self) -> str:
        text = str(self._ask("configmap/kubeadm-config")["data"]["ClusterConfiguration"])
        version = re.search(r"^kubernetesVersion: *[\"']?v?([^\s\"']+)", text, re.M)
        return version.group(1) if version else "unknown"

    def _proxy(self) -> str:
        """Give the version of kube-proxy; empty where another program does its work."""
        found = self._ask("daemonset/kube-proxy", "--ignore-not-found")
        if not found:
            return ""
        containers = found["spec"]["template"]["spec"]["containers"]
        return str(containers[0]["image"]).partition("@")[0].rpartition(":")[2].removeprefix("v")

    def _ask(self, name: str, *options: str) -> Any:
        done = self.host.run(
            [
                *("kubectl", "--kubeconfig", _ADMIN_CONF, "--request-timeout", f"{_QUESTION_SECONDS}s"),
                *("get", name, "--namespace", "kube-system", "--output", "json", *options),
            ],
            2 * _QUESTION_SECONDS,
        )
        if done.rc:
            said = [line for line in done.stderr.splitlines() if line.strip()]
            why = redact(said[-1].strip()) if said else f"kubectl ended with {done.rc}"
            raise KubeadmError(
                f"the API could not be asked for {name}: {why}. "
                "An upgrade needs a control plane that works: see `kubectl get --raw /readyz?verbose`"
            )
        return json.loads(done.stdout or "{}")

    def _check_proxy(self) -> None:
        """Refuse what would bring kube-proxy back.

        kubeadm leaves it out only where its ConfigMap is gone too, https://github.com/kubernetes/kubeadm/issues/1318.
        """
        if (
            self.state == "node"
            or self._proxy()
            or not self._ask("configmap/kube-proxy", "--ignore-not-found")
        ):
            return
        raise KubeadmError(
            "this cluster has no DaemonSet kube-proxy, but its ConfigMap, so kubeadm would bring it back: where another program "
            "does its work, `kubectl -n kube-system delete configmap kube-proxy`; else `kubeadm init phase addon kube-proxy`. "
            "Nothing was changed"
        )

    def _check_kubeadm(self) -> None:
        """Only a kubeadm of the wanted version knows what that needs."""
        done = self.host.run(["kubeadm", "version", "--output", "short"], _QUESTION_SECONDS)
        has = done.stdout.strip().removeprefix("v")
        if done.rc or has != self.version:
            raise KubeadmError(
                f"kubeadm here is {has or done.stderr.strip() or 'not installed'}, and an upgrade needs that of {self.version}. "
                "Nothing was changed"
            )

    def _argv(self) -> list[str]:
        argv = ["kubeadm", "upgrade", self.state]
        argv += [f"v{self.version}", "--yes"] if self.state == "apply" else []
        if self.patches_dir and self.host.matches(self.patches_dir):
            argv += ["--patches", self.patches_dir]
        if self.ignored:
            argv += ["--ignore-preflight-errors", ",".join(self.ignored)]
        return argv

    def _run(self, argv: Sequence[str], timeout_seconds: float) -> CommandResult:
        done = self.host.run(argv, timeout_seconds, self.lock)
        self.lock.tell(os.getpid(), f"an upgrade to {self.version}")
        if done.rc:
            raise KubeadmError(
                f"`{' '.join(argv[:3])}` failed with {done.rc} after {done.seconds:.0f} s; another run goes on there. It said:",
                error_lines(done.output),
            )
        return done
