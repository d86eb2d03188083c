# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Take a machine out of its cluster, so that it is to kubeadm what it was before.

The only code that resets what once worked. No role that `site.yml` plays comes here, and a machine whose cluster still knows it,
or would go with it, is refused unless it was said that the cluster is to go.
"""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.kernel_remains import (
    KernelRemains,
    RemainsError,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.kubeadm import (
    RESET_SECONDS,
    Action,
    Kubeadm,
    KubeadmError,
    KubeadmResult,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.kubeadm_probe import (
    KUBELET_CERTIFICATE,
    LEFTOVERS,
    Found,
    attempt_file,
    marker_file,
    probe,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.kubeadm_upgrade import (
    UPGRADE_MARKER,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._net.x509 import (
    CertificateError,
    common_name,
    first_certificate,
)

__all__ = ["Departure"]

_STATES = ("join", "init")
_KUBELET_CONF = "/etc/kubernetes/kubelet.conf"
# What a kubelet is called in its certificate: https://kubernetes.io/docs/reference/access-authn-authz/node/#overview.
_NODE_USER = "system:node:"
_ETCD = "/var/lib/etcd/member"
# What kubeadm's reset empties before the files by which the rest of this code knows a node.
_KUBELET_FILES = ("/var/lib/kubelet/config.yaml", "/var/lib/kubelet/pki/*")


class Departure(Kubeadm):
    """Resets one machine and removes what kubeadm leaves behind, in an order that a kill does not break.

    The markers go last: until then a run of the stage `cluster` says that a reset was begun, and makes nothing anew.
    """

    def __init__(
        self,
        *arguments: Any,
        remains: KernelRemains,
        cluster_goes: bool,
        node_goes: bool = False,
        **options: Any,
    ) -> None:
        """Take what `Kubeadm` takes, the kernel's part, and whether the cluster itself is to go, or the node from it."""
        super().__init__(*arguments, **options)
        self.remains = remains
        self.cluster_goes = cluster_goes
        self.node_goes = node_goes

    def _bring_about(self, check_mode: bool, started: float) -> KubeadmResult:
        """Refuse, or bring the machine to where kubeadm has never been."""
        worker, head = (probe(self.host, self.asks, state, self.node_name) for state in _STATES)
        self._refuse_another_node()
        self._refuse_departure(worker, head, node_gone=check_mode and self.node_goes)
        files = [*self._files(), *self._marks()]
        try:
            left = self.remains.remove(check_mode=True)
            if not files and not left:
                return KubeadmResult(changed=False, action=Action.NONE, found=worker)
            seconds: dict[str, float] = {}
            if not check_mode:
                if self._files():
                    reset = [
                        "kubeadm",
                        "reset",
                        "--force",
                        "--cleanup-tmp-dir",
                        "--cri-socket",
                        self.cri_socket,
                    ]
                    seconds["reset"] = round(self._run(reset, RESET_SECONDS).seconds, 1)
                    self._empty_etcd()
                self.remains.remove()
        except RemainsError as error:
            raise KubeadmError(f"{self.node_name} has left its cluster, but for rules: {error}") from error
        if not check_mode:
            if still := self._files():
                raise KubeadmError(
                    f"kubeadm reset ended well on {self.node_name} and left {', '.join(still)}: look for what holds it "
                    f"(`fuser -vm {still[0]}`, `mount | grep kubelet`), and run this again"
                )
            for name in self._marks():
                self.host.remove(name)
            seconds["total"] = round(self.clock.now() - started, 1)
        return KubeadmResult(changed=True, action=Action.RESET, found=worker, seconds=seconds, removed=left)

    def _refuse_another_node(self) -> None:
        """Stop where the machine is another node than the one that is to go: its own lives on."""
        for file, name in self._named():
            if name.lower() != self.node_name.lower():
                raise KubeadmError(
                    f"the machine that {self.node_name} leads to is {name} of its cluster ({file} says so): correct "
                    f"ansible_host of {self.node_name} in hosts.yml; or, where it is the machine that is meant, name it {name} "
                    "there. Nothing was changed on it."
                )

    def _refuse_departure(self, worker: Found, head: Found, *, node_gone: bool) -> None:
        """Stop where a cluster would go, or be left with a node that is none. `node_gone`: it would be, but for the check."""
        if self.cluster_goes:
            return
        # An administrator may have copied a kubeconfig, to use kubectl here. Where it was us who began a head, it is none.
        plane = [name for name in head.leftovers if not name.endswith(".conf")]
        if head.attempt:
            plane += [name for name in head.leftovers if name not in (_KUBELET_CONF, *plane)]
        if head.marker:
            plane.insert(0, marker_file("init"))
        if plane:
            raise KubeadmError(
                f"{self.node_name} has a control plane ({plane[0]} says so), and its cluster would go with it. The playbook "
                "reset does that, with what=cluster. Nothing was changed."
            )
        if worker.node_registered and not node_gone:
            raise KubeadmError(
                f"the cluster still has the node {self.node_name}, and pods may run on it: the playbook remove_node empties "
                "and deletes it first. Nothing was changed."
            )

    def _named(self) -> list[tuple[str, str]]:
        """Tell which node this machine is: (file, name) for each file that says so."""
        told = []
        for file in [of(state) for state in _STATES for of in (marker_file, attempt_file)]:
            try:
                data = json.loads(self.host.read(file) or "{}")
            except ValueError:
                continue
            if isinstance(data, dict) and isinstance(name := data.get("node_name"), str):
                told.append((file, name))
        try:
            user = common_name(first_certificate(self.host.read(KUBELET_CERTIFICATE) or ""))
        except CertificateError:
            user = ""
        if user.startswith(_NODE_USER):
            told.append((KUBELET_CERTIFICATE, user[len(_NODE_USER) :]))
        return told

    def _files(self) -> list[str]:
        """Name what kubeadm and the kubelet wrote here."""
        patterns = [name for state in _STATES for name in LEFTOVERS[state]]
        return list(
            dict.fromkeys(
                name for pattern in (*patterns, *_KUBELET_FILES) for name in self.host.matches(pattern)
            )
        )

    def _marks(self) -> list[str]:
        # In another cluster, what was upgraded in this one would pass for done.
        marks = [
            UPGRADE_MARKER,
            *(name for state in _STATES for name in (marker_file(state), attempt_file(state))),
        ]
        return [name for name in marks if self.host.matches(name)]

    def _empty_etcd(self) -> None:
        """Remove etcd's data where kubeadm did not know of them: it looks for the manifest, which may have gone before."""
        if self.cluster_goes and self.host.matches(_ETCD):
            self.host.run(["rm", "-rf", "--one-file-system", _ETCD], RESET_SECONDS)
