# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a node says of certificates, etcd and snapshots: files as kubeadm and the timers write them, and ports."""

from __future__ import annotations

import base64
import json
import ssl
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.upkeep import upkeep_facts
from certificate_files import make_certificate

METRICS = """\
# TYPE etcd_mvcc_db_total_size_in_bytes gauge
etcd_mvcc_db_total_size_in_bytes 8.343552e+06
etcd_mvcc_db_total_size_in_use_in_bytes 7.204864e+06
etcd_server_quota_backend_bytes 2.147483648e+09
etcd_server_version{server_version="3.6.8"} 1
"""
ETCD = """\
    - --listen-client-urls=https://127.0.0.1:2379,https://192.0.2.11:2379
    - --listen-peer-urls=https://192.0.2.11:12380
"""


class Machine:
    """A head below a folder, whose ports serve what `ports` says."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.pem = make_certificate(root).read_text()
        self.ports: dict[tuple[str, int], bytes] = {}
        self.asked: list[tuple[str, int]] = []
        for name in ("ca", "apiserver", "etcd/server", "etcd/peer"):
            self.write(f"etc/kubernetes/pki/{name}.crt", self.pem)
        text = f"    client-certificate-data: {base64.b64encode(self.pem.encode()).decode()}\n"
        self.write("etc/kubernetes/admin.conf", text)
        self.write("etc/kubernetes/manifests/etcd.yaml", ETCD)
        self.write("etc/kubernetes/manifests/kube-apiserver.yaml", "    - --secure-port=16443\n")
        self.write("var/lib/kubelet/pki/kubelet-client-current.pem", (root / "both.pem").read_text())

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def serve(self, address: str, port: int) -> bytes:
        self.asked.append((address, port))
        try:
            return self.ports[address, port]
        except KeyError:
            raise ConnectionRefusedError from None

    def facts(self) -> dict[str, Any]:
        return upkeep_facts(self.root, self.serve, lambda: METRICS)

    def certificates(self) -> dict[str, Any]:
        return {entry["name"]: entry for entry in self.facts()["certificates"]}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_certificates_of_all_kinds_are_told(machine: Machine) -> None:
    found = machine.certificates()
    assert {name: entry["kind"] for name, entry in found.items()} == {
        "ca": "authority",
        "apiserver": "kubeadm",
        "etcd/server": "kubeadm",
        "etcd/peer": "kubeadm",
        "admin.conf": "kubeadm",
        "kubelet": "kubelet",
    }
    assert len({entry["not_after"] for entry in found.values()}) == 1
    assert found["kubelet"]["file"] == "/var/lib/kubelet/pki/kubelet-client-current.pem"


def test_ports_are_those_of_the_manifests(machine: Machine) -> None:
    """Each is asked where it listens: etcd's peers are not on loopback."""
    own = ssl.PEM_cert_to_DER_cert(machine.pem)
    machine.ports = {("127.0.0.1", 16443): own, ("127.0.0.1", 2379): b"an older one"}
    found = machine.certificates()
    assert machine.asked == [("127.0.0.1", 16443), ("127.0.0.1", 2379), ("192.0.2.11", 12380)]
    served = {name: found[name]["served"] for name in ("apiserver", "etcd/server", "etcd/peer", "ca")}
    assert served == {"apiserver": "same", "etcd/server": "other", "etcd/peer": "silent", "ca": ""}


def test_a_file_without_a_certificate_is_told(machine: Machine) -> None:
    machine.write("etc/kubernetes/pki/apiserver.crt", machine.pem[:200])
    found = machine.certificates()["apiserver"]
    assert (found["not_after"], found["served"]) == (None, "")
    assert "no certificate" in found["error"]


@pytest.mark.parametrize(
    ("file", "name", "left"),
    [
        ("etc/kubernetes/pki/apiserver.crt", "apiserver", b""),
        ("var/lib/kubelet/pki/kubelet-client-current.pem", "kubelet", b""),
        ("etc/kubernetes/admin.conf", "admin.conf", b"    client-certificate-data: LS0\xfftLS0=\n"),
    ],
)
def test_what_a_crash_left_of_a_file_is_told(machine: Machine, file: str, name: str, left: bytes) -> None:
    (machine.root / file).write_bytes(left)
    assert "no certificate" in machine.certificates()[name]["error"]


def test_a_link_to_nothing_is_told(machine: Machine) -> None:
    """The kubelet's certificate is one to its newest."""
    link = machine.root / "var/lib/kubelet/pki/kubelet-client-current.pem"
    link.unlink()
    link.symlink_to("kubelet-client-2026-11-01-10-00-00.pem")
    assert "no certificate" in machine.certificates()["kubelet"]["error"]


def test_etcd_tells_its_size(machine: Machine) -> None:
    assert machine.facts()["etcd"] == {
        "bytes": 8343552,
        "in_use_bytes": 7204864,
        "quota_bytes": 2147483648,
        "version": "3.6.8",
    }


def test_snapshots_are_told_with_their_sizes_now(machine: Machine) -> None:
    """What became shorter since, and what went, shows without reading it."""
    entries = [{"file": name, "bytes": 9} for name in ("a.db", "b.db", "c.db")]
    state = {"directory": "/srv/snapshots", "began": 1, "ended": 2, "error": "", "snapshots": entries}
    machine.write("var/lib/ironbinder/etcd-snapshot.json", json.dumps(state))
    machine.write("srv/snapshots/a.db", "123456789")
    machine.write("srv/snapshots/b.db", "12345")
    machine.write("etc/systemd/system/ironbinder-etcd-snapshot.timer", "")
    told = machine.facts()
    assert [entry["found_bytes"] for entry in told["snapshots"]["snapshots"]] == [9, 5, None]
    assert (told["snapshots"]["directory"], told["renewal"]) == ("/srv/snapshots", {})
    assert told["timer_at"] > 0


@pytest.mark.parametrize("text", ["", "[]", "{", '{"snapshots": 1}', '{"snapshots": [1]}'])
def test_an_odd_state_stops_nothing(machine: Machine, text: str) -> None:
    machine.write("var/lib/ironbinder/etcd-snapshot.json", text)
    assert machine.facts()["snapshots"].get("snapshots", []) == []


def test_a_machine_of_no_cluster_has_nothing_to_tell(tmp_path: Path) -> None:
    def nobody(_address: str, _port: int) -> bytes:
        raise AssertionError("no port is asked")

    assert upkeep_facts(tmp_path, nobody, lambda: "") == {"certificates": []}
