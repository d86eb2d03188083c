# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The program against real servers: whom it trusts is what its environment says."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.trust_run import text
from certificate_files import make_certificate

# However busy the machine is: only who says nothing is not waited for.
PATIENCE = {"seconds": 60.0}
PAGE = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle with the CA of the servers, which are their own."""
    return make_certificate(tmp_path)


@pytest.fixture
def serve(bundle: Path) -> Iterator[Callable[..., int]]:
    """Return a function that answers on a free port, with TLS or without, and returns the port."""
    servers = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle.with_name("both.pem"))

    def start(tls: bool = True, page: bytes = PAGE) -> int:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def answer(connection: socket.socket) -> None:
            with suppress(OSError):
                spoken = context.wrap_socket(connection, server_side=True) if tls else connection
                spoken.recv(4096)
                spoken.sendall(page)
                spoken.close()

        def loop() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=answer, args=[server.accept()[0]], daemon=True).start()

        threading.Thread(target=loop, daemon=True).start()
        return int(server.getsockname()[1])

    yield start
    for server in servers:
        server.close()


def asked(url: str, **environment: str) -> str:
    """Ask for a URL in this environment and nothing else of it, and return the outcome."""
    argument = json.dumps({"targets": [{"name": "x", "url": url}], **PATIENCE})
    argv = [sys.executable, "-I", "-c", text(), argument]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env=environment, timeout=300)
    return str(json.loads(done.stdout.partition(" ")[2])["results"]["x"][0])


def test_whom_the_environment_trusts(serve: Callable[..., int], bundle: Path, tmp_path: Path) -> None:
    url = f"https://127.0.0.1:{serve()}/v2/"
    assert asked(url, SSL_CERT_FILE=str(bundle)) == "verified"
    # The CA is taken away, or another has its place.
    assert asked(url) == "unverified"
    (tmp_path / "other").mkdir()
    assert asked(url, SSL_CERT_FILE=str(make_certificate(tmp_path / "other"))) == "unverified"
    # Its name is not that of the certificate.
    assert asked(url.replace("127.0.0.1", "localhost"), SSL_CERT_FILE=str(bundle)) == "unverified"


def test_without_tls(serve: Callable[..., int], bundle: Path) -> None:
    port = serve(tls=False)
    assert asked(f"http://127.0.0.1:{port}/") == "plain"
    assert asked(f"https://127.0.0.1:{port}/", SSL_CERT_FILE=str(bundle)) == "connected"


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert asked(f"https://127.0.0.1:{port}/") == "refused"
    assert asked("https://nowhere.invalid/") == "unresolved"


def test_a_server_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PATIENCE, "seconds", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert asked(f"https://127.0.0.1:{server.getsockname()[1]}/") == "silent"


def test_the_environments_proxy(serve: Callable[..., int], bundle: Path) -> None:
    """A proxy that is taken away, or refuses, is told from a peer that does."""
    url = f"https://127.0.0.1:{serve()}/"
    trusting = {"SSL_CERT_FILE": str(bundle)}
    refusing = (
        f"http://127.0.0.1:{serve(tls=False, page=b'HTTP/1.1 403 Forbidden' + bytes([13, 10, 13, 10]))}"
    )
    assert asked(url, https_proxy=refusing, **trusting) == "proxy"
    assert asked(url, https_proxy="http://127.0.0.1:1", **trusting) == "proxy"
    assert asked(url, https_proxy=refusing, no_proxy="127.0.0.1", **trusting) == "verified"
