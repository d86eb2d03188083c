# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""One machine, one opinion: what the roles act on and what preflight reports are the same."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.limits import read_machine_limits
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.probe import MachineProbe
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.proc import (
    MachineError,
    MachineFiles,
    Proc,
    Resolver,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

RELEASE = "6.1.0-test"
V2 = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n"
V1 = "tmpfs /sys/fs/cgroup tmpfs ro 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n"
SWAPS = "Filename Type Size Used Priority\n"
CGROUPS = "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t{0}\t9\t1\ncpu\t4\t9\t1\nrdma\t5\t9\t0\n"

# Each a kind of machine: its files, version and controllers of its cgroups, swaps, modules that are missing, resolver.
MACHINES = {
    "cgroup v2": (
        {"proc/mounts": V2, "sys/fs/cgroup/cgroup.controllers": "cpu memory\n"},
        2,
        ["cpu", "memory"],
    ),
    "v2, and nothing delegated to it": (
        {"proc/mounts": V2, "sys/fs/cgroup/cgroup.controllers": "\n", "proc/cgroups": CGROUPS.format(3)},
        2,
        [],
    ),
    "v1": ({"proc/mounts": V1, "proc/cgroups": CGROUPS.format(3)}, 1, ["memory", "cpu"]),
    "hybrid": (
        {
            "proc/mounts": V1 + "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n",
            "proc/cgroups": CGROUPS.format(3),
            "sys/fs/cgroup/unified/cgroup.controllers": "",
        },
        1,
        ["memory", "cpu"],
    ),
    "hybrid, memory belongs to version 2": (
        {
            "proc/mounts": V1 + "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n",
            "proc/cgroups": CGROUPS.format(0),
            "sys/fs/cgroup/unified/cgroup.controllers": "memory",
        },
        1,
        ["cpu"],
    ),
    "v2 over v1": (
        {
            "proc/mounts": V1 + V2,
            "sys/fs/cgroup/cgroup.controllers": "pids\n",
            "proc/cgroups": CGROUPS.format(3),
        },
        2,
        ["pids"],
    ),
}


def make(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(("files", "version", "controllers"), MACHINES.values(), ids=MACHINES)
def test_control_groups(tmp_path: Path, files: dict[str, str], version: int, controllers: list[str]) -> None:
    root = make(tmp_path, files)
    assert read_machine_limits(root).cgroup_version == version
    assert MachineProbe(root, RELEASE).cgroup() == {"version": version, "controllers": controllers}


def test_no_control_groups(tmp_path: Path) -> None:
    """The role refuses such a machine, so preflight has to be able to name it."""
    assert MachineProbe(tmp_path, RELEASE).cgroup() == {"version": 0, "controllers": []}
    with pytest.raises(MachineError, match="no container can run here"):
        read_machine_limits(tmp_path)


@pytest.mark.parametrize(
    ("text", "names", "size"),
    [
        ("", [], 0),
        (SWAPS, [], 0),
        (SWAPS + "/dev/zram0 partition 4 0 100\n", ["/dev/zram0"], 4096),
        (
            SWAPS + "/a\\040b#c file 1 0 -2\n/swap\\040(deleted) file 1 0 -3\n",
            ["/a b#c", "/swap (deleted)"],
            2048,
        ),
    ],
)
def test_swap(tmp_path: Path, text: str, names: list[str], size: int) -> None:
    root = make(tmp_path, {"proc/mounts": V2, "proc/swaps": text})
    assert MachineProbe(root, RELEASE).swaps() == names
    assert read_machine_limits(root).swap_bytes == size


MODULES = {
    "loaded": ({"proc/modules": "br_netfilter 1 0 - Live 0x0\noverlay 1 0 - Live 0x0\n"}, "present"),
    "at work": (
        {"proc/filesystems": "nodev\toverlay\n", "proc/sys/net/bridge/bridge-nf-call-iptables": "1\n"},
        "present",
    ),
    "known to sysfs": ({"sys/module/overlay/x": "", "sys/module/br_netfilter/x": ""}, "present"),
    "built in": (
        {f"lib/modules/{RELEASE}/modules.builtin": "kernel/a/overlay.ko\nkernel/b/br-netfilter.ko\n"},
        "present",
    ),
    "to be loaded": (
        {f"lib/modules/{RELEASE}/modules.dep": "kernel/a/overlay.ko.zst: x\nkernel/b/br_netfilter.ko:\n"},
        "loadable",
    ),
    "another one": ({f"lib/modules/{RELEASE}/modules.dep": "kernel/my-overlay.ko:\n"}, "absent"),
    "no folder": ({"lib/modules/5.0/modules.builtin": "kernel/a/overlay.ko\n"}, "unknown"),
    "overlayfs of another name": ({"proc/filesystems": "nodev\toverlayfs\n"}, "unknown"),
}


@pytest.mark.parametrize(("files", "state"), MODULES.values(), ids=MODULES)
def test_modules(tmp_path: Path, files: dict[str, str], state: str) -> None:
    root = make(tmp_path, {"proc/mounts": V2, **files})
    names = ["overlay", "br_netfilter"]
    assert MachineProbe(root, RELEASE).modules(names) == dict.fromkeys(names, state)
    limits = read_machine_limits(root, release=RELEASE)
    assert limits.missing_kernel_modules == ([] if state == "present" else names)


@pytest.mark.parametrize(
    ("files", "resolver", "usable"),
    [
        ({}, Resolver(False, ""), True),
        ({"etc/resolv.conf": "nameserver 192.0.2.53 # ours\n"}, Resolver(False, "/etc/resolv.conf"), True),
        ({"etc/resolv.conf": "nameserver 127.0.0.53\n"}, Resolver(True, ""), False),
        (
            {"etc/resolv.conf": "# nameserver 192.0.2.1\nnameserver\nnameserver x\n"},
            Resolver(False, "/etc/resolv.conf"),
            True,
        ),
        (
            {
                "etc/resolv.conf": "nameserver 127.0.0.53\n",
                "run/systemd/resolve/resolv.conf": "nameserver 192.0.2.53\n",
            },
            Resolver(True, "/run/systemd/resolve/resolv.conf"),
            True,
        ),
    ],
)
def test_resolver(tmp_path: Path, files: dict[str, str], resolver: Resolver, usable: bool) -> None:
    root = make(tmp_path, {"proc/mounts": V2, **files})
    assert Proc(root).resolver() == resolver
    limits = read_machine_limits(root)
    assert (limits.resolver_is_loopback, limits.resolv_conf) == (resolver.is_loopback, resolver.resolv_conf)
    assert MachineProbe(root, RELEASE).resolver() == {"loopback": resolver.is_loopback, "usable": usable}


def test_neighbours(tmp_path: Path) -> None:
    """Only an entry with an answer counts."""
    table = """\
IP address       HW type     Flags       HW address            Mask     Device
192.0.2.101      0x1         0x2         02:00:00:00:00:15     *        eth0
192.0.2.102      0x1         0x0         00:00:00:00:00:00     *        eth0
192.0.2.103      0x1         0x2         00:00:00:00:00:00     *        eth0
192.0.2.104      0x1         odd         02:00:00:00:00:18     *        eth0
"""
    assert Proc(make(tmp_path, {"proc/net/arp": table})).neighbours() == {"192.0.2.101": "02:00:00:00:00:15"}


def test_a_file_that_is_closed_meanwhile_hides_no_port(tmp_path: Path) -> None:
    """Of a process at work some file is always just gone."""
    table = "sl local\n0: 0100007F:1F90 00000000:0000 0A 0:0 0:0 0 0 0 4711 1\n"
    root = make(
        tmp_path, {"proc/net/tcp": table, "proc/7/comm": "nginx\n", "proc/7/fd/3": "", "proc/7/fd/9": ""}
    )
    # What is no link cannot be read as one, like a link that is gone.
    for name in ("1", "5", "99"):
        (root / "proc/7/fd" / name).symlink_to("socket:[4711]" if name == "5" else "/dev/null")
    assert Proc(root).listening() == {8080: "nginx"}


def test_what_only_root_may_read(tmp_path: Path) -> None:
    """A role is told to become root; the probe says what it sees."""
    (tmp_path / "secret").mkdir()
    assert MachineFiles(tmp_path, strict=False).text("secret") == ""
    assert MachineFiles(tmp_path, strict=False).exists("x" * 300) is False
    with pytest.raises(MachineError, match="Run as root"):
        MachineFiles(tmp_path).text("secret")
    with pytest.raises(MachineError, match="Run as root"):
        MachineFiles(tmp_path).exists("x" * 300)


FILES = (
    "proc/mounts",
    "proc/cgroups",
    "proc/swaps",
    "proc/modules",
    "proc/net/tcp",
    "proc/net/tcp6",
    "proc/net/arp",
    "proc/1/status",
    "proc/1/uid_map",
    "proc/1/environ",
    "etc/resolv.conf",
    "etc/fstab",
    "etc/machine-id",
    "var/lib/dpkg/status",
    "etc/kubernetes/manifests/kube-apiserver.yaml",
)
ODD = [
    "h",
    "0x2",
    "0x",
    "zz",
    "-1",
    "0A",
    "0:zz",
    "0:FFFFF",
    ":",
    "CapBnd:",
    "#",
    "\\777",
    "\u2603",
    "9" * 5000,
]
MEANT = ["/sys/fs/cgroup", "cgroup2", "nameserver", "overlay", "1", "Package: kubelet"]
WORDS = st.sampled_from([*ODD, *MEANT])
TEXTS = st.lists(st.lists(WORDS, max_size=12).map(" ".join), max_size=4).map("\n".join)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts=st.dictionaries(st.sampled_from(FILES), TEXTS, min_size=1))
def test_no_kernel_stops_the_probe(tmp_path_factory: pytest.TempPathFactory, texts: dict[str, str]) -> None:
    """Odd files: the probe answers, and the limits have at most their own error."""
    root = make(tmp_path_factory.mktemp("machine"), texts)
    probe = MachineProbe(root, RELEASE)
    looks: list[Callable[[], object]] = [
        *(probe.machine_id, probe.swaps, probe.cgroup, probe.resolver, probe.neighbours, probe.disk),
        *(probe.listening, probe.kubernetes, probe.docker, lambda: probe.modules(["overlay"])),
    ]
    for look in looks:
        look()
    try:
        read_machine_limits(root)
    except MachineError as error:
        assert str(error)


def test_a_replaced_program_is_seen(tmp_path: Path) -> None:
    program = tmp_path / "sleep"
    shutil.copy2(shutil.which("sleep") or "/bin/sleep", program)
    process = subprocess.Popen([str(program), "60"])
    try:
        assert not Proc().program_was_replaced(process.pid)
        shutil.copy2(program, tmp_path / "new")
        (tmp_path / "new").replace(program)
        assert Proc().program_was_replaced(process.pid)
    finally:
        process.kill()
        process.wait()
    assert not Proc().program_was_replaced(process.pid)
