# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Machines as case tables: each is a small tree of /proc, /sys, /run and /etc."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.limits import (
    read_machine_limits,
    size_of,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.proc import MachineError

V2 = "sysfs /sys sysfs rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n"
V1 = "tmpfs /sys/fs/cgroup tmpfs ro 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n"
HYBRID = V1 + "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"
ALL_CAPABILITIES = "CapEff:\t000001ffffffffff\nCapBnd:\t000001ffffffffff\n"
NO_SYS_RESOURCE = "CapEff:\t000001ffffffffff\nCapBnd:\t000001fffeffffff\n"
SWAP_HEADER = "Filename Type Size Used Priority\n"
MACHINE = {
    "proc/mounts": V2,
    "proc/1/status": ALL_CAPABILITIES,
    "proc/1/uid_map": "         0          0 4294967295\n",
    "proc/1/environ": "HOME=/\0TERM=linux\0",
    "proc/filesystems": "nodev\tsysfs\nnodev\toverlay\n\text4\n",
    "proc/sys/net/bridge/bridge-nf-call-iptables": "1\n",
    "proc/sys/net/bridge/bridge-nf-call-ip6tables": "0\n",
    "proc/sys/fs/inotify/max_user_instances": "128\n",
    "proc/sys/net/ipv4/ip_forward": "1\n",
    "proc/sys/net/netfilter/nf_conntrack_max": "262144\n",
    "proc/swaps": SWAP_HEADER,
    "etc/fstab": "# UUID=1 none swap sw 0 0\n/dev/sda1 / ext4 defaults 0 1\n",
    "etc/resolv.conf": "# site\nnameserver 192.0.2.53\nsearch example.org\n",
    "proc/meminfo": "MemTotal:       16384000 kB\nMemFree:         1024000 kB\n",
    "proc/cpuinfo": "processor\t: 0\nmodel name\t: x processor\n\nprocessor\t: 1\n",
}
NO_BRIDGE = {f"proc/sys/net/bridge/bridge-nf-call-{name}": None for name in ("iptables", "ip6tables")}
STUB = "nameserver 127.0.0.53\noptions edns0\n"


def make(root: Path, **changes: str | None) -> Path:
    for name, text in {**MACHINE, **changes}.items():
        if text is not None:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
    return root


