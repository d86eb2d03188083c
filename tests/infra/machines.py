# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The lab's machines, switched off and on, and what of them is not back yet."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import Any

from live_site import Site

SECONDS = 300
KUBECTL = ("kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "--request-timeout=10s")
# What people started. It ends with the machine, and nobody starts it again.
OF_PEOPLE = ("jupyter-", "build-")


def container(name: str) -> str:
    """Name what stands for a machine."""
    return f"ironbinder-{name}"


def on(name: str, *command: str) -> str:
    """Run a command on a machine, as root and without its network, and give what it prints, "" where it fails."""
    ran = subprocess.run(
        ["docker", "exec", container(name), *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    return ran.stdout if ran.returncode == 0 else ""


def restart(names: Sequence[str]) -> datetime:
    """Switch machines off, all at once, and on again; give the time at which all were off."""
    containers = list(map(container, names))
    subprocess.run(["docker", "stop", *containers], check=True, capture_output=True, timeout=SECONDS)
    off = datetime.now(timezone.utc)
    subprocess.run(["docker", "start", *containers], check=True, capture_output=True, timeout=SECONDS)
    return off


def cut_off(name: str) -> datetime:
    """Take the power from a machine; give the time at which it was off."""
    subprocess.run(["docker", "kill", container(name)], check=True, capture_output=True, timeout=SECONDS)
    return datetime.now(timezone.utc)


def switch_on(name: str) -> None:
    """Give it back."""
    subprocess.run(["docker", "start", container(name)], check=True, capture_output=True, timeout=SECONDS)


def lacking(site: Site, since: datetime) -> list[str]:
    """Say what is not as it has to be after a restart, of all machines."""
    nodes = site.hosts("head", "workers")
    found = []
    for name in site.hosts("head", "workers", "proxy", "registry"):
        found += [f"{name}: {fault}" for fault in _of_machine(name, name in nodes, since)]
    # Of no use before the machines are there.
    return found or list(_of_cluster(site.hosts("head")[0], since))


def _of_machine(name: str, is_node: bool, since: datetime) -> Iterator[str]:
    state = on(name, "sh", "-c", "systemctl is-system-running; true").strip()
    if state != "running":
        yield f"systemd is {state or 'not there'}: {on(name, 'systemctl', '--failed', '--plain', '--no-legend').split()}"
        return
    if not is_node:
        return
    if "machines of this site" not in on(name, "cat", "/etc/hosts"):
        yield "/etc/hosts has lost the site's machines"
    missing = on(name, "sh", "-c", "ironbinder-pod-network check || echo it cannot be asked")
    if missing:
        yield f"the pod network lacks {missing.splitlines()}"
    if not on(name, "nft", "list", "table", "inet", "ironbinder_guard"):
        yield "the guard has no table"
    # Not every node has builds.
    builds = ["docker"] if on(name, "systemctl", "cat", "docker.service") else []
    began = {unit: _began(name, unit) for unit in ("ironbinder-guard", "kubelet", *builds)}
    # Where a machine was not off, its first run may have started the guard after what it guards.
    if min(began.values()) <= 0 or (
        _has_started(name, since) and began["ironbinder-guard"] > min(began.values())
    ):
        yield f"the guard has to be there first: {began}"
    if builds and on(name, "systemctl", "is-active", "ironbinder-builds.slice").strip() != "active":
        yield "builds have no slice"


def _began(name: str, unit: str) -> int:
    """Give when a unit was started, in microseconds of the machine's own; 0 where it does not run."""
    told = on(name, "systemctl", "show", "--property=ActiveEnterTimestampMonotonic", "--value", unit).strip()
    return int(told or 0)


def _has_started(name: str, since: datetime) -> bool:
    """Tell whether a machine of the lab, which has this computer's clock, was started since then."""
    told = on(name, "systemctl", "show", "--property=UserspaceTimestampMonotonic", "--value").strip()
    ago = (datetime.now(timezone.utc) - since).total_seconds()
    return int(told or 0) / 1e6 >= time.monotonic() - ago


def _of_cluster(head: str, since: datetime) -> Iterator[str]:
    for item in _items(head, "leases", "--namespace=kube-node-lease"):
        renewed = datetime.fromisoformat(item["spec"]["renewTime"].replace("Z", "+00:00"))
        # A node counts as ready for 40 seconds after its last word.
        if renewed < since:
            yield f"the kubelet of {item['metadata']['name']} has not reported since"
    nodes = _items(head, "nodes")
    yield from (f"node {item['metadata']['name']} is not ready" for item in nodes if not is_ready(item))
    if not nodes:
        yield "the API does not answer"
    for item in _items(head, "pods", "--all-namespaces"):
        name, phase = item["metadata"]["name"], item.get("status", {}).get("phase")
        if not name.startswith(OF_PEOPLE) and phase not in ("Succeeded", "Failed") and not is_ready(item):
            yield f"pod {name} is not ready"


def _items(head: str, *what: str) -> list[dict[str, Any]]:
    told = on(head, *KUBECTL, "get", *what, "--output=json")
    items: list[dict[str, Any]] = json.loads(told)["items"] if told else []
    return items


def is_ready(item: dict[str, Any]) -> bool:
    """Say whether a node or a pod calls itself ready."""
    conditions = item.get("status", {}).get("conditions") or []
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)
