# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Machines with a past as case tables: each is the few files that its packages and its admins leave."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.past import past_facts

PEM = "-----BEGIN CERTIFICATE-----\nMIIB{}\n-----END CERTIFICATE-----\n"


def package(name: str, version: str, status: str = "install ok installed", more: str = "") -> str:
    return f"Package: {name}\nStatus: {status}\nPriority: optional\nArchitecture: amd64\nVersion: {version}\n{more}"


def dpkg(*packages: str) -> dict[str, str]:
    return {"var/lib/dpkg/status": "\n".join(packages)}


def facts(root: Path, files: dict[str, str]) -> dict[str, Any]:
    """What is told of a machine of these files."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return past_facts(root)


def container(
    name: str, pid: int, running: bool = True, policy: str = "no", home: str = "var/lib/docker"
) -> dict[str, str]:
    """As dockerd 20.10 and 29 keep it; most of what they keep is left out."""
    folder = f"{home}/containers/{name:0<64}"
    state = {
        "Running": running,
        "Paused": False,
        "Pid": pid,
        "ExitCode": 0,
        "StartedAt": "2026-11-21T21:59:01Z",
    }
    return {
        f"{folder}/config.v2.json": json.dumps(
            {"StreamConfig": {}, "State": state, "ID": f"{name:0<64}", "Name": f"/{name}"}
        ),
        f"{folder}/hostconfig.json": json.dumps({"RestartPolicy": {"Name": policy, "MaximumRetryCount": 0}}),
    }


DOCKER = {
    **dpkg(package("docker.io", "20.10.24+dfsg1-1"), package("containerd", "1.6.20~ds1-1")),
    **container("wiki", 71, policy="always"),
    **container("db", 72),
    # Stopped; and one that ran when the power failed.
    **container("old", 0, running=False),
    **container("stale", 99),
    "proc/71/comm": "apache2\n",
    "proc/72/comm": "postgres\n",
}
LEDGER = "var/lib/ironbinder/packages.json"


def test_a_bare_machine_has_no_past(tmp_path: Path) -> None:
    assert facts(tmp_path, {}) == {
        "docker": {"packages": {}, "snap": False, "ours": False, "containers": []},
        "containerd": {"packages": {}, "ours": False, "running": {}},
        "crio": "",
        "apt": [],
        "dpkg": {"journal": False, "packages": {}, "ours": False},
        "locks": [],
        "cluster": {"leftovers": [], "ours": False, "server": "", "ca": []},
        "swap_units": [],
        "cloud_hosts": "",
        "apparmor": {"enabled": False, "parser": False},
        "sysctls": [],
        "nginx": {"version": "", "default": "", "sites": [], "ours": False},
    }


def test_what_runs_in_a_foreign_docker(tmp_path: Path) -> None:
    told = facts(tmp_path, DOCKER)
    assert told["docker"] == {
        "packages": {"docker.io": "20.10.24+dfsg1-1"},
        "snap": False,
        "ours": False,
        "containers": [{"name": "db", "restarts": False}, {"name": "wiki", "restarts": True}],
    }
    assert told["containerd"]["packages"] == {"containerd": "1.6.20~ds1-1"}


def test_docker_with_its_data_elsewhere(tmp_path: Path) -> None:
    files = {
        **dpkg(package("docker-ce", "5:29.9.3-1~debian.12~bookworm")),
        "etc/docker/daemon.json": '{"data-root": "/srv/docker"}',
        **container("wiki", 71, home="srv/docker"),
        "proc/71/comm": "apache2\n",
    }
    assert [entry["name"] for entry in facts(tmp_path, files)["docker"]["containers"]] == ["wiki"]


DROP_IN = {"etc/systemd/system/docker.service.d/ironbinder-builds.conf": "[Service]\n"}
DOCKER_CE = package("docker-ce", "5:28.5.2-1~debian.12~bookworm")


@pytest.mark.parametrize(
    "mark",
    [
        {LEDGER: '["docker.io", "runc"]'},
        # Of a run from before there was a ledger.
        {**dpkg(DOCKER_CE), **DROP_IN},
    ],
    ids=["the ledger", "the role's drop-in"],
)
def test_what_ironbinder_brought_is_its_own(tmp_path: Path, mark: dict[str, str]) -> None:
    told = facts(tmp_path, {**DOCKER, **mark})["docker"]
    assert (told["ours"], told["containers"]) == (True, [])


def test_docker_io_of_an_earlier_release_needs_consent(tmp_path: Path) -> None:
    """The role refuses to remove what its list does not have; preflight has to say so before."""
    told = facts(tmp_path, {**DOCKER, **DROP_IN})["docker"]
    assert (told["ours"], [entry["name"] for entry in told["containers"]]) == (False, ["db", "wiki"])


@pytest.mark.parametrize("text", ["", "[1", '{"docker.io": 1}', '"docker.io"'])
def test_a_broken_ledger_claims_nothing(tmp_path: Path, text: str) -> None:
    assert facts(tmp_path, {**DOCKER, LEDGER: text})["docker"]["ours"] is False


def test_other_runtimes(tmp_path: Path) -> None:
    """containerd by itself, with containers of nerdctl; CRI-O; Docker from a snap."""
    tasks = "run/containerd/io.containerd.runtime.v2.task"
    told = facts(
        tmp_path,
        {
            **dpkg(package("containerd", "1.6.20~ds1-1"), package("cri-o", "1.30.4-1.1")),
            f"{tasks}/default/1f/init.pid": "1",
            f"{tasks}/default/2f/init.pid": "2",
            f"{tasks}/moby/x": "",
            "var/snap/docker/common/x": "",
        },
    )
    assert told["containerd"] == {
        "packages": {"containerd": "1.6.20~ds1-1"},
        "ours": False,
        "running": {"default": 2},
    }
    assert (told["crio"], told["docker"]["snap"]) == ("1.30.4-1.1", True)


def test_containerd_of_the_role(tmp_path: Path) -> None:
    files = {
        **dpkg(package("containerd.io", "2.4.2-1")),
        "etc/containerd/config.toml": "# Managed by Ironbinder (role containerd)",
    }
    assert facts(tmp_path, files)["containerd"]["ours"] is True


def test_packages_half_done(tmp_path: Path) -> None:
    files = {
        **dpkg(
            package("x", "1", "install ok half-configured"),
            package("y", "1", "install reinstreq half-installed"),
            package("z", "1", "deinstall ok config-files"),
        ),
        "var/lib/dpkg/updates/0007": "",
    }
    told = facts(tmp_path, files)["dpkg"]
    assert told == {
        "journal": True,
        "packages": {"x": "half-configured", "y": "half-installed"},
        "ours": False,
    }
    assert facts(tmp_path, {LEDGER: '["x", "y"]'})["dpkg"]["ours"] is True


def kubeconfig(*bodies: str) -> str:
    data = base64.b64encode("".join(PEM.format(body) for body in bodies).encode()).decode()
    return f"clusters:\n- cluster:\n    certificate-authority-data: {data}\n    server: https://10.1.2.3:6443\n  name: x\n"


def test_a_node_of_a_cluster(tmp_path: Path) -> None:
    """Machines of one cluster share a CA, also while it is exchanged."""
    conf = "etc/kubernetes/kubelet.conf"
    first = facts(tmp_path / "a", {conf: kubeconfig("A")})["cluster"]
    second = facts(
        tmp_path / "b", {conf: kubeconfig("A", "B"), "var/lib/ironbinder/kubeadm-join.begun.json": "{}"}
    )["cluster"]
    third = facts(
        tmp_path / "c",
        {conf: kubeconfig("B"), "etc/kubernetes/manifests/etcd.yaml": "", "var/lib/etcd/member/x": ""},
    )
    assert (first["server"], first["ours"], first["leftovers"]) == (
        "https://10.1.2.3:6443",
        False,
        [f"/{conf}"],
    )
    assert second["ours"] is True
    assert set(first["ca"]) < set(second["ca"]) and not set(first["ca"]) & set(third["cluster"]["ca"])
    assert third["cluster"]["leftovers"] == [
        f"/{conf}",
        "/var/lib/etcd/member",
        "/etc/kubernetes/manifests/etcd.yaml",
    ]
    odd = facts(tmp_path / "d", {conf: "    certificate-authority-data: %%%\n    server:\n"})["cluster"]
    assert (odd["server"], odd["ca"]) == ("", [])


@pytest.mark.parametrize(
    ("file", "unit"),
    [
        ("usr/sbin/zramswap", "zramswap.service"),
        ("sbin/dphys-swapfile", "dphys-swapfile.service"),
        ("etc/systemd/zram-generator.conf", "systemd-zram-setup@.service"),
    ],
)
def test_units_that_call_swapon(tmp_path: Path, file: str, unit: str) -> None:
    """By files as Debian's zram-tools, dphys-swapfile and systemd-zram-generator have them."""
    assert facts(tmp_path, {file: ""})["swap_units"] == [unit]
    # The role's answer to them.
    assert facts(tmp_path, {"etc/systemd/system/ironbinder-swapoff.service": ""})["swap_units"] == []


