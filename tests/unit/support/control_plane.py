# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A control plane of processes with its names and options, which serve its certificates, and something that starts them again."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from certificate_files import make_certificate
from free_ports import free_port

# Serves the certificate that it found when it started, as most parts do, and says that it is healthy.
SERVER = """
import http.server, os, ssl, sys, threading
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *args): pass
for pair in os.environ["PORTS"].split():
    port, _, file = pair.partition("=")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Health)
    if file:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever).start()
"""


class ControlPlane:
    """Four processes below a folder that stands for /etc/kubernetes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.starts: list[str] = []
        self.stays_down: set[str] = set()
        self._stopped = threading.Event()
        for name in ("pki/apiserver", "pki/etcd/server", "pki/etcd/peer", "controller-manager", "scheduler"):
            self.renew(name)
        manifest = folder / "manifests/etcd.yaml"
        manifest.parent.mkdir()
        manifest.write_text("kind: Pod\n")
        client, peer, metrics, api, manager, scheduler = (free_port() for _ in range(6))
        # Not /etc/kubernetes, which a lab on this computer has.
        of = str(folder)
        self.commands = {
            "etcd": (
                f"{client}={folder}/pki/etcd/server.pem {peer}={folder}/pki/etcd/peer.pem {metrics}=",
                [
                    f"--cert-file={of}/pki/etcd/server.crt",
                    f"--listen-client-urls=https://127.0.0.1:{client}",
                    f"--listen-peer-urls=https://127.0.0.1:{peer}",
                    f"--listen-metrics-urls=http://127.0.0.1:{metrics}",
                ],
            ),
            "kube-apiserver": (
                f"{api}={folder}/pki/apiserver.pem",
                [f"--tls-cert-file={of}/pki/apiserver.crt", f"--secure-port={api}"],
            ),
            "kube-controller-manager": (
                f"{manager}={folder}/controller-manager.pem",
                [f"--kubeconfig={of}/controller-manager.conf", f"--secure-port={manager}"],
            ),
            "kube-scheduler": (
                f"{scheduler}={folder}/scheduler.pem",
                [f"--kubeconfig={of}/scheduler.conf", f"--secure-port={scheduler}"],
            ),
        }
        self._kubelet = threading.Thread(target=self._keep)
        self._kubelet.start()

    def renew(self, name: str) -> None:
        """Write another certificate, and nothing else, as kubeadm does."""
        path = self.folder / name
        made = self.folder / "made"
        path.parent.mkdir(parents=True, exist_ok=True)
        made.mkdir(exist_ok=True)
        certificate = make_certificate(made).read_text()
        path.with_suffix(".pem").write_text((made / "both.pem").read_text())
        path.with_suffix(".crt" if "pki" in name else ".conf").write_text(certificate)

    def age_files(self, seconds: int) -> None:
        """Let all files have been written longer ago."""
        for path in self.folder.rglob("*.*"):
            os.utime(path, (time.time() - seconds,) * 2)

    def _keep(self) -> None:
        while not self._stopped.is_set():
            for name, (ports, options) in self.commands.items():
                running = self.processes.get(name)
                if name not in self.stays_down and (running is None or running.poll() is not None):
                    self.starts.append(name)
                    self.processes[name] = subprocess.Popen(
                        [name, "-c", SERVER, *options],
                        executable=sys.executable,
                        env={**os.environ, "PORTS": ports},
                        stderr=subprocess.DEVNULL,
                    )
            self._stopped.wait(0.05)

    def lose(self, name: str) -> None:
        """End a part, which stays away."""
        self.stays_down.add(name)
        self.processes[name].kill()
        self.processes[name].wait()

    def stop(self) -> None:
        """End everything."""
        self._stopped.set()
        self._kubelet.join()
        for process in self.processes.values():
            process.kill()
            process.wait()
