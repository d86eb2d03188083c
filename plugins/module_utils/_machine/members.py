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

__all__ = ["member_facts"]

# What stands where a stage has ended well, by the group whose machines it makes. Markers of the module kubeadm, and files of
# the roles reverse_proxy and registry.
MARKS = {
    "head": "var/lib/ironbinder/kubeadm-init.json",
    "workers": "var/lib/ironbinder/kubeadm-join.json",
    "proxy": "etc/nginx/conf.d/ironbinder.conf",
    "registry": "etc/systemd/system/docker-registry.service.d/ironbinder.conf",
}
# On the first head: a file for each node that was removed. Written by playbooks/tasks/delete_node.yml before the node goes, taken
# away by role worker before one of its name joins: a node that has joined and has a record is one whose removal was stopped.
RECORDS = "removed-*.json"
RECORDS_DIR = "var/lib/ironbinder"
NODES = "{range .items[*]}{.metadata.name}{' '}{.status.nodeInfo.machineID}{'\\n'}{end}"


def _removed(root: Path) -> dict[str, dict[str, str]]:
    """Read the records of removed nodes: {name: {machine_id, at}}, `at` in ISO 8601. A record's name alone says enough."""
    found: dict[str, dict[str, str]] = {}
    for file in sorted((root / RECORDS_DIR).glob(RECORDS)):
        try:
            told = json.loads(file.read_bytes())
        except (OSError, ValueError):
            told = {}
        words = told if isinstance(told, dict) else {}
        found[file.stem.partition("-")[2]] = {part: _text(words.get(part)) for part in ("machine_id", "at")}
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def member_facts(root: Path, ask: Ask = ask_kubectl) -> dict[str, Any]:
    """Tell what a machine is to a site.

    Args:
        root: where the file system of the machine starts.
        ask: runs a command and gives what it prints, nothing where it failed.

    Returns:
        `was`, the groups whose stage has ended well here; on a head also `nodes`, {name: machine-id} of the cluster's nodes,
        empty where it does not answer, and `removed`, {name: {machine_id, at}} of nodes that were removed from it.
    """
    told: dict[str, Any] = {"was": [group for group, mark in MARKS.items() if (root / mark).exists()]}
    if not (root / ADMIN_CONF).exists():
        return told
    argv = ["kubectl", "--kubeconfig", str(root / ADMIN_CONF), f"--request-timeout={QUESTION_SECONDS}s"]
    lines = ask([*argv, "get", "nodes", "--output", f"jsonpath={NODES}"]).splitlines()
    nodes = {name: machine for name, _, machine in (line.partition(" ") for line in lines) if name}
    return {**told, "nodes": nodes, "removed": _removed(root)}
