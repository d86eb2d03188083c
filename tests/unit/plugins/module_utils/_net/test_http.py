# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._net import http as _http
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import (
    HttpFailure,
    HttpTransport,
    Reply,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.errors import VerifyError
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.launch import Launch, LaunchRequest
from binder_server import Answers, BinderServer, load_stream
from ticking import Ticking
from web_server import Answer, WebServer, raw_server, says


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
    told: Any = launch(secure, HttpTransport([str(certificate)]))
    assert told["server_stopped"] is True and told["kernel"]["computed"] is True


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
    with pytest.raises(HttpFailure, match=r"ca\.pem holds no CA certificates that can be used") as caught:
        HttpTransport([str(path)])
    assert caught.value.kind == "request"


# Long enough for a busy machine: only what is said to be silent takes its time.
PATIENT = 60.0


def failure(url: str, timeout: float = PATIENT, **options: Any) -> HttpFailure:
    with pytest.raises(HttpFailure) as caught:
        HttpTransport().request("GET", url, {}, timeout, **options)
    return caught.value


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h/",
        "h/binderhub/",
        "http:///x",
        "http://[::1/",
        "http://h:99999/",
        "http://h:99999999/",
        "http://h:x/",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/\u2603",
        f"http://{'x' * 70}.example/",
        "http://a\0b/",
    ],
)
def test_urls_that_are_none(url: str) -> None:
    # Nobody listens where some of these lead.
    assert failure(url).kind in ("request", "unreachable")


@pytest.mark.parametrize("path", ["/a b", "/\u2603", "/a\0b"])
def test_paths_that_are_none(path: str) -> None:
    with WebServer() as web:
        assert failure(web.url + path).kind == "request"
    assert web.asked == []


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


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (b"", "closed early"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "5 bytes before the end"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf", "closed early"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "closed early"),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "does not speak HTTP"),
        (b"HTTP/9 200\r\n\r\n", "does not speak HTTP"),
        (b"HTTP/1.1 OK\r\n\r\n", "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200, "does not speak HTTP"),
    ],
)
def test_half_an_answer_and_none(said: bytes, text: str) -> None:
    with raw_server(says(said)) as port:
        error = failure(f"http://127.0.0.1:{port}/")
    assert error.kind == "closed"
    assert text in str(error)


def test_an_answer_that_ends_with_its_connection() -> None:
    with raw_server(says(b"HTTP/1.0 200 OK\r\n\r\nall of it")) as port:
        reply = HttpTransport().request("GET", f"http://127.0.0.1:{port}/", {}, PATIENT)
    assert (reply.body, reply.truncated) == (b"all of it", False)


def test_no_more_than_asked_for_is_read() -> None:
    with WebServer({"/": Answer(body=b"x" * 300_000)}) as web:
        reply = HttpTransport().request("GET", web.url + "/", {}, PATIENT, limit_bytes=1000)
    assert (reply.body, reply.truncated) == (b"x" * 1000, True)


def test_a_head_has_no_body() -> None:
    with WebServer({"/": Answer(headers={"Content-Length": "9"})}) as web:
        assert HttpTransport().request("HEAD", web.url + "/", {}, PATIENT).body == b""


def test_json_that_is_none() -> None:
    """Brackets without end are no reason to fall over."""
    assert Reply(200, {}, b"[" * 100_000).json() is None
    assert Reply(200, {}, b"\xff").json() is None


