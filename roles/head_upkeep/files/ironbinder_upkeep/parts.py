# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The parts of the control plane that kubeadm made: how each is found, asked, and what it serves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["PARTS", "Part"]


@dataclass(frozen=True)
class Part:
    """A part of the control plane: its program, the option and its value by which it is this head's own, and its health.

    `serves` are the files of certificates that ports serve, below /etc/kubernetes, each with the option that names the port, and
    the port without it. `health` is a URL with that of the first.
    """

    name: str
    mark: tuple[str, str]
    health: str
    port: tuple[str, int]
    serves: Mapping[str, tuple[str, int]]


# In the order in which they are restarted. Programs of the same name run in pods, such as a hub's own scheduler.
PARTS = (
    Part(
        "etcd",
        ("--cert-file", "pki/etcd/server.crt"),
        "http://127.0.0.1:{}/health",
        ("--listen-metrics-urls", 2381),
        {
            "pki/etcd/server.crt": ("--listen-client-urls", 2379),
            "pki/etcd/peer.crt": ("--listen-peer-urls", 2380),
        },
    ),
    Part(
        "kube-apiserver",
        ("--tls-cert-file", "pki/apiserver.crt"),
        "https://127.0.0.1:{}/readyz",
        ("--secure-port", 6443),
        {"pki/apiserver.crt": ("--secure-port", 6443)},
    ),
    Part(
        "kube-controller-manager",
        ("--kubeconfig", "controller-manager.conf"),
        "https://127.0.0.1:{}/healthz",
        ("--secure-port", 10257),
        {},
    ),
    Part(
        "kube-scheduler",
        ("--kubeconfig", "scheduler.conf"),
        "https://127.0.0.1:{}/healthz",
        ("--secure-port", 10259),
        {},
    ),
)
