# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a machine was before it became a site's: what Ironbinder would stop or be stopped by. Reads only, never raises."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._machine.past_nginx import (
    CONFFILES_OF,
    nginx_facts,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.past_packages import (
    DpkgStatus,
    foreign_sources,
    journal_is_left,
    locks,
    read_dpkg,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.proc import Proc
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.removals import LEDGER_FILE, Ledger

__all__ = ["past_facts"]

DOCKER_PACKAGES = ("docker-ce", "docker.io", "moby-engine", "docker-engine")
CONTAINERD_PACKAGES = ("containerd", "containerd.io", "moby-containerd")
# What roles write when they make Docker, containerd and NGINX theirs. The ledger knows of packages from before they did.
DOCKER_MARK = "etc/systemd/system/docker.service.d/ironbinder-builds.conf"
CONTAINERD_MARK = ("etc/containerd/config.toml", "Managed by Ironbinder (role containerd)")
NGINX_MARK = "etc/nginx/conf.d/ironbinder.conf"
DAEMON_JSON = "etc/docker/daemon.json"
# One folder a container: <name space>/<id>, as containerd's shims keep it.
TASKS = "run/containerd/io.containerd.runtime.v2.task"
SNAP = ("var/snap/docker", "snap/docker")
# Markers of the module kubeadm: what it began, and what it saw work.
CLUSTER_MARKS = tuple(
    f"var/lib/ironbinder/kubeadm-{verb}{ending}.json"
    for verb in ("init", "join")
    for ending in ("", ".begun")
)
MANIFESTS = "etc/kubernetes/manifests"
LEFTOVERS = (
    "etc/kubernetes/admin.conf",
    "etc/kubernetes/kubelet.conf",
    "etc/kubernetes/bootstrap-kubelet.conf",
    "var/lib/etcd/member",
)
KUBELET_CONF = "etc/kubernetes/kubelet.conf"
# Units that call swapon themselves, so that fstab and swap.target say nothing of them, by a file that comes with each.
SWAP_UNITS = (
    ("dphys-swapfile.service", "sbin/dphys-swapfile"),
    ("dphys-swapfile.service", "usr/sbin/dphys-swapfile"),
    ("zramswap.service", "usr/sbin/zramswap"),
    ("zram-config.service", "usr/bin/init-zram-swapping"),
    ("systemd-zram-setup@.service", "etc/systemd/zram-generator.conf"),
    ("systemd-zram-setup@.service", "usr/lib/systemd/zram-generator.conf"),
)
SWAP_OFF = "etc/systemd/system/ironbinder-swapoff.service"
CLOUD_OFF = "etc/cloud/cloud-init.disabled"
CLOUD_FILES = ("etc/cloud/cloud.cfg", "etc/cloud/cloud.cfg.d", "var/lib/cloud/instance/cloud-config.txt")
# Later ones win, and among folders the first that has a file of a name; sysctl.d(5). Debian links sysctl.conf as 99-sysctl.conf.
SYSCTL_FOLDERS = ("etc/sysctl.d", "run/sysctl.d", "usr/local/lib/sysctl.d", "usr/lib/sysctl.d")
OUR_SYSCTL = "90-ironbinder.conf"
PARAMETERS = (
    "net.ipv4.ip_forward",
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
    "fs.inotify.max_user_instances",
    "fs.inotify.max_user_watches",
)


def past_facts(root: Path, releases: Sequence[str] = ()) -> dict[str, Any]:
    """Tell what a machine was.

    Args:
        root: where its file system starts.
        releases: URLs of the InRelease of each apt repository that Ironbinder brings along.

    Returns:
        `docker`, `containerd`, `crio` (a version, or ``), `apt`, `dpkg`, `locks`, `cluster`, `swap_units`, `cloud_hosts` (a file,
        or ``), `apparmor`, `sysctls` and `nginx`: each as its function here says.
    """
    machine = Past(root)
    return {
        "docker": machine.docker(),
        "containerd": machine.containerd(),
        "crio": machine.crio(),
        "apt": foreign_sources(machine.proc, releases),
        "dpkg": machine.half_done(),
        "locks": locks(machine.proc),
        "cluster": machine.cluster(),
        "swap_units": machine.swap_units(),
        "cloud_hosts": machine.cloud_hosts(),
        "apparmor": machine.apparmor(),
        "sysctls": list(machine.sysctls()),
        "nginx": machine.nginx(),
    }


class Past:
    """One machine below `root`."""

    def __init__(self, root: Path) -> None:
        self.proc = Proc(root, strict=False)
        self.dpkg: DpkgStatus = read_dpkg(self.proc, CONFFILES_OF)
        self._ours = Ledger(root / LEDGER_FILE).names()

    def _brought(self, packages: Sequence[str]) -> bool:
        return any(name in self._ours for name in self.dpkg.of(*packages))

    def docker(self) -> dict[str, Any]:
        """{packages: {name: version}, snap, ours, containers: [{name, restarts}]}, of those that run, where it is not ours."""
        packages, ours = self.dpkg.of(*DOCKER_PACKAGES), self._brought(DOCKER_PACKAGES)
        # The distribution's, which earlier releases took, makes way for Docker's own like anybody's.
        ours = ours or ("docker-ce" in packages and self.proc.exists(DOCKER_MARK))
        return {
            "packages": packages,
            "snap": any(self.proc.exists(folder) for folder in SNAP),
            "ours": ours,
            "containers": [] if ours or not packages else list(self._containers()),
        }

    def _containers(self) -> Iterator[dict[str, Any]]:
        """Read what dockerd keeps of each container. A process that is gone was running when the machine went down."""
        told = _json(self.proc.text(DAEMON_JSON)).get("data-root")
        home = told.lstrip("/") if isinstance(told, str) and told else "var/lib/docker"
        for folder in self._folders(f"{home}/containers"):
            state = _json(self.proc.text(f"{folder}/config.v2.json"))
            running = _mapping(state, "State")
            pid = running.get("Pid")
            if (
                running.get("Running") is not True
                or not isinstance(pid, int)
                or not self.proc.exists(f"proc/{pid}")
            ):
                continue
            policy = _mapping(_json(self.proc.text(f"{folder}/hostconfig.json")), "RestartPolicy")
            yield {
                "name": str(state.get("Name") or folder.rpartition("/")[2][:12]).lstrip("/"),
                "restarts": policy.get("Name") in ("always", "unless-stopped"),
            }

    def _folders(self, name: str) -> list[str]:
        try:
            return sorted(
                f"{name}/{entry.name}" for entry in (self.proc.root / name).iterdir() if entry.is_dir()
            )
        except OSError:
            return []

    def containerd(self) -> dict[str, Any]:
        """{packages, ours, running: {name space: how many}}."""
        file, mark = CONTAINERD_MARK
        running = {space.rpartition("/")[2]: len(self._folders(space)) for space in self._folders(TASKS)}
        return {
            "packages": self.dpkg.of(*CONTAINERD_PACKAGES),
            "ours": self._brought(CONTAINERD_PACKAGES) or mark in self.proc.text(file).partition("\n")[0],
            "running": {space: count for space, count in running.items() if count},
        }

    def crio(self) -> str:
        """Version of CRI-O, `present` where it runs without a package of Debian's, else ``."""
        version = self.dpkg.versions.get("cri-o", "")
        return version or ("present" if self.proc.exists("run/crio/crio.sock") else "")

    def half_done(self) -> dict[str, Any]:
        """{journal, packages: {name: state}, ours: whether all of these are}."""
        packages = self.dpkg.half_done
        return {
            "journal": journal_is_left(self.proc),
            "packages": packages,
            "ours": bool(packages) and set(packages) <= self._ours,
        }

    def cluster(self) -> dict[str, Any]:
        """{leftovers, ours: whether the module kubeadm worked here, server, ca: digests of the CAs that the kubelet trusts}."""
        found = [name for name in LEFTOVERS if self.proc.exists(name)]
        try:
            pods = sorted(entry.name for entry in (self.proc.root / MANIFESTS).iterdir())
        except OSError:
            pods = []
        found += [f"{MANIFESTS}/{name}" for name in pods if name.endswith((".yaml", ".yml", ".json"))]
        text = self.proc.text(KUBELET_CONF)
        server = re.search(r"^\s*server: *(\S+)$", text, re.MULTILINE)
        data = re.search(r"^\s*certificate-authority-data: *(\S+)$", text, re.MULTILINE)
        return {
            "leftovers": [f"/{name}" for name in found],
            "ours": any(self.proc.exists(name) for name in CLUSTER_MARKS),
            "server": server.group(1).strip("\"'") if server else "",
            "ca": _digests(data.group(1)) if data else [],
        }

    def swap_units(self) -> list[str]:
        """Units that call swapon, where no unit of role node takes that back."""
        if self.proc.exists(SWAP_OFF):
            return []
        return list(dict.fromkeys(unit for unit, file in SWAP_UNITS if self.proc.exists(file)))

    def cloud_hosts(self) -> str:
        """Name the file by which cloud-init writes /etc/hosts anew at each start, `` where none does."""
        if not self.proc.exists("etc/cloud") or self.proc.exists(CLOUD_OFF):
            return ""
        main, folder, given = CLOUD_FILES
        try:
            parts = sorted(f"{folder}/{entry.name}" for entry in (self.proc.root / folder).iterdir())
        except OSError:
            parts = []
        told = ""
        for name in (main, *(part for part in parts if part.endswith(".cfg")), given):
            for value in re.findall(r"^manage_etc_hosts: *(\S+)", self.proc.text(name), re.MULTILINE):
                # `localhost` keeps one line in order, and all others as they are.
                told = f"/{name}" if value.strip("\"'").lower() in ("true", "yes", "on", "template") else ""
        return told

    def apparmor(self) -> dict[str, bool]:
        """{enabled: in the kernel, parser: whether profiles can be loaded}."""
        enabled = self.proc.text("sys/module/apparmor/parameters/enabled").strip() == "Y"
        places = ("sbin/apparmor_parser", "usr/sbin/apparmor_parser")
        return {"enabled": enabled, "parser": any(self.proc.exists(name) for name in places)}

    def sysctls(self) -> Iterator[dict[str, str]]:
        """Settings of Ironbinder's parameters by files that are read after Ironbinder's: {file, name, value}."""
        first: dict[str, str] = {}
        for folder in SYSCTL_FOLDERS:
            try:
                names = sorted(entry.name for entry in (self.proc.root / folder).iterdir())
            except OSError:
                continue
            for name in names:
                if name.endswith(".conf") and name > OUR_SYSCTL:
                    first.setdefault(name, f"{folder}/{name}")
        found: dict[str, dict[str, str]] = {}
        for _, path in sorted(first.items()):
            for line in self.proc.text(path).splitlines():
                name, equals, value = line.strip().lstrip("-").partition("=")
                # A slash is as good as a dot, sysctl.d(5).
                name = name.strip().replace("/", ".")
                if equals and name in PARAMETERS:
                    # The last one that is read counts.
                    found[name] = {"file": f"/{path}", "name": name, "value": value.strip()}
        yield from found.values()

    def nginx(self) -> dict[str, Any]:
        """The sites of an NGINX, and whether it is Ironbinder's already."""
        told = nginx_facts(self.proc, self.dpkg)
        return {**told, "ours": self.proc.exists(NGINX_MARK) or "nginx" in self._ours}


def _json(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _mapping(told: dict[str, Any], key: str) -> dict[str, Any]:
    value = told.get(key)
    return value if isinstance(value, dict) else {}


def _digests(data: str) -> list[str]:
    """Digests of the certificates in base64 of PEM: a CA that is being exchanged stands beside its heir."""
    try:
        text = base64.b64decode(data, validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return []
    found = re.findall(r"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", text, re.DOTALL)
    return sorted(hashlib.sha256("".join(body.split()).encode()).hexdigest()[:16] for body in found)