@pytest.mark.parametrize(
    "begin",
    [b"", b"HTTP/1.1 200 OK\r\na: ", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" * 5],
    ids=["status line", "headers", "body", "continue"],
)
def test_a_server_that_never_ends(begin: bytes) -> None:
    """A byte now and then keeps each read alive, but not the request."""

    def drip(client: socket.socket) -> None:
        client.recv(65536)
        client.sendall(begin)
        while True:
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" if b"Continue" in begin else b"x")

    # A few reads use the time up: before a line is longer than http.client takes one to be.
    clock = Ticking(step=5.0)
    with raw_server(drip) as port, pytest.raises(HttpFailure, match="no whole answer within 20 s") as caught:
        HttpTransport(clock=clock).request(
            "GET", f"http://127.0.0.1:{port}/", {}, PATIENT, deadline_seconds=20, limit_bytes=1 << 40
        )
    assert caught.value.kind == "silence"
    assert clock.time < 200


def test_a_stream_may_go_on_after_its_headers() -> None:
    clock = Ticking()
    with WebServer({"/": Answer(body=b"data: 1")}) as web:
        stream = HttpTransport(clock=clock).open(web.url + "/", {}, PATIENT)
        clock.time += 10_000
        assert stream.read(PATIENT) == b"data: 1"
        stream.close()


def test_headers_of_a_stream_have_to_come() -> None:
    def drip(client: socket.socket) -> None:
        while True:
            client.sendall(b"x")

    with raw_server(drip) as port, pytest.raises(HttpFailure, match="no whole answer"):
        HttpTransport(clock=Ticking(step=20.0)).open(f"http://127.0.0.1:{port}/", {}, PATIENT)


def test_a_silence_that_the_end_cuts_short_is_none() -> None:
    """Bytes did arrive; what did not is the whole."""

    def stops(client: socket.socket) -> None:
        client.recv(65536)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        client.recv(65536)

    with raw_server(stops) as port, pytest.raises(HttpFailure, match="no whole answer within 0 s") as caught:
        HttpTransport().request("GET", f"http://127.0.0.1:{port}/", {}, PATIENT, deadline_seconds=0.3)
    assert caught.value.kind == "silence"


def test_a_silent_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        error = failure(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout=0.1)
    assert (error.kind, str(error)) == ("silence", "nothing arrived for 0 s")


def test_tls_to_a_port_without() -> None:
    with BinderServer(Answers()) as server:
        assert failure(server.url.replace("http:", "https:")).kind == "tls"


SECRETS = {"Authorization": "Basic c2VjcmV0", "Cookie": "a=secret", "X-Api-Key": "secret", "Accept": "text/x"}


def test_redirects_are_not_followed_unasked() -> None:
    with WebServer({"/": Answer(302, {"Location": "/there"}), "/there": Answer()}) as web:
        reply = HttpTransport().request("GET", web.url + "/", {}, PATIENT)
    assert (reply.status, reply.headers["location"], len(web.asked)) == (302, "/there", 1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_another_server_is_told_no_credential(status: int) -> None:
    with WebServer({"/x": Answer(body=b"there")}) as other:
        answers = {
            "/": Answer(status, {"Location": "/on"}),
            "/on": Answer(status, {"Location": f"{other.url}/x"}),
        }
        with WebServer(answers) as web:
            reply = HttpTransport().request("GET", web.url + "/", SECRETS, PATIENT, redirects=2)
    assert (reply.status, reply.body, reply.url) == (200, b"there", f"{other.url}/x")
    assert [asked.headers["authorization"] for asked in web.asked] == [SECRETS["Authorization"]] * 2
    (asked,) = other.asked
    assert asked.headers["accept"] == "text/x"
    assert not {"authorization", "cookie", "x-api-key"} & set(asked.headers)
    assert "secret" not in str(asked)


def test_too_many_redirects() -> None:
    with WebServer({"/": Answer(302, {"Location": "/?token=secret"})}) as web:
        web.answers["/?token=secret"] = web.answers["/"]
        error = failure(web.url + "/", redirects=3)
    assert (error.kind, len(web.asked)) == ("redirect", 4)
    assert "more than 3 times" in str(error)
    assert "secret" not in str(error)


def test_a_post_is_never_repeated_elsewhere() -> None:
    with pytest.raises(ValueError, match="POST"):
        HttpTransport().request("POST", "http://127.0.0.1:1/", {}, PATIENT, redirects=1)


def test_from_https_to_http_nobody_is_followed(secure: BinderServer, certificate: Path) -> None:
    with WebServer({"/": Answer()}) as web:
        secure.answers.status, secure.answers.headers = 302, {"Location": web.url + "/"}
        secure.answers.pieces = []
        with pytest.raises(HttpFailure, match="where nobody should follow") as caught:
            HttpTransport([str(certificate)]).request(
                "GET", f"{secure.url}build/gh/a/b/HEAD", {}, PATIENT, redirects=5
            )
    assert (caught.value.kind, web.asked) == ("redirect", [])


def test_the_proxies_of_the_environment_are_used_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with WebServer() as proxy, BinderServer(Answers()) as server:
        proxy.answers[server.url] = Answer(299)
        monkeypatch.setenv("http_proxy", proxy.url)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        assert HttpTransport().request("GET", server.url, {}, PATIENT).status == 200
        assert HttpTransport(uses_proxies=True).request("GET", server.url, {}, PATIENT).status == 299
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert HttpTransport(uses_proxies=True).request("GET", server.url, {}, PATIENT).status == 200


@pytest.mark.parametrize(("body", "length"), [(b"", "0"), (b"code=x&y", "8")])
def test_what_is_sent(body: bytes, length: str) -> None:
    """A body arrives as it is; a POST without one says so."""
    with WebServer({"/x": Answer()}) as web:
        HttpTransport().request("POST", f"{web.url}/x", {}, 5.0, body=body)
        [asked] = web.asked
    assert (asked.body, asked.headers["content-length"]) == (body, length)
