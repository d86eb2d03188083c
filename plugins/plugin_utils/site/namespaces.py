# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Namespaces that the cluster itself lives in. What is in one goes with it, so no hub may be there."""

from __future__ import annotations

__all__ = ["is_system_namespace"]

# As roles metallb and storage name theirs.
_OURS = ("metallb-system", "ironbinder-storage")
# Those that manifests of pod networks bring, beside kube-system and kube-flannel.
_POD_NETWORKS = ("calico-system", "calico-apiserver", "tigera-operator", "cilium-secrets")


def is_system_namespace(name: str) -> bool:
    """Whether a namespace is Kubernetes' own, which keeps all that begin with kube-, or that of a part of the cluster."""
    return name == "default" or name.startswith("kube-") or name in (*_OURS, *_POD_NETWORKS)
