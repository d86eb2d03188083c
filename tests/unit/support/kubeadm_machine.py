# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A machine made of a dictionary, and what kubeadm makes of it."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._base.lock import LockFile
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.kubeadm_host import CommandResult
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpFailure, Reply

INIT_MARKER = "/var/lib/ironbinder/kubeadm-init.json"
INIT_ATTEMPT = "/var/lib/ironbinder/kubeadm-init.begun.json"
JOIN_MARKER = "/var/lib/ironbinder/kubeadm-join.json"
JOIN_ATTEMPT = "/var/lib/ironbinder/kubeadm-join.begun.json"
ADMIN = "/etc/kubernetes/admin.conf"
KUBELET = "/etc/kubernetes/kubelet.conf"
CERTIFICATE = "/var/lib/kubelet/pki/kubelet-client-current.pem"
APISERVER = "/etc/kubernetes/manifests/kube-apiserver.yaml"
ETCD = "/var/lib/etcd/member"
ETCD_LOG = "/var/lib/etcd/member/wal/0.wal"
CONFIG = "/var/lib/ironbinder/kubeadm.yaml"
BOOTSTRAP = "/etc/kubernetes/bootstrap-kubelet.conf"
KEY = "/registry/configmaps/kube-system/kubeadm-config"
COMPLETE = ["node/head1", "configmap/kubeadm-config", "daemonset/kube-proxy"]


class FakeHost:
    """A machine with its network and its time: files, a cluster that answers or not, and what kubeadm makes of both."""

    def __init__(
        self,
        files: Mapping[str, str] | Sequence[str] = (),
        *,
        answers: bool = False,
        knows: Sequence[str] = (),
        forbidden: bool = False,
        comes_up_after: float | None = None,
        kubeadm: CommandResult | None = None,
        kubectl: CommandResult | None = None,
    ) -> None:
        self.files: dict[str, str] = (
            dict.fromkeys(files, "") if not isinstance(files, Mapping) else dict(files)
        )
        for marker, name in ((INIT_MARKER, "head1"), (JOIN_MARKER, "worker1")):
            if self.files.get(marker) == "":
                self.files[marker] = json.dumps({"node_name": name, "action": "run"})
        self.files[CONFIG] = "kind: InitConfiguration"
        self.answers = answers
        self.knows = list(knows)
        self.forbidden = forbidden
        self.comes_up_after = comes_up_after
        self.kubeadm = kubeadm
        self.kubectl = kubectl
        self.clock = 0.0
        self.commands: list[list[str]] = []
        self.at_kubeadm: list[set[str]] = []

    def _up(self) -> bool:
        return self.answers or (self.comes_up_after is not None and self.clock >= self.comes_up_after)

    def run(self, argv: Sequence[str], timeout_seconds: float, lock: LockFile | None = None) -> CommandResult:
        self.clock += 0.1
        if argv[0] == "kubeadm":
            # What outlives this run has to keep the next one away.
            assert lock is not None and lock.handles()
            return self._kubeadm(list(argv))
        # A question that is asked while another run waits must not outlive this one with the lock.
        assert lock is None
        if self.kubectl is not None:
            return self.kubectl
        if not self._up():
            return CommandResult(
                1, "", "noise\nThe connection to the server was refused - right host or port?\n"
            )
        if "/readyz" in argv:
            return CommandResult(0, "ok", "")
        if self.forbidden:
            return CommandResult(1, "", 'Error from server (Forbidden): User "kubernetes-admin" cannot get\n')
        asked = [word for word in argv if "/" in word and not word.startswith("/")]
        items = []
        for name in asked:
            if name in self.knows:
                kind, _, short = name.partition("/")
                kinds = {"node": "Node", "configmap": "ConfigMap", "daemonset": "DaemonSet"}
                items.append({"kind": kinds[kind], "metadata": {"name": short}})
        if not items:
            return CommandResult(0, "", "")
        # kubectl gives one object alone where one was asked for, a list otherwise.
        body: dict[str, Any] = items[0] if len(asked) == 1 else {"kind": "List", "items": items}
        return CommandResult(0, json.dumps(body), "")

    def _kubeadm(self, argv: list[str]) -> CommandResult:
        self.commands.append(argv)
        self.at_kubeadm.append(set(self.files))
        if argv[1] == "reset":
            gone = [
                name
                for name in self.files
                if name.startswith(("/etc/kubernetes", "/var/lib/etcd", "/var/lib/kubelet"))
            ]
            for name in gone:
                del self.files[name]
            self.answers = self.forbidden = False
            return CommandResult(0, "", "", seconds=2.0)
        if self.kubeadm is not None:
            return self.kubeadm
        self.answers = True
        name = "head1" if argv[1] == "init" else "worker1"
        self.knows = [f"node/{name}", "configmap/kubeadm-config", "daemonset/kube-proxy"]
        self.files[ADMIN if argv[1] == "init" else KUBELET] = ""
        return CommandResult(
            0, "", "", lines=((0.0, "[preflight] Running"), (1.0, "[certs] Using")), seconds=8.4
        )

    def matches(self, pattern: str) -> list[str]:
        return sorted(name for name in self.files if fnmatch.fnmatch(name, pattern))

    def contains(self, pattern: str, needle: bytes) -> bool:
        return any(needle in self.files[name].encode() for name in self.matches(pattern))

    def request(self, method: str, url: str, headers: Mapping[str, str], timeout_seconds: float) -> Reply:
        assert (method, url) == ("GET", "http://127.0.0.1:10248/healthz")
        if not self._up():
            raise HttpFailure("unreachable", "Connection refused")
        return Reply(200, {}, b"ok")

    def read(self, path: str) -> str | None:
        return self.files.get(path)

    def write(self, path: str, data: Mapping[str, Any]) -> None:
        self.files[path] = json.dumps(data)

    def remove(self, path: str) -> None:
        self.files.pop(path, None)

    def now(self) -> float:
        return self.clock

    def sleep(self, seconds: float) -> None:
        self.clock += seconds