CLOUD = "etc/cloud/cloud.cfg"
DEBIAN = "etc/cloud/cloud.cfg.d/01_debian_cloud.cfg"


@pytest.mark.parametrize(
    ("files", "file"),
    [
        ({CLOUD: "users:\n - default\n"}, ""),
        ({CLOUD: "", DEBIAN: "apt_preserve_sources_list: true\nmanage_etc_hosts: true\n"}, f"/{DEBIAN}"),
        (
            {
                DEBIAN: "manage_etc_hosts: true\n",
                "etc/cloud/cloud.cfg.d/99-site.cfg": "manage_etc_hosts: false\n",
            },
            "",
        ),
        ({CLOUD: "manage_etc_hosts: localhost\n"}, ""),
        (
            {
                CLOUD: "",
                "var/lib/cloud/instance/cloud-config.txt": "#cloud-config\nmanage_etc_hosts: template\n",
            },
            "/var/lib/cloud/instance/cloud-config.txt",
        ),
        ({DEBIAN: "manage_etc_hosts: true\n", "etc/cloud/cloud-init.disabled": ""}, ""),
    ],
)
def test_cloud_init_and_the_hosts_file(tmp_path: Path, files: dict[str, str], file: str) -> None:
    assert facts(tmp_path, files)["cloud_hosts"] == file


