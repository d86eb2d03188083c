# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A machine made of files, as the probe sees it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.probe import MachineProbe

RELEASE = "6.1.0-test"

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 x
   1: 00000000:192B 00000000:0000 01 00000000:00000000 00:00000000 00000000     0        0 4243 1 x
"""
TCP6 = """\
  sl  local_address                         remote_address                        st
   0: 00000000000000000000000000000000:192B 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 4244 1 x
"""
STATUS = """\
Package: kubelet-extra
Status: install ok installed
Version: 9.9.9

Package: kubelet
Status: install ok installed
Priority: optional
Version: 1.36.3-1.1
"""


def write(root: Path, files: dict[str, str]) -> MachineProbe:
    """Make a machine of these files."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return MachineProbe(root, RELEASE)


def test_bare_machine(tmp_path: Path) -> None:
    """A machine without any of these files gives harmless answers."""
    probe = write(tmp_path, {})
    assert probe.machine_id() == ""
    assert probe.swaps() == []
    assert probe.modules(["overlay"]) == {"overlay": "unknown"}
    assert probe.cgroup() == {"version": 0, "controllers": []}
    assert probe.kubernetes() == {"joined": False, "api_version": "", "kubelet_version": ""}
    assert probe.docker() == {"socket": False, "engine": ""}
    assert probe.resolver() == {"loopback": False, "usable": True}
    assert probe.listening() == []
    assert 0 < probe.disk()["free_mb"] < probe.disk()["size_mb"]
    assert probe.builds() == {"slice": False, "memory_bytes": None}


@pytest.mark.parametrize(
    ("way", "text", "memory"),
    [
        ("ironbinder.slice/ironbinder-builds.slice/memory.max", "4294967296\n", 4 << 30),
        ("ironbinder.slice/ironbinder-builds.slice/memory.max", "max\n", None),
        ("memory/ironbinder.slice/ironbinder-builds.slice/memory.limit_in_bytes", "4294967296\n", 4 << 30),
        (
            "memory/ironbinder.slice/ironbinder-builds.slice/memory.limit_in_bytes",
            "9223372036854771712\n",
            None,
        ),
    ],
)
def test_the_kernel_is_asked_for_the_limit_of_builds(
    tmp_path: Path, way: str, text: str, memory: int | None
) -> None:
    """A unit is a wish; what the kernel says is what holds."""
    unit = {"etc/systemd/system/ironbinder-builds.slice": "[Slice]\nMemoryMax=4294967296\n"}
    assert write(tmp_path, unit).builds() == {"slice": True, "memory_bytes": None}
    assert write(tmp_path, {f"sys/fs/cgroup/{way}": text}).builds() == {"slice": True, "memory_bytes": memory}


def test_listening_ports_have_their_process(tmp_path: Path) -> None:
    """A listening socket is found among the open files of its process; a connected one is not listed."""
    probe = write(tmp_path, {"proc/net/tcp": TCP, "proc/net/tcp6": TCP6, "proc/77/comm": "kube-apiserver\n"})
    (tmp_path / "proc/77/fd").mkdir()
    (tmp_path / "proc/77/fd/3").symlink_to("socket:[4244]")
    (tmp_path / "proc/77/fd/0").symlink_to("/dev/null")
    # As one looks that is closed between the two questions: it cannot be read, and hides none of the others.
    (tmp_path / "proc/77/fd/1").touch()
    assert probe.listening() == [{"port": 3306, "process": ""}, {"port": 6443, "process": "kube-apiserver"}]


def test_node_of_a_cluster(tmp_path: Path) -> None:
    """Versions of API and kubelet are those that are set up; kubelet-extra is not the kubelet."""
    probe = write(
        tmp_path,
        {
            "etc/kubernetes/kubelet.conf": "",
            "etc/kubernetes/manifests/kube-apiserver.yaml": "    image: registry.k8s.io/kube-apiserver:v1.36.3\n",
            "var/lib/dpkg/status": STATUS,
            "proc/swaps": "Filename\tType\tSize\n/dev/sda2 partition 1 0 -2\n",
            "etc/machine-id": "abc\n",
        },
    )
    assert probe.kubernetes() == {
        "joined": True,
        "api_version": "1.36.3",
        "kubelet_version": "1.36.3",
    }
    assert probe.swaps() == ["/dev/sda2"]
    assert probe.machine_id() == "abc"


def test_whose_docker_socket(tmp_path: Path) -> None:
    """podman-docker links Docker's socket to its own."""
    (tmp_path / "a/run").mkdir(parents=True)
    (tmp_path / "a/run/docker.sock").write_text("")
    assert MachineProbe(tmp_path / "a", RELEASE).docker() == {"socket": True, "engine": "docker"}
    (tmp_path / "b/run").mkdir(parents=True)
    (tmp_path / "b/run/docker.sock").symlink_to("/run/podman/podman.sock")
    assert MachineProbe(tmp_path / "b", RELEASE).docker() == {"socket": True, "engine": "podman"}


def test_a_disk_that_cannot_be_told(tmp_path: Path) -> None:
    """No traceback where the machine itself is not there."""
    assert MachineProbe(tmp_path / "gone", RELEASE).disk() == {
        "path": "/var/lib",
        "free_mb": None,
        "size_mb": None,
        "mounts": [],
    }


def test_each_file_system_of_images_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """/var/lib may have room where the disk of /var/lib/docker has none."""
    probe = write(tmp_path, {"var/lib/docker/x": "", "var/lib/containerd/x": ""})
    [told] = probe.disk()["mounts"]
    assert told["paths"] == ["/var/lib/docker", "/var/lib/containerd", "/var/lib/kubelet"]
    assert told["size_mb"] == probe.disk()["size_mb"]
    real = Path.stat

    def stat(path: Path, **more: bool) -> os.stat_result:
        """Docker's data on a device of their own."""
        seen = real(path, **more)
        return os.stat_result([*seen[:2], 4711, *seen[3:]]) if path.name == "docker" else seen

    monkeypatch.setattr(Path, "stat", stat)
    assert [mount["paths"] for mount in probe.disk()["mounts"]] == [
        ["/var/lib/docker"],
        ["/var/lib/containerd", "/var/lib/kubelet"],
    ]


def test_what_capacity_counts_with(tmp_path: Path) -> None:
    """File systems of what is there and of what will be; limits and the computer's id, as far as they can be told."""
    inotify = "proc/sys/fs/inotify"
    probe = write(
        tmp_path,
        {
            "proc/sys/kernel/random/boot_id": "deb66008-1408\n",
            f"{inotify}/max_user_instances": "128\n",
            f"{inotify}/max_user_watches": "none\n",
            "var/lib/docker/there": "",
        },
    )
    told = probe.capacity()
    assert (told["boot_id"], told["inotify"]) == ("deb66008-1408", {"max_user_instances": 128})
    assert [entry["path"] for entry in told["file_systems"]] == [
        *("/var/lib/docker", "/var/lib/containerd", "/var/lib/kubelet")
    ]
    own = tmp_path.stat().st_dev
    assert {entry["device"] for entry in told["file_systems"]} == {own}
    assert {entry["total_bytes"] for entry in told["file_systems"]} == {shutil.disk_usage(tmp_path).total}
    gone = MachineProbe(tmp_path / "gone", RELEASE).capacity()
    assert gone == {"boot_id": "", "file_systems": [], "inotify": {}}