CASES = {
    "a plain machine": (
        {},
        {
            "cgroup_version": 2,
            "can_lower_oom_score": True,
            "can_set_conntrack": True,
            "resolver_is_loopback": False,
            "resolv_conf": "/etc/resolv.conf",
            "is_container": False,
            "has_cloud_init": False,
            "swap_bytes": 0,
            "fstab_has_swap": False,
            "missing_kernel_modules": [],
            "kernel_parameters": {
                "net.ipv4.ip_forward": "1",
                "net.bridge.bridge-nf-call-iptables": "1",
                "net.bridge.bridge-nf-call-ip6tables": "0",
            },
            "inotify_parameters": {
                "fs.inotify.max_user_instances": "128",
                "fs.inotify.max_user_watches": "",
            },
            "swap_target_masked": False,
            "mounted_files": [],
            "memory_bytes": 16384000 * 1024,
            "cpus": 2,
        },
    ),
    "nothing told of memory and processors": (
        {"proc/meminfo": None, "proc/cpuinfo": None},
        {"memory_bytes": 0, "cpus": 1},
    ),
    "control groups 1": ({"proc/mounts": V1}, {"cgroup_version": 1}),
    "hybrid control groups": ({"proc/mounts": HYBRID}, {"cgroup_version": 1}),
    "the later mount hides the earlier": ({"proc/mounts": V1 + V2}, {"cgroup_version": 2}),
    "no CAP_SYS_RESOURCE": ({"proc/1/status": NO_SYS_RESOURCE}, {"can_lower_oom_score": False}),
    "no capabilities told": ({"proc/1/status": ""}, {"can_lower_oom_score": False}),
    "a user namespace": ({"proc/1/uid_map": "0 100000 65536\n"}, {"can_lower_oom_score": False}),
    "conntrack not loaded yet": (
        {"proc/sys/net/netfilter/nf_conntrack_max": None},
        {"can_set_conntrack": True},
    ),
    "conntrack not loaded in a container": (
        {"proc/sys/net/netfilter/nf_conntrack_max": None, ".dockerenv": ""},
        {"can_set_conntrack": False, "is_container": True},
    ),
    "systemd knows it is in a container": ({"run/systemd/container": "docker\n"}, {"is_container": True}),
    "cloud-init": ({"etc/cloud/cloud.cfg.d/README": ""}, {"has_cloud_init": True}),
    "podman": ({"run/.containerenv": ""}, {"is_container": True}),
    "lxc": ({"proc/1/environ": "HOME=/\0container=lxc\0"}, {"is_container": True}),
    "systemd-resolved": (
        {"etc/resolv.conf": STUB, "run/systemd/resolve/resolv.conf": "nameserver 192.0.2.53\n"},
        {"resolver_is_loopback": True, "resolv_conf": "/run/systemd/resolve/resolv.conf"},
    ),
    "network manager with dnsmasq": (
        {"etc/resolv.conf": STUB, "run/NetworkManager/no-stub-resolv.conf": "nameserver 192.0.2.53\n"},
        {"resolv_conf": "/run/NetworkManager/no-stub-resolv.conf"},
    ),
    "a stub and nothing behind it": (
        {"etc/resolv.conf": STUB, "run/systemd/resolve/resolv.conf": "# none\n"},
        {"resolver_is_loopback": True, "resolv_conf": ""},
    ),
    "one stub among several": (
        {"etc/resolv.conf": "nameserver 192.0.2.53\nnameserver ::1\n"},
        {"resolver_is_loopback": True, "resolv_conf": ""},
    ),
    "a scoped address": (
        {"etc/resolv.conf": "nameserver fe80::1%eth0\n"},
        {"resolv_conf": "/etc/resolv.conf"},
    ),
    "no resolver at all": ({"etc/resolv.conf": None}, {"resolver_is_loopback": False, "resolv_conf": ""}),
    "two swaps": (
        {"proc/swaps": SWAP_HEADER + "/dev/sda2 partition 1048572 0 -2\n/swap.img file 1024 0 -3\n"},
        {"swap_bytes": (1048572 + 1024) * 1024},
    ),
    "no swap support in the kernel": ({"proc/swaps": None}, {"swap_bytes": 0}),
    "swap in fstab": (
        {"etc/fstab": "/dev/sda1 / ext4 defaults 0 1\nUUID=2\tnone\tswap\tsw\t0\t0\n"},
        {"fstab_has_swap": True},
    ),
    "no fstab": ({"etc/fstab": None}, {"fstab_has_swap": False}),
    "no overlay, no bridge": (
        {"proc/filesystems": "\text4\n", **NO_BRIDGE},
        {
            "missing_kernel_modules": ["overlay", "br_netfilter"],
            "kernel_parameters": {
                "net.ipv4.ip_forward": "1",
                "net.bridge.bridge-nf-call-iptables": "",
                "net.bridge.bridge-nf-call-ip6tables": "",
            },
        },
    ),
    "br_netfilter is built in": (
        {**NO_BRIDGE, "sys/module/br_netfilter/initstate": "live"},
        {"missing_kernel_modules": []},
    ),
    "br_netfilter is loaded around the container": (
        {
            "proc/sys/net/bridge/bridge-nf-call-iptables": None,
            "proc/modules": "br_netfilter 32768 0 - Live 0x0\n",
        },
        {"missing_kernel_modules": []},
    ),
    "br_netfilter is built in and shows nowhere": (
        {
            "proc/sys/net/bridge/bridge-nf-call-iptables": None,
            "lib/modules/6.1.0-test/modules.builtin": "kernel/net/bridge/br_netfilter.ko\n",
        },
        {"missing_kernel_modules": []},
    ),
    "br_netfilter can be loaded": (
        {
            "proc/sys/net/bridge/bridge-nf-call-iptables": None,
            "lib/modules/6.1.0-test/modules.dep": "kernel/net/bridge/br-netfilter.ko.xz:\n",
        },
        {"missing_kernel_modules": ["br_netfilter"]},
    ),
    "Docker mounts its own files": (
        {"proc/mounts": V2 + "/dev/vda /etc/hosts ext4 rw 0 0\n/dev/vda /etc/hostname ext4 rw 0 0\n"},
        {"mounted_files": ["/etc/hostname", "/etc/hosts"]},
    ),
}


