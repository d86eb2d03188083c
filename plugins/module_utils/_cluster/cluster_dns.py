# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The names that pods know besides the cluster's own and those of the nodes' name servers, in CoreDNS.

kubeadm writes CoreDNS's configuration once, keeps it at an upgrade, and may be followed by an admin. So it stays whose it is but
for one block of ours, by the plugin `hosts`: https://coredns.io/plugins/hosts/
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.ironbinder.platform.plugins.module_utils._base.text_blocks import with_block
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.lost_nodes import with_staying
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeApi

__all__ = ["DEPLOYMENT", "NAMESPACE", "ClusterDns", "DnsError", "with_hosts"]

NAMESPACE, DEPLOYMENT = "kube-system", "coredns"
_CONFIG = f"/api/v1/namespaces/{NAMESPACE}/configmaps/coredns"
_WORKLOAD = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{DEPLOYMENT}"
_KEY = "Corefile"
_TITLE = "names of this site, written by Ironbinder"
# The server of every name that no other server of the file has.
_SERVER = re.compile(r"^\s*(?:dns://)?\.(?::53)?\s*\{[ \t]*$", re.MULTILINE)
_HOSTS = re.compile(r"^\s*hosts\b", re.MULTILINE)
# Whoever reads the configuration anew is a new pod. CoreDNS would see it by itself too, up to two minutes later.
_ANNOTATION = "ironbinder.platform/names"
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*")


class DnsError(Exception):
    """Names that cannot be given to the cluster. The text says why, and what to do."""


def with_hosts(corefile: str, hosts: Mapping[str, Sequence[str]]) -> str:
    """Give a Corefile these names, and no others of ours.

    Args:
        corefile: the file's text.
        hosts: {address: [name, ...]}; empty takes our block out.

    Raises:
        DnsError: an address or a name is none, no server is for all names, or somebody else uses the plugin there.
    """
    lines = []
    for address, names in hosts.items():
        try:
            ipaddress.ip_address(address)
        except ValueError as error:
            raise DnsError(
                f"{address!r} is no address: write site_extra_hosts as {{address: [name, ...]}}"
            ) from error
        wrong = [name for name in names if not _NAME.fullmatch(str(name))]
        if wrong or isinstance(names, str) or not names:
            raise DnsError(f"of {address}, {wrong or names!r} is no list of names: correct site_extra_hosts")
        lines.append(f"        {address} {' '.join(names)}")
    # A name that is not among them is asked for further down.
    body = "\n".join(["    hosts {", *lines, "        fallthrough", "    }"]) if lines else ""
    begin = f"# BEGIN {_TITLE}"
    if body and begin not in corefile:
        server = _SERVER.search(corefile)
        if not server:
            raise DnsError(
                "CoreDNS's Corefile has no server `.:53 {` for all names, in which the site's could stand: see `kubectl -n "
                f"{NAMESPACE} get configmap coredns -o yaml`, and add one"
            )
        corefile = f"{corefile[: server.end()]}\n{begin}{corefile[server.end() :]}"
    others = with_block(corefile.encode(), _TITLE, "").decode()
    if body and _HOSTS.search(others):
        # Twice in a server CoreDNS refuses to start.
        raise DnsError(
            "CoreDNS's Corefile uses the plugin hosts already, which may stand there once: move its lines to site_extra_hosts "
            f"and take it out (`kubectl -n {NAMESPACE} edit configmap coredns`)"
        )
    return with_block(corefile.encode(), _TITLE, body).decode()


@dataclass
class ClusterDns:
    """The cluster's DNS, looked at by `look` and changed by `settle`.

    `before` and `after` are the Corefile; `restarts` says that its pods have not read it yet. `lost_node_seconds` says how long
    they stay with a lost node, None as long as they do; `tolerations_before` and `tolerations` are what that means for them.
    """

    hosts: Mapping[str, Sequence[str]]
    lost_node_seconds: Optional[int] = None
    before: str = ""
    after: str = ""
    restarts: bool = False
    tolerations_before: Sequence[Mapping[str, Any]] = ()
    tolerations: Sequence[Mapping[str, Any]] = ()

    @property
    def changed(self) -> bool:
        """Whether anything is to be done, or was."""
        return self.before != self.after or self.restarts or self.moves

    @property
    def moves(self) -> bool:
        """Whether its pods stay with a lost node for another time than they are to."""
        return list(self.tolerations) != list(self.tolerations_before)

    @property
    def _mark(self) -> Optional[str]:
        block = repr(sorted((address, list(names)) for address, names in self.hosts.items()))
        return hashlib.sha256(block.encode()).hexdigest()[:16] if self.hosts else None

    def look(self, api: KubeApi) -> None:
        """Compare the cluster with what is wanted.

        Raises:
            DnsError: see `with_hosts`; or the cluster's DNS is none that kubeadm made.
            KubeError: the cluster does not answer.
        """
        config, workload = api.get(_CONFIG), api.get(_WORKLOAD)
        if config is None or workload is None:
            if self.hosts:
                raise DnsError(
                    f"the cluster has no {'ConfigMap' if config is None else 'Deployment'} coredns in {NAMESPACE}, to which "
                    "site_extra_hosts could be told: put the names into the DNS that it uses, and empty site_extra_hosts"
                )
            return
        self.before = str((config.get("data") or {}).get(_KEY, ""))
        self.after = with_hosts(self.before, self.hosts)
        template = workload["spec"]["template"]
        metadata = template.get("metadata") or {}
        self.restarts = (metadata.get("annotations") or {}).get(_ANNOTATION) != self._mark
        self.tolerations_before = (template.get("spec") or {}).get("tolerations") or []
        if self.lost_node_seconds is not None:
            self.tolerations = with_staying(self.tolerations_before, self.lost_node_seconds)
        else:
            self.tolerations = self.tolerations_before

    def settle(self, api: KubeApi) -> None:
        """Write what `look` found missing. The file first: a pod that starts meanwhile reads it.

        Raises:
            KubeError: the cluster refuses.
        """
        if self.before != self.after:
            api.patch(_CONFIG, {"data": {_KEY: self.after}}, fieldManager="ironbinder")
        template: dict[str, Any] = (
            {"metadata": {"annotations": {_ANNOTATION: self._mark}}} if self.restarts else {}
        )
        if self.moves:
            # A merge patch has lists as a whole.
            template["spec"] = {"tolerations": list(self.tolerations)}
        if template:
            api.patch(_WORKLOAD, {"spec": {"template": template}}, fieldManager="ironbinder")
