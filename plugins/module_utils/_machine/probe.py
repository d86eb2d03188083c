# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a machine says about itself beyond Ansible's facts. Runs on targets, reads only, never raises."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from ansible_collections.ironbinder.platform.plugins.module_utils._machine.cluster_facts import (
    installed_version,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.proc import Proc

__all__ = ["MachineProbe"]

# What role docker gives to builds, and where the kernel tells its memory, with control groups of version 2 and 1.
BUILDS_SLICE = "ironbinder-builds.slice"
# A dash in a slice's name is a level, systemd.slice(5).
BUILDS_GROUP = f"ironbinder.slice/{BUILDS_SLICE}"
BUILDS_MEMORY = (f"{BUILDS_GROUP}/memory.max", f"memory/{BUILDS_GROUP}/memory.limit_in_bytes")
# Version 1 writes no limit as the largest number of pages.
UNLIMITED = 1 << 60
# Where images, builds and what sessions write lie.
STORES = ("var/lib/docker", "var/lib/containerd", "var/lib/kubelet")
INOTIFY = ("max_user_instances", "max_user_watches")


class MachineProbe:
    """Looks at one machine below `root` (`/`, or a folder in tests).

    What cannot be read counts as not being there: whether this is root is the caller's to tell.
    """

    def __init__(self, root: Path, release: str) -> None:
        self.root = root
        self.release = release
        self._proc = Proc(root, strict=False)

    def machine_id(self) -> str:
        """The machine-id, `` where there is none."""
        return self._proc.text("etc/machine-id").strip()

    def swaps(self) -> list[str]:
        """Devices and files that the kernel swaps to."""
        return [swap.name for swap in self._proc.swaps()]

    def modules(self, names: Sequence[str]) -> dict[str, str]:
        """Say of each kernel module whether it is `present`, `loadable`, `absent` or `unknown`."""
        return {name: self._proc.module(name, self.release) for name in names}

    def cgroup(self) -> dict[str, Any]:
        """The cgroup version, 0 where there are none, and the controllers that can be used."""
        return {"version": self._proc.cgroup_version(), "controllers": self._proc.cgroup_controllers()}

    def resolver(self) -> dict[str, bool]:
        """Whether the machine's name server is itself (`loopback`), and whether pods find one (`usable`)."""
        told = self._proc.resolver()
        return {
            "loopback": told.is_loopback,
            "usable": bool(told.resolv_conf) or not told.is_loopback,
        }

    def neighbours(self) -> Mapping[str, str]:
        """The kernel's table of IPv4 neighbours: {address: hardware address}."""
        return self._proc.neighbours()

    def disk(self, path: str = "var/lib") -> dict[str, Any]:
        """Free space and size where images will lie, in MB; None where it cannot be told.

        `mounts` tells the same of each file system on which a store is, with the `paths` of these stores.
        """
        mounts: dict[int, dict[str, Any]] = {}
        for store in STORES:
            try:
                device = self._nearest(store).stat().st_dev
            except OSError:
                continue
            mounts.setdefault(device, {**self._space(store), "paths": []})["paths"].append(f"/{store}")
        return {**self._space(path), "mounts": list(mounts.values())}

    def _space(self, path: str) -> dict[str, Any]:
        try:
            told = os.statvfs(self._nearest(path))
        except OSError:
            return {"path": f"/{path}", "free_mb": None, "size_mb": None}
        free, size = (blocks * told.f_frsize // 1_000_000 for blocks in (told.f_bavail, told.f_blocks))
        return {"path": f"/{path}", "free_mb": free, "size_mb": size}

    def builds(self) -> dict[str, Any]:
        """Whether builds have a slice here, and the memory to which the kernel holds it; None where it does not."""
        told = (self._proc.text(f"sys/fs/cgroup/{way}").strip() for way in BUILDS_MEMORY)
        known = [int(text) for text in told if text.isdigit()]
        return {
            "slice": self._proc.exists(f"etc/systemd/system/{BUILDS_SLICE}"),
            "memory_bytes": known[0] if known and known[0] < UNLIMITED else None,
        }

    def capacity(self, stores: Sequence[str] = STORES) -> dict[str, Any]:
        """What `make capacity` counts with beside Ansible's facts.

        Returns:
            `boot_id`, the same for all containers of one computer, `` where it cannot be told; `file_systems` of `stores`, each
            {path, device, total_bytes}, those that cannot be told left out; `inotify`, limits of one user by name.
        """
        return {
            "boot_id": self._proc.kernel_parameter("kernel.random.boot_id"),
            "file_systems": [told for store in stores if (told := self._file_system(store)) is not None],
            "inotify": {
                name: int(text)
                for name in INOTIFY
                if (text := self._proc.kernel_parameter(f"fs.inotify.{name}")).isdigit()
            },
        }

    def _file_system(self, store: str) -> Optional[dict[str, Any]]:
        try:
            place = self._nearest(store)
            told = os.statvfs(place)
            return {
                "path": f"/{store}",
                "device": place.stat().st_dev,
                "total_bytes": told.f_blocks * told.f_frsize,
            }
        except OSError:
            return None

    def _nearest(self, path: str) -> Path:
        """Give the folder, or the one in which it will be."""
        place = self.root / path
        while not self._proc.exists(str(place.relative_to(self.root))) and place != self.root:
            place = place.parent
        return place

    def listening(self) -> list[dict[str, Any]]:
        """Listening TCP ports with the process that holds each, `` where it cannot be seen."""
        return [{"port": port, "process": process} for port, process in self._proc.listening().items()]

    def kubernetes(self) -> dict[str, Any]:
        """Whether a kubelet has joined, and the versions of kubelet and API that are set up here."""
        manifest = self._proc.text("etc/kubernetes/manifests/kube-apiserver.yaml")
        image = re.search(r"image: *\S+/kube-apiserver:v?([0-9.]+)", manifest)
        return {
            "joined": self._proc.exists("etc/kubernetes/kubelet.conf"),
            "api_version": image.group(1) if image else "",
            "kubelet_version": installed_version(self.root, "kubelet"),
        }

    def docker(self) -> dict[str, Any]:
        """Whether Docker's socket is there, and whose it is: `docker`, `podman` or ``."""
        try:
            target = str((self.root / "run/docker.sock").readlink())
        except OSError:  # no link
            target = ""
        if not (target or self._proc.exists("run/docker.sock")):
            return {"socket": False, "engine": ""}
        return {"socket": True, "engine": "podman" if "podman" in target else "docker"}
