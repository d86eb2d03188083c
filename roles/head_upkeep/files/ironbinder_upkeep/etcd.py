# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""etcd's own tools, and what they make of a snapshot.

A node has none of them, but the image of its etcd has, and a process's files can be reached below /proc/PID/root: the tools are
linked statically, so they run from there, outside the container, and leave nothing behind in it. etcdctl is in every image;
etcdutl in those since etcd 3.6.5, https://github.com/etcd-io/etcd/blob/v3.6.8/Dockerfile.

Tools: https://etcd.io/docs/v3.6/op-guide/recovery/
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from ironbinder_upkeep.machine import UpkeepError, processes, run

__all__ = ["Etcd", "find_etcd", "integrity", "restore"]

PKI = "/etc/kubernetes/pki/etcd"
# What etcd appends to the database, as its tools check before they restore; a database has whole pages of at least 512 bytes.
# https://github.com/etcd-io/etcd/blob/v3.6.8/etcdutl/snapshot/v3_snapshot.go
SHA_BYTES, PAGE_BYTES = 32, 512
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Etcd:
    """A running etcd: its process, the folder of its tools, and the address at which it serves this machine."""

    pid: int
    tools: Path
    endpoint: str

    def tool(self, name: str) -> Optional[str]:
        """Give the path of a tool of its image; None where the image has none."""
        path = self.tools / name
        return str(path) if path.exists() else None

    def ask(self, *words: str) -> str:
        """Run etcdctl with the certificate that kubeadm makes for probes. Raises UpkeepError."""
        program = self.tool("etcdctl")
        if program is None:
            raise UpkeepError(
                f"the image of etcd (process {self.pid}) has no etcdctl in {self.tools}: run etcd's own image"
            )
        names = {"cacert": "ca.crt", "cert": "healthcheck-client.crt", "key": "healthcheck-client.key"}
        # An etcd without TLS is one of a test.
        keys = [f"--{option}={PKI}/{name}" for option, name in names.items()]
        return run(
            [program, f"--endpoints={self.endpoint}", *(keys if "https:" in self.endpoint else []), *words]
        )


def find_etcd(proc: Path = Path("/proc")) -> Etcd:
    """Find the etcd of this head: the one that serves with the certificate that kubeadm made for it.

    Raises:
        UpkeepError: none runs here.
    """
    for process in processes(proc):
        if process.name != "etcd" or process.options.get("--cert-file") != f"{PKI}/server.crt":
            continue
        urls = process.options.get("--listen-client-urls", "https://127.0.0.1:2379").split(",")
        local = [url for url in urls if "//127." in url or "//[::1]" in url]
        return Etcd(process.pid, process.root / "usr/local/bin", (local or urls)[0])
    raise UpkeepError(
        f"no etcd runs here with {PKI}/server.crt: see `journalctl --unit kubelet` and "
        "/var/log/pods/kube-system_etcd-*; a cluster whose etcd runs elsewhere is backed up there"
    )


def integrity(path: Path) -> str:
    """Give the SHA-256 of a snapshot, in hexadecimal digits, after checking what etcd wrote behind the database.

    Raises:
        UpkeepError: it is truncated, changed, or no snapshot.
    """
    size = path.stat().st_size
    if size <= SHA_BYTES or size % PAGE_BYTES != SHA_BYTES:
        raise UpkeepError(
            f"{path} is truncated, or no snapshot: it has {size} bytes, and not whole pages with a checksum behind them. "
            "Take another one, and remove this"
        )
    own, whole, left = hashlib.sha256(), hashlib.sha256(), size - SHA_BYTES
    with path.open("rb") as stream:
        while left:
            chunk = stream.read(min(CHUNK_BYTES, left))
            if not chunk:
                raise UpkeepError(f"{path} became shorter while it was read: who else writes there?")
            own.update(chunk)
            whole.update(chunk)
            left -= len(chunk)
        told = stream.read()
    whole.update(told)
    if own.digest() != told:
        raise UpkeepError(
            f"{path} is damaged: its content has another checksum than etcd wrote behind it. Take another one, and remove this; "
            "look for faults of the disk (`dmesg`)"
        )
    return whole.hexdigest()


def restore(etcd: Etcd, snapshot: Path, scratch: Path) -> dict[str, Any]:
    """Restore a snapshot into a folder that does not exist yet, and compare.

    Returns:
        restored, False where the image has no etcdutl; else also revision and total_keys.

    Raises:
        UpkeepError: it cannot be restored, or what came of it differs.
    """
    tool = etcd.tool("etcdutl")
    if tool is None:
        return {"restored": False}
    run([tool, "snapshot", "restore", str(snapshot), f"--data-dir={scratch}"])
    before, after = (
        json.loads(run([tool, "snapshot", "status", str(path), "--write-out=json"]))
        for path in (snapshot, scratch / "member/snap/db")
    )
    if (before["revision"], before["totalKey"]) != (after["revision"], after["totalKey"]):
        raise UpkeepError(
            f"{snapshot} was restored with revision {after['revision']} and {after['totalKey']} keys, and it has "
            f"{before['revision']} and {before['totalKey']}: keep both, and report this"
        )
    return {"revision": before["revision"], "total_keys": before["totalKey"], "restored": True}
