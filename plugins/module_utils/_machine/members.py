# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a machine is to a site by what it has, and on a head who else its cluster knows.

Runs on targets, reads only, never raises.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._machine.cluster_facts import (
    ADMIN_CONF,
    QUESTION_SECONDS,
    Ask,
    ask_kubectl,
)

__all__ = ["REMOVED_DIR", "member_facts"]

# What stands where a stage has ended well, by the group whose machines it makes. Markers of the module kubeadm, and files of
# the roles reverse_proxy and registry.
MARKS = {
    "head": "var/lib/ironbinder/kubeadm-init.json",
    "workers": "var/lib/ironbinder/kubeadm-join.json",
    "proxy": "etc/nginx/conf.d/ironbinder.conf",
    "registry": "etc/systemd/system/docker-registry.service.d/ironbinder.conf",
}
# On a head: a file for each node that was removed, named after it. Written by playbooks/tasks/removed_node.yml.
REMOVED_DIR = "var/lib/ironbinder/removed-nodes"
NODES = "{range .items[*]}{.metadata.name}{' '}{.status.nodeInfo.machineID}{'\\n'}{end}"


def _removed(root: Path) -> dict[str, dict[str, Any]]:
    """Read the records of removed nodes: {name: {machine_id, since in seconds since the epoch}}."""
    found: dict[str, dict[str, Any]] = {}
    try:
        files = sorted((root / REMOVED_DIR).glob("*.json"))
    except OSError:
        return found
    for file in files:
        try:
            told = json.loads(file.read_bytes())
            since = file.stat().st_mtime
        except (OSError, ValueError):
            continue
        machine = told.get("machine_id") if isinstance(told, dict) else ""
        found[file.stem] = {"machine_id": machine if isinstance(machine, str) else "", "since": since}
    return found


def member_facts(root: Path, ask: Ask = ask_kubectl) -> dict[str, Any]:
    """Tell what a machine is to a site.

    Args:
        root: where the file system of the machine starts.
        ask: runs a command and gives what it prints, nothing where it failed.

    Returns:
        `was`, the groups whose stage has ended well here; on a head also `nodes`, {name: machine-id} of the cluster's nodes,
        empty where it does not answer, and `removed`, {name: {machine_id, since}} of nodes that were removed from it.
    """
    told: dict[str, Any] = {"was": [group for group, mark in MARKS.items() if (root / mark).exists()]}
    if not (root / ADMIN_CONF).exists():
        return told
    argv = ["kubectl", "--kubeconfig", str(root / ADMIN_CONF), f"--request-timeout={QUESTION_SECONDS}s"]
    lines = ask([*argv, "get", "nodes", "--output", f"jsonpath={NODES}"]).splitlines()
    nodes = {name: machine for name, _, machine in (line.partition(" ") for line in lines) if name}
    return {**told, "nodes": nodes, "removed": _removed(root)}
