# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a node says of its certificates, and a head of its etcd and its snapshots. Reads and asks only, never raises."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Optional

from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpFailure, HttpTransport
from ansible_collections.ironbinder.platform.plugins.module_utils._net.tls import served_certificate
from ansible_collections.ironbinder.platform.plugins.module_utils._net.x509 import (
    CertificateError,
    first_certificate,
    in_kubeconfig,
    not_after,
)

__all__ = ["ask_etcd", "upkeep_facts"]

KUBERNETES = "etc/kubernetes"
KUBELET_PKI = "var/lib/kubelet/pki"
# What kubeadm makes and renews; those that sign are not renewed.
# https://kubernetes.io/docs/setup/best-practices/certificates/
LEAVES = (
    "pki/apiserver",
    "pki/apiserver-etcd-client",
    "pki/apiserver-kubelet-client",
    "pki/front-proxy-client",
    "pki/etcd/server",
    "pki/etcd/peer",
    "pki/etcd/healthcheck-client",
)
AUTHORITIES = ("pki/ca", "pki/etcd/ca", "pki/front-proxy-ca")
KUBELET_FILES = {"kubelet": "kubelet-client-current.pem", "kubelet-serving": "kubelet.crt"}
KUBECONFIGS = ("admin", "super-admin", "controller-manager", "scheduler")
# What a port serves: the certificate, the manifest with the option that names the port, and the port without it.
SERVED = {
    "apiserver": ("kube-apiserver", "secure-port", 6443),
    "etcd/server": ("etcd", "listen-client-urls", 2379),
    "etcd/peer": ("etcd", "listen-peer-urls", 2380),
}
# Written by role head_upkeep's program, and its timer.
STATES = {
    "snapshots": "var/lib/ironbinder/etcd-snapshot.json",
    "renewal": "var/lib/ironbinder/certificates.json",
}
TIMER = "etc/systemd/system/ironbinder-etcd-snapshot.timer"
METRICS = "http://127.0.0.1:2381/metrics"
METRIC = re.compile(r'^(etcd_\w+)(?:\{\w+="([^"]*)"\})? (\S+)$', re.MULTILINE)
ASK_SECONDS = 3.0

Serve = Callable[[str, int], bytes]
Ask = Callable[[], str]


def ask_etcd() -> str:
    """Give etcd's own numbers, which kubeadm has it tell on loopback without TLS; nothing where it does not."""
    try:
        return HttpTransport().request("GET", METRICS, {}, ASK_SECONDS).text
    except HttpFailure:
        return ""


def upkeep_facts(root: Path, serve: Serve = served_certificate, ask: Ask = ask_etcd) -> dict[str, Any]:
    """Tell what this machine says of its certificates, its etcd and its snapshots.

    Args:
        root: where the file system of the machine starts.
        serve: gives the certificate that an address and a port serve, in DER; OSError where none does.
        ask: gives etcd's own numbers.

    Returns:
        `certificates`, each {name, file, kind, not_after, error, port, served}: `kind` is authority, kubeadm, kubelet or
        kubelet-serving; `not_after` seconds since the epoch, None with `error`; `port` None where no port serves it, and `served`
        `same`, `other` or `silent`.
        On a head also `etcd`, {version, bytes, in_use_bytes, quota_bytes}, those known; `snapshots` and `renewal`, what the last
        attempt left; and `timer_at`, when the timer of snapshots came, None where there is none.
    """
    told: dict[str, Any] = {"certificates": [*_Certificates(root, serve).all()]}
    if not _text(root / KUBERNETES / "manifests/etcd.yaml"):
        return told
    told |= {name: _json(root / file) for name, file in STATES.items()}
    told["snapshots"] = _with_sizes(root, told["snapshots"])
    try:
        told["timer_at"] = (root / TIMER).stat().st_mtime
    except OSError:
        told["timer_at"] = None
    return {**told, "etcd": _etcd(ask())}


class _Certificates:
    """The certificates of one machine."""

    def __init__(self, root: Path, serve: Serve) -> None:
        self._root = root
        self._serve = serve

    def all(self) -> Iterator[dict[str, Any]]:
        folder = self._root / KUBERNETES
        places = [
            (folder / f"{name}.crt", name.removeprefix("pki/"), kind)
            for kind, names in (("authority", AUTHORITIES), ("kubeadm", LEAVES))
            for name in names
        ]
        places += [(folder / f"{name}.conf", f"{name}.conf", "kubeadm") for name in KUBECONFIGS]
        places += [(self._root / KUBELET_PKI / name, kind, kind) for kind, name in KUBELET_FILES.items()]
        for path, name, kind in places:
            # One that is empty, or a link to nothing, is told as well: what starts next needs it.
            if path.is_symlink() or path.exists():
                file = f"/{path.relative_to(self._root)}"
                yield {"name": name, "file": file, "kind": kind, **self._read(path, name, _text(path))}

    def _read(self, path: Path, name: str, text: str) -> dict[str, Any]:
        told: dict[str, Any] = {"error": "", "not_after": None, "port": None, "served": ""}
        try:
            own = first_certificate(in_kubeconfig(text) if path.suffix == ".conf" else text)
            told["not_after"] = not_after(own)
        except CertificateError as error:
            return {**told, "error": str(error)}
        if name in SERVED:
            address, port = _port(self._root, *SERVED[name])
            return {**told, "port": port, "served": self._served(address, port, own)}
        return told

    def _served(self, address: str, port: int, own: bytes) -> str:
        try:
            return "same" if self._serve(address, port) == own else "other"
        except OSError:
            return "silent"


def _port(root: Path, manifest: str, option: str, default: int) -> tuple[str, int]:
    """Read address and port from the first value of an option, a number or URLs."""
    text = _text(root / KUBERNETES / f"manifests/{manifest}.yaml")
    found = re.search(
        rf"^\s*- --{option}=(?:https://)?(?:\[?([^,\s]*?)\]?:)?(\d+)(?:[,\s]|$)", text, re.MULTILINE
    )
    return (found.group(1) or "127.0.0.1", int(found.group(2))) if found else ("127.0.0.1", default)


def _etcd(metrics: str) -> dict[str, Any]:
    """Read etcd's metrics. https://etcd.io/docs/v3.6/metrics/etcd-metrics-latest.txt"""
    found = {name: (label, value) for name, label, value in METRIC.findall(metrics)}
    names = {
        "bytes": "etcd_mvcc_db_total_size_in_bytes",
        "in_use_bytes": "etcd_mvcc_db_total_size_in_use_in_bytes",
        "quota_bytes": "etcd_server_quota_backend_bytes",
    }
    told: dict[str, Any] = {key: int(float(found[name][1])) for key, name in names.items() if name in found}
    version = found.get("etcd_server_version", ("", ""))[0]
    return {**told, **({"version": version} if version else {})}


def _with_sizes(root: Path, state: Mapping[str, Any]) -> dict[str, Any]:
    """Add what each snapshot's size is now, None where it is gone: one that became shorter since is seen at once."""
    entries = state.get("snapshots")
    found = []
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict):
            place = root / str(state.get("directory", "")).lstrip("/") / str(entry.get("file"))
            found.append({**entry, "found_bytes": _size(place)})
    return {**state, **({"snapshots": found} if state else {})}


def _size(path: Path) -> Optional[int]:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _json(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(_text(path))
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
