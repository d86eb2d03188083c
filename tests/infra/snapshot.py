# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Everything about a machine that a run could have changed, as JSON. Runs on any host: Python 3.9, reads only."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

FOLDERS = (
    "/etc",
    "/root",
    "/home",
    "/opt",
    "/srv",
    "/usr/local",
    "/var/lib/ironbinder",
    "/var/lib/kubelet/config.yaml",
    "/var/www",
)
# What the login itself leaves behind, whoever logs in, and kubectl, which is asked here; and what a head writes by the clock.
SKIPPED = (
    "/var/lib/ironbinder/etcd-snapshot",
    "/var/lib/ironbinder/certificates.json",
    # Whoever runs kubeadm, the clock among them, writes its name into it, and wipes it out.
    "/var/lib/ironbinder/kubeadm.lock",
    "/var/lib/ironbinder/.unfinished-",
    "/root/.ansible",
    "/root/.cache",
    "/root/.kube/cache",
    "/root/.ssh/known_hosts",
    "/etc/mtab",
    # What hubs and people write into their volumes, which are compared as objects.
    "/var/lib/ironbinder/volumes/pvc-",
    # Taken and given back by each run, a moment after the end of the one before.
    "/var/lib/ironbinder/site-lock.",
    *map(str, Path("/home").glob("*/.ansible")),
)
HASHED_BYTES = 2_000_000
# Kinds that live by themselves: heartbeats, and what controllers write about others.
RESTLESS = ("events", "events.events.k8s.io", "leases.coordination.k8s.io", "componentstatuses")
# People's sessions and builds come and go while the test runs.
PEOPLES = ("singleuser-server", "binderhub-build", "repo2docker-build")
COMMANDS = {
    "packages": ["dpkg-query", "-W", "-f", "${Package} ${Version} ${db:Status-Abbrev}\n"],
    # Without those that a container or a single command has while it runs.
    "units": ["sh", "-c", "systemctl list-unit-files --no-legend --no-pager | grep -v ' transient '"],
    "running services": [
        "systemctl",
        "list-units",
        "--type=service",
        "--state=running",
        "--no-legend",
        "--plain",
    ],
    "Docker containers": ["docker", "ps", "--all", "--no-trunc", "--format", "{{.ID}} {{.State}}"],
    "Docker images": ["docker", "images", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}"],
    "swap": ["cat", "/proc/swaps"],
    "routes": ["ip", "route"],
    "kernel modules": ["sh", "-c", "cut -d' ' -f1 /proc/modules | sort"],
}
ADMIN = "/etc/kubernetes/admin.conf"


def describe(path: str) -> str:
    """One file as text: kind, mode, owner, and content or target."""
    told = os.lstat(path)
    about = f"{stat.filemode(told.st_mode)} {told.st_uid}:{told.st_gid}"
    if stat.S_ISLNK(told.st_mode):
        return f"{about} -> {os.readlink(path)}"  # noqa: PTH115 the text as it is, without normalising
    if stat.S_ISREG(told.st_mode):
        content = (
            Path(path).read_bytes()
            if told.st_size <= HASHED_BYTES
            else f"{told.st_size} {told.st_mtime_ns}".encode()
        )
        return f"{about} {told.st_mtime_ns} {hashlib.sha256(content).hexdigest()[:20]}"
    return about


def tree(folders: Iterable[str], skipped: tuple[str, ...] = SKIPPED) -> dict[str, str]:
    """Every file below these folders."""
    found: dict[str, str] = {}

    def add(path: str) -> None:
        try:
            found[path] = describe(path)
        except OSError as error:  # gone in the meantime, which is a difference, too
            found[path] = f"unreadable: {error.strerror}"

    for folder in folders:
        if os.path.lexists(folder):
            add(folder)
        for place, names, entries in os.walk(folder):
            names[:] = [name for name in names if not f"{place}/{name}".startswith(skipped)]
            for entry in (*names, *entries):
                if not f"{place}/{entry}".startswith(skipped):
                    add(f"{place}/{entry}")
    return found


def run(command: list[str]) -> list[str]:
    """Lines of a command's output, sorted; none where the program is missing."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        return [f"not to be had: {type(error).__name__}"]
    return sorted(done.stdout.splitlines()) if done.returncode == 0 else [f"exit {done.returncode}"]


# Tokens that workers join with expire by themselves, and kube-public tells who may still use one.
FLEETING = ("Secret kube-system/bootstrap-token-", "ConfigMap kube-public/cluster-info")


def objects(documents: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Kubernetes' objects by what somebody wanted of them; their status and versions live by themselves."""
    found = {}
    for item in documents:
        about = item.get("metadata", {})
        if (about.get("labels") or {}).get("component") in PEOPLES:
            continue
        name = f"{item.get('kind')} {about.get('namespace', '-')}/{about.get('name')}"
        if name.startswith(FLEETING):
            continue
        wanted = {key: value for key, value in item.items() if key not in ("metadata", "status")}
        meant = {key: about.get(key) for key in ("uid", "labels", "generation")}
        text = json.dumps([wanted, meant], sort_keys=True, default=str)
        found[name] = hashlib.sha256(text.encode()).hexdigest()[:20]
    return found


def cluster() -> dict[str, str]:
    """All objects of the cluster, where this machine is a head."""
    if not Path(ADMIN).is_file():
        return {}
    kubectl = ["kubectl", "--kubeconfig", ADMIN]
    kinds = [
        kind
        for kind in run([*kubectl, "api-resources", "--verbs=list", "--output=name"])
        if kind not in RESTLESS
    ]
    done = subprocess.run(
        [*kubectl, "get", ",".join(kinds), "--all-namespaces", "--output=json"],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return objects(json.loads(done.stdout)["items"])


def snapshot() -> dict[str, Any]:
    """The whole machine."""
    told: dict[str, Any] = {name: run(command) for name, command in COMMANDS.items()}
    return {**told, "files": tree(FOLDERS), "Kubernetes objects": cluster()}


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What differs between two snapshots, a line each."""
    found = []
    for part in sorted({*before, *after}):
        old, new = before.get(part), after.get(part)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
            found += [
                f"{part}: {name}: {old.get(name, 'was not there')} -> {new.get(name, 'is gone')}"
                for name in names
            ]
        elif old != new:
            gone, come = set(old or ()) - set(new or ()), set(new or ()) - set(old or ())
            found += [f"{part}: - {line}" for line in sorted(gone)] + [
                f"{part}: + {line}" for line in sorted(come)
            ]
    return found


if __name__ == "__main__":
    json.dump(snapshot(), sys.stdout)
