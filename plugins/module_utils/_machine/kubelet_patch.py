# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the kubelet of one machine needs, and of no other, as a patch that kubeadm merges into the cluster's configuration.

https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/control-plane-flags/#patches
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._base.files import write_atomically
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.limits import MachineLimits

__all__ = ["PatchWritten", "no_names", "patch_of", "text_of", "write_patch"]

# kubeadm reads what to patch, and how, from the name.
FILE_NAME = "kubeletconfiguration+merge.yaml"
_HEADER = "# Managed by Ironbinder (module kubelet_patch). Changes are overwritten.\n"


@dataclass(frozen=True)
class PatchWritten:
    """Whether the file was not as it should be, and its text before and after."""

    changed: bool
    path: Path
    before: str
    after: str


def patch_of(limits: MachineLimits) -> dict[str, Any]:
    """Give the kubelet's settings that follow from what the machine cannot do; none for most machines."""
    patch: dict[str, Any] = {}
    if limits.cgroup_version == 1:
        patch["failCgroupV1"] = False
    if not limits.can_lower_oom_score:
        patch["oomScoreAdj"] = 0
    if limits.resolver_is_loopback and limits.resolv_conf:
        patch["resolvConf"] = limits.resolv_conf
    if limits.is_container and limits.swap_bytes > 0:
        # The swap is the host's and cannot be turned off from here.
        patch["failSwapOn"] = False
    return patch


def no_names(limits: MachineLimits) -> str:
    """Say why pods of this machine would have no names, or ""."""
    if not limits.resolver_is_loopback or limits.resolv_conf:
        return ""
    return (
        "/etc/resolv.conf names only servers on the machine itself, which pods cannot reach. Name a server that others "
        "can reach there, or in /run/systemd/resolve/resolv.conf by way of systemd-resolved."
    )


def text_of(patch: dict[str, Any]) -> str:
    """Write a patch as YAML."""
    whole = {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration", **patch}
    # Values in JSON are values in YAML.
    return _HEADER + "".join(f"{name}: {json.dumps(value)}\n" for name, value in whole.items())


def write_patch(folder: Path, text: str, check_mode: bool) -> PatchWritten:
    """Have the patch in `folder`, readable by all, or only say whether it is.

    Raises:
        OSError: as the system has it.
    """
    path = folder / FILE_NAME
    try:
        before, mode = path.read_text(encoding="utf-8", errors="replace"), path.stat().st_mode & 0o7777
    except FileNotFoundError:
        before, mode = "", 0
    changed = (before, mode) != (text, 0o644)
    if changed and not check_mode:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        write_atomically(path, text, mode=0o644)
    return PatchWritten(changed, path, before, text)