@pytest.mark.parametrize(("changes", "expected"), CASES.values(), ids=CASES.keys())
def test_machine(tmp_path: Path, changes: dict[str, str | None], expected: dict[str, object]) -> None:
    limits = read_machine_limits(make(tmp_path, **changes), lambda path: True, "6.1.0-test")
    assert {key: getattr(limits, key) for key in expected} == expected


def test_a_masked_target_keeps_swap_away(tmp_path: Path) -> None:
    root = make(tmp_path)
    unit = root / "etc/systemd/system/swap.target"
    unit.parent.mkdir(parents=True)
    unit.symlink_to("/dev/null")
    assert read_machine_limits(root).swap_target_masked
    unit.unlink()
    unit.symlink_to("/lib/systemd/system/swap.target")
    assert not read_machine_limits(root).swap_target_masked


def test_the_smallest_file_system_counts(tmp_path: Path) -> None:
    sizes = {"docker": 30, "containerd": 20, "kubelet": 40}
    limits = read_machine_limits(make(tmp_path), disk_size=lambda path: sizes[path.name])
    assert limits.disk_bytes == 20


def test_a_folder_to_come_is_measured_where_it_will_be(tmp_path: Path) -> None:
    told = os.statvfs(tmp_path)
    assert size_of(tmp_path / "var/lib/docker") == told.f_blocks * told.f_frsize > 0


def test_conntrack_is_refused_by_the_kernel(tmp_path: Path) -> None:
    asked: list[Path] = []

    def refuse(path: Path) -> bool:
        asked.append(path)
        return False

    assert read_machine_limits(make(tmp_path), is_writable=refuse).can_set_conntrack is False
    assert asked == [tmp_path / "proc/sys/net/netfilter/nf_conntrack_max"]


def test_no_control_groups_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"/sys/fs/cgroup.*mount cgroup2"):
        read_machine_limits(make(tmp_path, **{"proc/mounts": "sysfs /sys sysfs rw 0 0\n"}))


def test_environ_may_be_a_secret_even_to_root(tmp_path: Path) -> None:
    root = make(tmp_path, **{"proc/1/environ": None})
    (root / "proc/1/environ").mkdir()  # cannot be read, by root either
    assert read_machine_limits(root).is_container is False


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    root = make(tmp_path, **{"proc/1/status": None})
    (root / "proc/1/status").mkdir()
    with pytest.raises(MachineError, match="status cannot be read"):
        read_machine_limits(root)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("proc/swaps", SWAP_HEADER + "/a file many 0 -2\n", "proc/swaps has 'many' where a number belongs"),
        ("proc/meminfo", "MemTotal: much kB\n", "proc/meminfo has 'much' where a number belongs"),
        ("proc/1/status", "CapBnd:\tzzz\n", "proc/1/status has 'zzz' where a number belongs"),
    ],
)
def test_a_kernel_that_writes_something_else(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(MachineError, match=said):
        read_machine_limits(make(tmp_path, **{name: text}))


def test_this_machine_can_be_read() -> None:
    limits = read_machine_limits()
    assert limits.cgroup_version in (1, 2)