@pytest.mark.parametrize(
    ("parser", "told"), [("", False), ("sbin/apparmor_parser", True), ("usr/sbin/apparmor_parser", True)]
)
def test_apparmor(tmp_path: Path, parser: str, told: bool) -> None:
    files = {"sys/module/apparmor/parameters/enabled": "Y\n", **({parser: ""} if parser else {})}
    assert facts(tmp_path, files)["apparmor"] == {"enabled": True, "parser": told}


def test_settings_that_come_after_ours(tmp_path: Path) -> None:
    """In the order in which systemd-sysctl reads; a file of /etc hides that of the same name in /usr/lib."""
    told = facts(
        tmp_path,
        {
            "etc/sysctl.d/10-early.conf": "net.ipv4.ip_forward = 0\n",
            "etc/sysctl.d/99-sysctl.conf": "# net.ipv4.ip_forward=1\n-net/ipv4/ip_forward=0\nkernel.panic = 10\n",
            "usr/lib/sysctl.d/99-sysctl.conf": "net.ipv4.ip_forward=2\n",
            "usr/lib/sysctl.d/95-vendor.conf": "fs.inotify.max_user_watches=8192\n",
            "etc/sysctl.d/99-off.conf.dpkg-old": "net.ipv4.ip_forward=3\n",
        },
    )["sysctls"]
    assert told == [
        {"file": "/usr/lib/sysctl.d/95-vendor.conf", "name": "fs.inotify.max_user_watches", "value": "8192"},
        {"file": "/etc/sysctl.d/99-sysctl.conf", "name": "net.ipv4.ip_forward", "value": "0"},
    ]


def test_of_several_settings_the_last_one_counts(tmp_path: Path) -> None:
    files = {
        f"etc/sysctl.d/99-{name}.conf": f"net.ipv4.ip_forward={value}\n"
        for name, value in (("a", 0), ("b", 1))
    }
    assert facts(tmp_path, files)["sysctls"] == [
        {"file": "/etc/sysctl.d/99-b.conf", "name": "net.ipv4.ip_forward", "value": "1"}
    ]
