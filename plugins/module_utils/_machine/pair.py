# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The packages of Docker, containerd and the pods' network that a machine has. Runs on targets, reads only, never raises."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.ironbinder.platform.plugins.module_utils._machine.cluster_facts import (
    installed_version,
)

__all__ = ["installed_packages"]

# Their versions are the site's; kubelet's is told with the cluster's.
PACKAGES = ("containerd.io", "docker-ce", "docker-ce-cli", "docker-buildx-plugin", "kubernetes-cni")


def installed_packages(root: Path) -> dict[str, str]:
    """Give {package: version without epoch and revision}, `` for one that is not installed."""
    return {name: installed_version(root, name) for name in PACKAGES}
