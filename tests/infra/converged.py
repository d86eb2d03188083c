# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Whether a site has converged after whatever happened to it: the definition, and the look at each machine.

Converged means: a run ended with 0 and proved a launch, the next one changed nothing, and of what `look` tells of every machine
`faults` finds nothing: etcd's members are the heads, the nodes are the inventory's and ready, no token to join is left, no Helm
release is between two states, no package is half installed, no file half written, and nobody has the site's lock.

As a program it runs on any machine (Python 3.9, root, reads only) and prints what `look` tells as JSON.
"""

from __future__ import annotations

import json
import os
import re
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

FOLDERS = ("/etc", "/opt/cni", "/usr/local", "/var/lib/ironbinder")
# What write_atomically, Ansible's modules, dpkg and editors of lines leave beside a file when they are killed.
HALF_WRITTEN = re.compile(r"\..+\.[a-z0-9_]{8}|\.ansible_tmp.+|.+\.dpkg-(new|tmp)")
# What a stage begins with and takes away at its end: attempts, tokens, and the lease of the site's lock.
BEGUN = (
    "/var/lib/ironbinder/kubeadm-init.begun.json",
    "/var/lib/ironbinder/kubeadm-join.begun.json",
    "/var/lib/ironbinder/kubeadm-join.yaml",
    "/var/lib/ironbinder/site-lock.json",
    "/etc/kubernetes/bootstrap-kubelet.conf",
)
ADMIN = "/etc/kubernetes/admin.conf"
ETCD = Path("/etc/kubernetes/pki/etcd")
MEMBERS = "https://127.0.0.1:2379/v3/cluster/member/list"
IN_MOTION = ("pending-install", "pending-upgrade", "pending-rollback", "uninstalling", "failed")
TOKENS = "type=bootstrap.kubernetes.io/token"
SECONDS = 20


def half_written(folders: Iterable[str] = FOLDERS) -> list[str]:
    """Name what looks like a file that somebody was writing when it was killed."""
    found = []
    for folder in folders:
        for place, _, names in os.walk(folder):
            found += [f"{place}/{name}" for name in names if HALF_WRITTEN.fullmatch(name)]
    return sorted(found)


def run(*command: str) -> str:
    """Give what a command prints, and its error where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{command[0]}: {type(error).__name__}"
    return done.stdout if done.returncode == 0 else done.stdout + done.stderr


def items(*what: str) -> list[dict[str, Any]]:
    """Ask the cluster for a list of objects. Raises ValueError with what it said instead."""
    told = run("kubectl", "--kubeconfig", ADMIN, "--request-timeout=10s", "get", *what, "--output=json")
    try:
        found: list[dict[str, Any]] = json.loads(told)["items"]
    except (ValueError, KeyError) as error:
        raise ValueError(" ".join(told.split())[-200:]) from error
    return found


def members() -> list[str]:
    """Name etcd's members, by etcd's own gateway: it needs no program beside the server."""
    trust = ssl.create_default_context(cafile=str(ETCD / "ca.crt"))
    trust.load_cert_chain(ETCD / "healthcheck-client.crt", ETCD / "healthcheck-client.key")
    asked = urllib.request.Request(MEMBERS, data=b"{}", method="POST")
    with urllib.request.urlopen(asked, context=trust, timeout=SECONDS) as answer:
        # One that has not started yet has no name.
        return sorted(entry.get("name", "") for entry in json.load(answer)["members"])


def cluster() -> dict[str, Any]:
    """Tell what the cluster says of itself, on a head."""
    try:
        nodes = {
            item["metadata"]["name"]: any(
                entry["type"] == "Ready" and entry["status"] == "True"
                for entry in item["status"].get("conditions") or []
            )
            and not item["spec"].get("unschedulable")
            for item in items("nodes")
        }
        releases: dict[str, tuple[int, str]] = {}
        for item in items("secrets", "--all-namespaces", "--selector=owner=helm"):
            labels = item["metadata"]["labels"]
            name = f"{item['metadata']['namespace']}/{labels['name']}"
            # What was left behind stays in the history; the newest revision is what the release is.
            releases[name] = max(releases.get(name, (0, "")), (int(labels["version"]), labels["status"]))
        tokens = [
            item["metadata"]["name"]
            for item in items("secrets", "-nkube-system", f"--field-selector={TOKENS}")
        ]
        return {"nodes": nodes, "releases": releases, "tokens": tokens, "members": members(), "error": ""}
    except (OSError, ValueError, KeyError) as error:
        return {"error": str(error) or type(error).__name__}


def look() -> dict[str, Any]:
    """Tell what one machine has that a finished run does not leave, and on a head what the cluster says."""
    return {
        "half_written": half_written(),
        "begun": [path for path in BEGUN if os.path.lexists(path)],
        "dpkg": [line for line in run("dpkg", "--audit").splitlines() if line.strip()][:5],
        "journal": sorted(entry.name for entry in Path("/var/lib/dpkg/updates").glob("*")),
        "cluster": cluster() if Path(ADMIN).exists() else None,
    }


def faults(told: Mapping[str, Mapping[str, Any]], heads: Iterable[str], workers: Iterable[str]) -> list[str]:
    """Say what keeps a site from having converged.

    Args:
        told: what `look` says of each machine, by its name in the inventory.
        heads: names of the heads, of which there has to be one.
        workers: names of the workers.

    Returns:
        A line for each fault, beginning with the machine's name; none where all is well.
    """
    heads, workers = list(heads), list(workers)
    found = [f"{name}: {fault}" for name, machine in told.items() for fault in _of_machine(machine)]
    for name in heads:
        seen = told.get(name, {}).get("cluster")
        if not seen:
            found.append(f"{name}: has no cluster")
        elif seen["error"]:
            found.append(f"{name}: its cluster says {seen['error']}")
        else:
            found += [f"{name}: {fault}" for fault in _of_cluster(seen, heads, workers)]
    return found


def _of_machine(machine: Mapping[str, Any]) -> Iterator[str]:
    for path in machine["half_written"]:
        yield f"half written: {path}"
    for path in machine["begun"]:
        yield f"begun and not ended: {path}"
    for line in machine["dpkg"]:
        yield f"dpkg says: {line}"
    if machine["journal"]:
        yield f"dpkg was interrupted: {len(machine['journal'])} files in its journal"


def _of_cluster(seen: Mapping[str, Any], heads: list[str], workers: list[str]) -> Iterator[str]:
    if sorted(seen["members"]) != sorted(heads):
        yield f"etcd's members are {seen['members']}, and the heads {sorted(heads)}"
    nodes, wanted = set(seen["nodes"]), {*heads, *workers}
    for name in sorted(nodes - wanted):
        yield f"stray node {name}"
    for name in sorted(wanted - nodes):
        yield f"no node {name}"
    for name in sorted(nodes & wanted):
        if not seen["nodes"][name]:
            yield f"node {name} is not ready, or takes no pods"
    for token in seen["tokens"]:
        yield f"stray token {token}"
    for release, (revision, status) in seen["releases"].items():
        if status in IN_MOTION:
            yield f"Helm release {release} is {status} in revision {revision}"


if __name__ == "__main__":
    json.dump(look(), sys.stdout)
