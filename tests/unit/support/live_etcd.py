# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""An etcd of the tests' own, from the binaries that the lab's image is made of, on ports of this machine."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from free_ports import free_port
from ironbinder_upkeep.etcd import Etcd

TOOLS = ("etcd", "etcdctl", "etcdutl")
CACHE = Path(os.environ.get("IRONBINDER_CACHE") or Path.home() / ".cache/ironbinder")
BUILT = [
    folder for folder in sorted(CACHE.glob("go/etcd-*")) if all((folder / tool).is_file() for tool in TOOLS)
]
needs_etcd = pytest.mark.skipif(not BUILT, reason="no etcd with its tools: make lab-artifacts builds it")


class LiveEtcd:
    """A server below a folder, without TLS."""

    def __init__(self, folder: Path) -> None:
        self.tools = BUILT[-1]
        client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        self.endpoint = client
        self.process = subprocess.Popen(
            [
                str(self.tools / "etcd"),
                f"--data-dir={folder}/data",
                f"--listen-client-urls={client}",
                f"--advertise-client-urls={client}",
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=default={peer}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        ends = time.monotonic() + 60
        while self.control("endpoint", "health", seconds=2) != 0:
            assert self.process.poll() is None, f"etcd ended with {self.process.returncode}"
            assert time.monotonic() < ends, "etcd does not answer"
            time.sleep(0.1)

    def control(self, *words: str, seconds: int = 60) -> int:
        """Run etcdctl; its exit code."""
        argv = [str(self.tools / "etcdctl"), f"--endpoints={self.endpoint}", f"--command-timeout={seconds}s"]
        argv += words
        return subprocess.run(argv, capture_output=True, check=False).returncode

    def found(self) -> Etcd:
        """What the program finds on a head."""
        return Etcd(self.process.pid, self.tools, self.endpoint)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
