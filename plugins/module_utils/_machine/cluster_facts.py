# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a machine knows of the cluster that it belongs to. Runs on targets, reads only."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._machine.hub_facts import hub_facts
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.storage_facts import storage_facts

__all__ = ["ask_kubectl", "cluster_facts", "installed_version"]

ADMIN_CONF = "etc/kubernetes/admin.conf"
CONTROLLER_MANAGER = "etc/kubernetes/manifests/kube-controller-manager.yaml"
# Written by the module kubeadm when it has seen the control plane work.
MARKER = "var/lib/ironbinder/kubeadm-init.json"
CONFIG_MAP = "/api/v1/namespaces/kube-system/configmaps/kubeadm-config"
# An API that refuses does so at once; one that takes longer is one that preflight does not wait for.
QUESTION_SECONDS = 2
# Keys of kubeadm's ClusterConfiguration, and what they are called here.
# https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/#kubeadm-k8s-io-v1beta4-ClusterConfiguration
KEYS = {
    "clusterName": "name",
    "controlPlaneEndpoint": "api_endpoint",
    "networking.podSubnet": "pod_subnet",
    "networking.serviceSubnet": "service_subnet",
}
FLAGS = {"cluster-name": "name", "cluster-cidr": "pod_subnet", "service-cluster-ip-range": "service_subnet"}
# Files by which a pod network of ours or of Calico's is known, and those that container engines bring along.
CNI_DIR = "etc/cni/net.d"
PROVIDERS = (("10-ironbinder.conflist", "routed"), ("10-calico.conflist", "calico"))
ENGINES = re.compile(r".*(podman|loopback|crio|nerdctl|containerd-net).*")

Ask = Callable[[Sequence[str]], str]


def ask_kubectl(argv: Sequence[str], timeout_seconds: float = QUESTION_SECONDS + 1) -> str:
    """Give what a command prints, nothing where it fails, is not there, or takes too long."""
    around = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    try:
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=around,
            text=True,
            errors="replace",
            timeout=timeout_seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def installed_version(root: Path, package: str) -> str:
    """Give the version of an installed package from dpkg's own list, `2.4.2` of 2.4.2-1~debian.12; else ``."""
    found = re.search(
        rf"^Package: {re.escape(package)}\n(?:.+\n)*?Status: \S+ \S+ installed\n(?:.+\n)*?Version: (?:\d+:)?([0-9.]+)",
        _text(root / "var/lib/dpkg/status"),
        re.MULTILINE,
    )
    return found.group(1) if found else ""


def _read_configuration(text: str) -> dict[str, str]:
    """Read the few values of a ClusterConfiguration, which kubeadm writes one a line. Targets may lack PyYAML."""
    found, parent = {}, ""
    for line in text.splitlines():
        entry = re.match(r"( {0,2})(\w+): *(.*)$", line)
        if not entry:
            continue
        indent, key, value = entry.groups()
        if not indent:
            parent = key
        name = KEYS.get(f"{parent}.{key}" if indent else key)
        if name and value:
            found[name] = value.strip().strip("\"'")
    return found


def _kubectl(root: Path) -> list[str]:
    return ["kubectl", "--kubeconfig", str(root / ADMIN_CONF), f"--request-timeout={QUESTION_SECONDS}s"]


def _get(root: Path, ask: Ask, path: str) -> str:
    return ask([*_kubectl(root), "get", "--raw", path])


def _from_api(root: Path, ask: Ask) -> dict[str, str]:
    try:
        answer = json.loads(_get(root, ask, CONFIG_MAP))
        return _read_configuration(answer["data"]["ClusterConfiguration"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _from_files(root: Path) -> dict[str, str]:
    flags = dict(re.findall(r"^\s*- --([\w-]+)=(\S+)$", _text(root / CONTROLLER_MANAGER), re.MULTILINE))
    found = {name: flags[flag] for flag, name in FLAGS.items() if flag in flags}
    server = re.search(r"^\s+server: https://(\S+)$", _text(root / ADMIN_CONF), re.MULTILINE)
    return {**found, **({"api_endpoint": server.group(1)} if server and found else {})}


def _mark(root: Path) -> tuple[bool, bool]:
    """Say whether Ironbinder saw this control plane work, and whether it made it."""
    text = _text(root / MARKER)
    try:
        action = json.loads(text)["action"]
    except (ValueError, KeyError, TypeError):
        return bool(text), False
    return True, action != "adopt"


def _networks(root: Path) -> list[str]:
    try:
        names = sorted(entry.name for entry in (root / CNI_DIR).iterdir())
    except OSError:
        return []
    known = dict(PROVIDERS)
    # What the runtime reads at all, https://github.com/containernetworking/cni/blob/main/libcni/api.go
    configurations = [name for name in names if name.endswith((".conf", ".conflist", ".json"))]
    return list(
        dict.fromkeys(known.get(name, "manifest") for name in configurations if not ENGINES.fullmatch(name))
    )


def cluster_facts(root: Path, ask: Ask = ask_kubectl) -> dict[str, Any]:
    """Tell what this machine knows of its cluster.

    Args:
        root: where the file system of the machine starts.
        ask: runs a command and gives what it prints, nothing where it failed.

    Returns:
        `networks`, of the pod networks set up here: routed, calico, manifest (somebody else's);
        `containerd_version`; and `source`: `api` or `files`, empty where no cluster is known to work.
        With a source also what the cluster was made with: `name`, `pod_subnet`, `service_subnet`,
        `api_endpoint`, and `made_here`, whether Ironbinder made it. Where the API answered also `storage`, see `storage_facts`,
        and `hubs`, see `hub_facts`.
    """
    told: dict[str, Any] = {
        "source": "",
        "networks": _networks(root),
        "containerd_version": installed_version(root, "containerd.io"),
    }
    if not (root / ADMIN_CONF).exists():
        return told
    api, files = _from_api(root, ask), _from_files(root)
    worked, made_here = _mark(root)
    # What kubeadm left behind when it was stopped is no cluster: the next run clears it away.
    source = "api" if api else "files" if files and worked else ""
    if api:
        told["storage"] = storage_facts(lambda path: _get(root, ask, path))
        told["hubs"] = hub_facts(_kubectl(root), ask)
    return {**told, "source": source, "made_here": made_here, **files, **api} if source else told
