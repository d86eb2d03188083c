# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._net import http as _http
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpFailure, HttpTransport
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.errors import VerifyError
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.launch import Launch, LaunchRequest
from binder_server import Answers, BinderServer, load_stream


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a self-signed certificate for 127.0.0.1, in one file."""
    openssl = shutil.which("openssl")
    assert openssl, "these tests need openssl"
    folder = tmp_path_factory.mktemp("tls")
    argv = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=lab"]
    argv += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(argv, cwd=folder, check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_text((folder / "cert.pem").read_text() + (folder / "key.pem").read_text())
    return both


@pytest.fixture
def secure(certificate: Path) -> Iterator[BinderServer]:
    with BinderServer(Answers()) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server._http.socket = context.wrap_socket(server._http.socket, server_side=True)
        server.url, server.hub_url = (url.replace("http:", "https:") for url in (server.url, server.hub_url))
        server.answers.pieces = [
            (seconds, body.replace(b"http://127", b"https://127"))
            for seconds, body in load_stream("warm", server.host)
        ]
        yield server


def launch(server: BinderServer, transport: HttpTransport) -> dict[str, object]:
    request = LaunchRequest(url=server.url, provider="gh", spec="a/b/HEAD", hub_url=server.hub_url)
    return Launch(request, transport).run()


def test_a_ca_that_is_not_known(secure: BinderServer) -> None:
    with pytest.raises(VerifyError, match=r"self-signed certificate.*ca_files") as caught:
        launch(secure, HttpTransport())
    assert caught.value.kind == "tls"


def test_a_ca_that_is_known(secure: BinderServer, certificate: Path) -> None:
    assert launch(secure, HttpTransport([str(certificate)]))["server_stopped"] is True


def test_a_name_that_the_certificate_lacks(secure: BinderServer, certificate: Path) -> None:
    secure.url = secure.url.replace("127.0.0.1", "localhost")
    with pytest.raises(VerifyError, match="Hostname mismatch"):
        launch(secure, HttpTransport([str(certificate)]))


def test_certificates_are_ignored_only_when_asked(secure: BinderServer) -> None:
    assert launch(secure, HttpTransport(validate_certs=False))["server_stopped"] is True


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_ca_file_that_is_none(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(HttpFailure, match=r"ca\.pem cannot be used") as caught:
        HttpTransport([str(path)])
    assert caught.value.kind == "request"


def failure(url: str, timeout: float = 1.0) -> HttpFailure:
    with pytest.raises(HttpFailure) as caught:
        HttpTransport().request("GET", url, {}, timeout)
    return caught.value


@pytest.mark.parametrize(
    "url",
    ["ftp://h/", "h/binderhub/", "http:///x", "http://[::1/", "http://h:99999/", "http://127.0.0.1/a b"],
)
def test_urls_that_are_none(url: str) -> None:
    assert failure(url).kind in ("request", "unreachable")


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert (failure(f"http://127.0.0.1:{port}/").kind, failure("http://no-such-host.invalid/").kind) == (
        "unreachable",
        "unreachable",
    )


def test_no_connection_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full backlog takes no more connections, as a dropped packet would not be answered."""
    monkeypatch.setattr(_http, "CONNECT_SECONDS", 0.2)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        error = failure(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        for client in waiting:
            client.close()
    assert (error.kind, str(error)) == ("unreachable", "no connection within 0 s")


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", b"gopher\r\n"])
def test_half_an_answer(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            client, _address = listener.accept()
            client.recv(65536)
            client.sendall(said)
            client.close()

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        if b"half" in said:
            assert HttpTransport().request("GET", url, {}, 1.0).json() is None
        else:
            assert failure(url).kind == "closed"
        thread.join()


def test_tls_to_a_port_without() -> None:
    with BinderServer(Answers()) as server:
        assert failure(server.url.replace("http:", "https:")).kind == "tls"


def test_the_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with BinderServer(Answers()) as server:
        assert HttpTransport().request("GET", server.url, {}, 2.0).status == 200
