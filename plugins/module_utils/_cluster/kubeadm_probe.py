# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What kubeadm has made of a machine, found by asking the thing itself.

kubeadm writes admin.conf and the kubelet's configuration long before the API is up, so that files
only say that something was begun. What says that it was finished: the API or the kubelet answers,
and the API knows the node.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.kubeadm_host import (
    Host,
    KubeadmError,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.kubeadm_output import redact
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpFailure, Reply

__all__ = [
    "BOOTSTRAP_FILE",
    "KUBELET_CERTIFICATE",
    "LEFTOVERS",
    "Asks",
    "Found",
    "attempt_file",
    "marker_file",
    "probe",
]

_STATE_DIR = "/var/lib/ironbinder"
_ADMIN_CONF = "/etc/kubernetes/admin.conf"
_KUBELET_CONF = "/etc/kubernetes/kubelet.conf"
# What a kubelet asks for its first certificate with.
BOOTSTRAP_FILE = "/etc/kubernetes/bootstrap-kubelet.conf"
_KUBELET_HEALTH = "http://127.0.0.1:10248/healthz"
# Written by the kubelet when the cluster has signed its first certificate.
KUBELET_CERTIFICATE = "/var/lib/kubelet/pki/kubelet-client-current.pem"
_MANIFESTS = tuple(
    f"/etc/kubernetes/manifests/{name}.yaml"
    for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
)
# What an interrupted kubeadm leaves and what stops the next one.
LEFTOVERS = {
    "init": (
        _ADMIN_CONF,
        "/etc/kubernetes/super-admin.conf",
        _KUBELET_CONF,
        "/etc/kubernetes/controller-manager.conf",
        "/etc/kubernetes/scheduler.conf",
        *_MANIFESTS,
        "/var/lib/etcd/member",
    ),
    "join": (_KUBELET_CONF, BOOTSTRAP_FILE),
}
# The same where we know that it was we who began: before, an administrator may have put a CA there.
_OWN_LEFTOVERS = {
    "init": ("/etc/kubernetes/pki/*",),
    "join": ("/etc/kubernetes/pki/ca.crt", "/var/lib/kubelet/config.yaml"),
}
# Keys stand in etcd's files as they are, in the database or still in the log of writes.
_ETCD_FILES = ("/var/lib/etcd/member/snap/db", "/var/lib/etcd/member/wal/*.wal")
_ETCD_CONFIG_KEY = b"/registry/configmaps/kube-system/kubeadm-config"
_QUESTION_SECONDS = 10


@dataclass(frozen=True)
class Found:
    """The machine, as far as kubeadm is concerned."""

    marker: bool  # it has worked once, and we saw it
    marker_problem: str  # why the file that says so cannot be read, or ""
    attempt: bool  # we began, and have not seen it work
    attempt_ended: bool  # kubeadm said that what we began had ended well
    leftovers: tuple[str, ...]  # what kubeadm wrote
    answers: bool  # init: the API says that it is ready; join: the kubelet says that it is healthy
    node_registered: bool  # the API has a node of this name
    configured: bool  # init: the cluster has its kubeadm-config; join: same as node_registered
    finished: bool  # init: what kubeadm's last phase makes is there; join: same as node_registered
    once_worked: bool  # the disk says that a cluster was made or joined, whoever did it
    other_role: str  # why this machine must not take this role, or ""
    observed: str  # what the first question without a good answer was answered

    @property
    def done(self) -> bool:
        """Whether everything that was to be made answers."""
        return self.answers and self.node_registered and self.configured


class Asks(Protocol):
    """What is needed of a network, see `HttpTransport`."""

    def request(self, method: str, url: str, headers: Mapping[str, str], timeout_seconds: float) -> Reply:
        """Send a request and return the whole answer. Raises HttpFailure."""


def marker_file(state: str) -> str:
    """Name the file that says that `state` was reached."""
    return f"{_STATE_DIR}/kubeadm-{state}.json"


def attempt_file(state: str) -> str:
    """Name the file that says that we began to bring about `state`."""
    return f"{_STATE_DIR}/kubeadm-{state}.begun.json"


def _ask(host: Host, kubeconfig: str, *words: str) -> tuple[bool, str]:
    """Ask the API: whether it answered, and what it said."""
    result = host.run(
        ["kubectl", "--kubeconfig", kubeconfig, "--request-timeout", f"{_QUESTION_SECONDS}s", *words],
        2 * _QUESTION_SECONDS,
    )
    if result.rc == 0:
        return True, result.stdout
    if result.rc == 127:
        # Without it nothing can be told apart, and a cluster that works would look like one that never did.
        raise KubeadmError(
            f"kubectl cannot be run on this machine ({result.stderr.strip()}), so its cluster cannot be asked: "
            "run the stage `nodes` first. Nothing was changed."
        )
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    return False, redact(lines[-1].strip()) if lines else f"kubectl ended with {result.rc}"


def _objects(answer: str) -> dict[str, Mapping[str, Any]]:
    """Index kubectl's JSON (a list, one object, or nothing) by "Kind/name"."""
    try:
        data = json.loads(answer) if answer.strip() else {}
        items = data.get("items", [data]) if data else []
        return {f"{item['kind']}/{item['metadata']['name']}": item for item in items}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise KubeadmError(
            f"kubectl ended well and said what is not a list of objects: {redact(answer.strip())[:200]!r}. "
            "Look for a wrapper or a plugin of that name: `command -v kubectl`. Nothing was changed."
        ) from error


def _healthy(asks: Asks) -> tuple[bool, str]:
    """Ask the kubelet: whether it is healthy, and what it said."""
    try:
        reply = asks.request("GET", _KUBELET_HEALTH, {}, _QUESTION_SECONDS)
    except HttpFailure as failure:
        return False, f"the kubelet at {_KUBELET_HEALTH} said nothing: {failure}"
    said = reply.body[:200].decode(errors="replace")
    return reply.status == 200, f"the kubelet at {_KUBELET_HEALTH} said {reply.status}: {said}"


def _marker_problem(host: Host, path: str) -> str:
    """Say what is wrong with a marker that is there: its content names the node, and is whole or not ours."""
    text = host.read(path)
    try:
        data = json.loads(text or "")
    except ValueError:
        return f"{path} is {'empty' if not text else 'not JSON'}"
    if not isinstance(data, dict) or not isinstance(data.get("node_name"), str):
        return f"{path} names no node"
    return ""


def _attempt_ended(host: Host, path: str) -> bool:
    """Whether an attempt's file says that kubeadm ended well. One that cannot be read says nothing."""
    try:
        data = json.loads(host.read(path) or "")
    except ValueError:
        return False
    return isinstance(data, dict) and data.get("ended") == 0


def _other_role(host: Host, state: str, attempt: bool) -> str:
    """Say why the machine must not take this role: it has the other one."""
    other = {"init": "join", "join": "init"}[state]
    if host.matches(marker_file(other)):
        return marker_file(other)
    if attempt:
        return ""
    if state == "join":
        # A control plane has its static pods; a worker never has.
        return next(iter(name for name in _MANIFESTS if host.matches(name)), "")
    joined = host.matches(_KUBELET_CONF) and host.matches(KUBELET_CERTIFICATE)
    return _KUBELET_CONF if joined and not host.matches(_ADMIN_CONF) else ""


def probe(host: Host, asks: Asks, state: str, node_name: str) -> Found:
    """Find out how far the machine is, changing nothing.

    Args:
        host: the machine.
        asks: its network.
        state: `init` or `join`.
        node_name: name of this machine's node object.

    Raises:
        KubeadmError: the cluster cannot be asked at all.
        OSError: a file cannot be read.
    """
    attempt = bool(host.matches(attempt_file(state)))
    patterns = LEFTOVERS[state] + (_OWN_LEFTOVERS[state] if attempt else ())
    leftovers = tuple(name for pattern in patterns for name in host.matches(pattern))
    kubeconfig = _ADMIN_CONF if state == "init" else _KUBELET_CONF
    objects: dict[str, Mapping[str, Any]] = {}
    answers, observed = False, f"{kubeconfig} is not there"
    if host.matches(kubeconfig):
        if state == "init":
            answers, observed = _ask(host, kubeconfig, "get", "--raw", "/readyz")
        else:
            answers, observed = _healthy(asks)
    if answers:
        names = [f"node/{node_name}"]
        if state == "init":
            names += ["configmap/kubeadm-config", "daemonset/kube-proxy"]
        known, answer = _ask(
            host, kubeconfig, "get", *names, "-n", "kube-system", "--ignore-not-found", "-o", "json"
        )
        objects = _objects(answer) if known else {}
        observed = "" if known else answer
        answers = known if state == "init" else answers
    marker = bool(host.matches(marker_file(state)))
    node = objects.get(f"Node/{node_name}")
    if answers and not observed and not node:
        observed = f"the API has no node named {node_name}"
    configured = "ConfigMap/kubeadm-config" in objects if state == "init" else node is not None
    if node and not configured:
        observed = "the cluster has no ConfigMap kube-system/kubeadm-config"
    return Found(
        marker=marker,
        marker_problem=_marker_problem(host, marker_file(state)) if marker else "",
        attempt=attempt,
        attempt_ended=attempt and _attempt_ended(host, attempt_file(state)),
        leftovers=leftovers,
        answers=answers,
        node_registered=node is not None,
        configured=configured,
        finished="DaemonSet/kube-proxy" in objects if state == "init" else node is not None,
        once_worked=marker or configured or _once_worked(host, state),
        other_role=_other_role(host, state, attempt),
        observed=observed,
    )


def _once_worked(host: Host, state: str) -> bool:
    """Look on the disk for what only a working cluster writes, without asking anything that may be down."""
    if state == "join":
        return bool(host.matches(KUBELET_CERTIFICATE))
    return any(host.contains(pattern, _ETCD_CONFIG_KEY) for pattern in _ETCD_FILES)
