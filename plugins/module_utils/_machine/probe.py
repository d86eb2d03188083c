# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a machine says about itself beyond Ansible's facts. Runs on targets, reads only."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["MachineProbe"]

LISTEN = "0A"
# Signs that a module's work is done by the kernel, however it got there.
FEATURES = {
    "overlay": ("proc/filesystems", r"\boverlay\b"),
    "br_netfilter": ("proc/sys/net/bridge/bridge-nf-call-iptables", ""),
}


class MachineProbe:
    """Reads one machine below `root` (`/`, or a folder in tests)."""

    def __init__(self, root: Path, release: str) -> None:
        self.root = root
        self.release = release

    def _text(self, name: str) -> str:
        try:
            return (self.root / name).read_text(errors="replace")
        except OSError:
            return ""

    def machine_id(self) -> str:
        """The machine-id, `` where there is none."""
        return self._text("etc/machine-id").strip()

    def swaps(self) -> list[str]:
        """Devices and files that the kernel swaps to."""
        return [line.split()[0] for line in self._text("proc/swaps").splitlines()[1:] if line.split()]

    def modules(self, names: Sequence[str]) -> dict[str, str]:
        """Say of each kernel module whether it is `present`, `loadable`, `absent` or `unknown`."""
        loaded = {line.split()[0] for line in self._text("proc/modules").splitlines() if line.split()}
        folder = f"lib/modules/{self.release}"
        known = self._text(f"{folder}/modules.dep") + self._text(f"{folder}/modules.builtin")
        return {name: self._module(name, loaded, known) for name in names}

    def _module(self, name: str, loaded: set[str], known: str) -> str:
        path, pattern = FEATURES.get(name, ("", ""))
        if name in loaded or (path and (self.root / path).exists() and re.search(pattern, self._text(path))):
            return "present"
        if not known:
            return "unknown"
        return "loadable" if re.search(rf"/{re.escape(name).replace('_', '[-_]')}\.ko", known) else "absent"

    def cgroup(self) -> dict[str, Any]:
        """The cgroup version, and the controllers that are on."""
        unified = self._text("sys/fs/cgroup/cgroup.controllers").split()
        if unified:
            return {"version": 2, "controllers": unified}
        rows = [line.split() for line in self._text("proc/cgroups").splitlines() if not line.startswith("#")]
        controllers = [row[0] for row in rows if len(row) == 4 and row[3] == "1"]
        return {"version": 1 if controllers else 0, "controllers": controllers}

    def disk(self, path: str = "var/lib") -> dict[str, Any]:
        """Free space where images will lie, in MB."""
        place = self.root / path
        while not place.exists() and place != self.root:
            place = place.parent
        told = os.statvfs(place)
        return {"path": f"/{path}", "free_mb": told.f_bavail * told.f_frsize // 1_000_000}

    def _sockets(self) -> dict[str, int]:
        """Listening TCP sockets: {inode: port}."""
        found = {}
        for name in ("proc/net/tcp", "proc/net/tcp6"):
            for line in self._text(name).splitlines()[1:]:
                parts = line.split()
                if len(parts) > 9 and parts[3] == LISTEN:
                    found[parts[9]] = int(parts[1].rpartition(":")[2], 16)
        return found

    def listening(self) -> list[dict[str, Any]]:
        """Listening TCP ports with the process that holds each, `` where it cannot be seen."""
        holders = self._holders()
        if "" in holders.values():  # a service that restarts between the two looks has another socket now
            holders = self._holders()
        return [{"port": port, "process": holders[port]} for port in sorted(holders)]

    def _holders(self) -> dict[int, str]:
        sockets = self._sockets()
        holders: dict[int, str] = dict.fromkeys(sockets.values(), "")
        for process in (self.root / "proc").glob("[0-9]*"):
            try:
                links = [str(entry.readlink()) for entry in (process / "fd").iterdir()]
            except OSError:  # the process ended, or is somebody else's
                continue
            for link in links:
                port = sockets.get(link[8:-1]) if link.startswith("socket:[") else None
                if port is not None and not holders[port]:
                    holders[port] = self._text(f"proc/{process.name}/comm").strip()
        return holders

    def kubernetes(self) -> dict[str, Any]:
        """Whether a kubelet has joined, and the versions of kubelet and API that are set up here."""
        manifest = self._text("etc/kubernetes/manifests/kube-apiserver.yaml")
        image = re.search(r"image: *\S+/kube-apiserver:v?([0-9.]+)", manifest)
        return {
            "joined": (self.root / "etc/kubernetes/kubelet.conf").exists(),
            "api_version": image.group(1) if image else "",
            "kubelet_version": self._package_version("kubelet"),
        }

    def _package_version(self, package: str) -> str:
        """Version of an installed package, from dpkg's own list."""
        found = re.search(
            rf"^Package: {package}\n(?:.+\n)*?Status: \S+ \S+ installed\n(?:.+\n)*?Version: (?:\d+:)?([0-9.]+)",
            self._text("var/lib/dpkg/status"),
            re.MULTILINE,
        )
        return found.group(1) if found else ""

    def docker(self) -> dict[str, Any]:
        """Whether Docker's socket is there, and whose it is: `docker`, `podman` or ``."""
        socket = self.root / "run/docker.sock"
        if not (socket.exists() or socket.is_symlink()):
            return {"socket": False, "engine": ""}
        target = str(socket.readlink()) if socket.is_symlink() else ""
        return {"socket": True, "engine": "podman" if "podman" in target else "docker"}
