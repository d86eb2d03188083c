# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The probe's questions to others, asked of real servers on this machine."""

from __future__ import annotations

import base64
import errno
import gzip
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._net.probe import (
    ask_neighbours,
    ask_packages,
    ask_peers,
    ask_registry_login,
    ask_url,
    context_for,
    neighbours,
)

TABLE = """\
IP address       HW type     Flags       HW address            Mask     Device
192.0.2.101      0x1         0x2         02:00:00:00:00:15     *        eth0
192.0.2.102      0x1         0x0         00:00:00:00:00:00     *        eth0
"""
PACKAGES = b"""\
Package: kubeadm
Version: 1.36.3-1.1
Description: one
 Package: not-a-field

Package: kubelet
Architecture: amd64
Version: 1.36.3-1.1

Package: kubelet
Version: 1.36.2-1.1
"""
ACCOUNT = "Basic " + base64.b64encode(b"binder:right").decode()


class Registry(BaseHTTPRequestHandler):
    """A registry that asks for Basic at /v2/, and for a token at /token/v2/; and a list of packages."""

    def do_GET(self) -> None:
        """Answer as distribution does."""
        if self.path.endswith("Packages.gz"):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(
                gzip.compress(PACKAGES) if self.path == "/Packages.gz" else gzip.compress(PACKAGES)[:-9]
            )
            return
        known = self.headers.get("Authorization") == ACCOUNT
        port = self.server.server_address[1]
        self.send_response(200 if known else 401)
        if self.path == "/token/v2/":
            self.send_header("WWW-Authenticate", f'Bearer realm="http://127.0.0.1:{port}/auth",service="r"')
        elif not known:
            self.send_header("WWW-Authenticate", 'Basic realm="registry"')
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    """Run the registry and give its address."""
    server = HTTPServer(("127.0.0.1", 0), Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()


@pytest.mark.parametrize("path", ["/v2/", "/token/v2/"])
@pytest.mark.parametrize(("password", "status"), [("right", 200), ("wrong", 401)])
def test_login(registry: str, path: str, password: str, status: int) -> None:
    """Both ways of logging in tell a right password from a wrong one."""
    answer = ask_registry_login(f"http://{registry}{path}", "binder", password, context_for(""))
    assert answer["status"] == status
    assert password not in str(answer)


def test_url_answers(registry: str) -> None:
    """A status is a status; what goes wrong before has a kind."""
    context = context_for("")
    assert ask_url(f"http://{registry}/v2/", context)["status"] == 401
    assert ask_url(f"https://{registry}/v2/", context)["error"] == "not-tls"
    assert ask_url("http://127.0.0.1:1/", context)["error"] == "refused"
    assert ask_url("http://no-such-name.invalid/", context)["error"] == "resolve"
    assert ask_url("http://[broken/", context)["error"] == "other"


def test_peers() -> None:
    """A refusal comes from somebody who is there; errors of the network do not."""

    def connect(target: tuple[str, int], timeout: float) -> Any:
        outcome = {
            "a": ConnectionRefusedError(),
            "b": socket.timeout(),
            "c": OSError(errno.EHOSTUNREACH, "No route to host"),
        }
        raise outcome.get(target[0], OSError(errno.EIO, "odd"))

    assert ask_peers(["a", "b", "c", "d"], 22, connect) == {
        "a": "reachable",
        "b": "timeout",
        "c": "unreachable: No route to host",
        "d": "other: [Errno 5] odd",
    }
    assert ask_peers([], 22) == {}


def test_neighbours(tmp_path: Path) -> None:
    """Only an entry with an answer counts, and only of the addresses that were asked for."""
    assert neighbours(TABLE) == {"192.0.2.101": "02:00:00:00:00:15"}
    (tmp_path / "arp").write_text(TABLE)
    waited: list[float] = []
    asked = ["192.0.2.101", "192.0.2.102", "not an address"]
    assert ask_neighbours(asked, tmp_path / "arp", waited.append) == {"192.0.2.101": "02:00:00:00:00:15"}
    assert len(waited) == 1
    assert ask_neighbours([], tmp_path / "missing") == {}


def test_packages(registry: str) -> None:
    """Versions of what was asked for; nothing where the list is damaged, no list, or not to be had."""
    names = ["kubelet", "containerd.io", "not-a-field"]
    context = context_for("")
    assert ask_packages(f"http://{registry}/Packages.gz", names, context) == {
        "kubelet": ["1.36.3-1.1", "1.36.2-1.1"]
    }
    for path in ("damaged/Packages.gz", "v2/"):
        assert ask_packages(f"http://{registry}/{path}", names, context) == {}
    assert ask_packages("http://127.0.0.1:1/Packages.gz", names, context) == {}
    assert ask_packages("no URL", names, context) == {}
