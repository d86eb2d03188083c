# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The environment's proxies, and tunnels through one that really listens."""

from __future__ import annotations

import socket
import ssl
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._net.failure import HttpFailure
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpTransport
from ansible_collections.ironbinder.platform.plugins.module_utils._net.proxies import (
    is_named,
    proxies_of,
    proxy_for,
)
from certificate_files import make_certificate
from web_server import Answer, WebServer, raw_server

PATIENT = 60.0
PAIR = "Basic dXNlcjpwQHNz"  # user:p@ss


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without any proxy."""
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[WebServer, str]]:
    """A server with TLS, and the file of its CA."""
    ca_file = make_certificate(tmp_path)
    with WebServer({"/x": Answer(body=b"there")}) as web:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "both.pem")
        web.server.socket = context.wrap_socket(web.server.socket, server_side=True)
        yield web, str(ca_file)


@pytest.mark.parametrize(
    ("environment", "url", "expected"),
    [
        ({}, "http://h/", None),
        ({"http_proxy": "http://p:3128"}, "http://h/", ("p", 3128)),
        ({"http_proxy": "p:3128"}, "http://h/", ("p", 3128)),
        ({"http_proxy": "http://p"}, "http://h/", ("p", 80)),
        ({"http_proxy": "http://p"}, "https://h/", None),
        ({"https_proxy": "https://p:3128"}, "https://h/", ("p", 3128)),
        ({"http_proxy": "http://p", "no_proxy": "example.org,h"}, "http://h:8080/", None),
        ({"http_proxy": "http://p", "no_proxy": "example.org"}, "http://a.example.org/", None),
        ({"http_proxy": "http://p", "no_proxy": "::1"}, "http://[::1]:5/", None),
        ({"http_proxy": "http://p", "no_proxy": "*"}, "http://h/", None),
        ({"http_proxy": ""}, "http://h/", None),
    ],
)
def test_choice(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], url: str, expected: tuple[str, int] | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    proxy = proxy_for(urlsplit(url), urllib.request.getproxies(), urllib.request.proxy_bypass)
    assert (proxy and (proxy.host, proxy.port)) == expected


# As Go understands it, and what others do besides.
@pytest.mark.parametrize(
    ("host", "no_proxy", "expected"),
    [
        ("a.example.org", "example.org", True),
        ("a.example.org:443", ".example.org", True),
        ("A.Example.org", "*.example.org", True),
        ("example.org", "x, EXAMPLE.org", True),
        ("notexample.org", "example.org", False),
        ("10.96.0.1", "10.96.0.0/12", True),
        ("10.96.0.1:443", "10.96.0.1", True),
        ("10.112.0.1", "10.96.0.0/12", False),
        ("::1", "::1", True),
        ("h:8080", "h:8080", True),
        ("h:8081", "h:8080", False),
        ("h", "*", True),
        ("h", "", False),
        ("h", "h/24,,", False),
    ],
)
def test_what_no_proxy_names(host: str, no_proxy: str, expected: bool) -> None:
    assert is_named(host, no_proxy) is expected


def test_a_sites_proxies() -> None:
    assert proxies_of({"http_proxy": "http://p:1", "https_proxy": "", "no_proxy": "x"}) == {
        "http": "http://p:1"
    }


@pytest.mark.parametrize(
    "value", ["socks5://p:1", "http://p:99999999", "http://[", "http://", "https://user:secret@p:1"]
)
def test_proxies_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("http_proxy", value)
    with pytest.raises(HttpFailure, match=r"http_proxy of the environment has to be") as caught:
        HttpTransport(uses_proxies=True).request("GET", "http://h.invalid/", {}, PATIENT)
    assert caught.value.kind == "proxy"
    assert "secret" not in str(caught.value)


def test_plain_http_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy is told the whole URL and its own password, which the server behind it never sees."""
    with WebServer({"http://h.invalid:81/a?b": Answer(body=b"by proxy")}) as proxy:
        monkeypatch.setenv("http_proxy", f"http://user:p%40ss@{proxy.host}")
        transport = HttpTransport(uses_proxies=True)
        assert transport.request("GET", "http://h.invalid:81/a?b", {}, PATIENT).body == b"by proxy"
    (asked,) = proxy.asked
    assert (asked.headers["host"], asked.headers["proxy-authorization"]) == ("h.invalid:81", PAIR)


def tunnelling(heard: list[bytes]) -> object:
    """Connect through as CONNECT asks for, one connection at a time."""

    def answer(client: socket.socket) -> None:
        heard.append(client.recv(65536))
        target = heard[-1].split()[1].decode()
        host, _, port = target.rpartition(":")
        with socket.create_connection((host, int(port))) as there:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            client.settimeout(0.05)
            there.settimeout(0.05)
            silent = 0
            while silent < 40:
                silent += 1
                for source, goal in ((client, there), (there, client)):
                    try:
                        data = source.recv(65536)
                    except TimeoutError:
                        continue
                    if not data:
                        return
                    silent = 0
                    goal.sendall(data)

    return answer


def test_tls_through_a_tunnel(monkeypatch: pytest.MonkeyPatch, secure: tuple[WebServer, str]) -> None:
    """The proxy sees a name and encrypted bytes; the certificate is that of the server behind it."""
    web, ca_file = secure
    heard: list[bytes] = []
    with raw_server(tunnelling(heard)) as port:  # type: ignore[arg-type]
        monkeypatch.setenv("https_proxy", f"http://user:p%40ss@127.0.0.1:{port}")
        transport = HttpTransport([ca_file], uses_proxies=True)
        headers = {"Authorization": "secret"}
        assert transport.request("GET", f"https://{web.host}/x", headers, PATIENT).body == b"there"
        with pytest.raises(HttpFailure) as caught:
            HttpTransport(uses_proxies=True).request("GET", f"https://{web.host}/x", {}, PATIENT)
    assert caught.value.kind == "tls"
    assert heard[0].startswith(f"CONNECT {web.host} HTTP/1.1\r\nHost: {web.host}\r\n".encode())
    assert f"Proxy-Authorization: {PAIR}\r\n".encode() in heard[0]
    assert b"secret" not in heard[0]
    assert "proxy-authorization" not in web.asked[0].headers


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "answers 407 for h.invalid:443"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 5\r\n\r\noops!", "answers 502"),
        (b"SSH-2.0-OpenSSH\r\n", "does not speak HTTP"),
        (b"", "closed early"),
    ],
)
def test_a_proxy_that_refuses(monkeypatch: pytest.MonkeyPatch, said: bytes, text: str) -> None:
    def answer(client: socket.socket) -> None:
        client.recv(65536)
        client.sendall(said)

    with raw_server(answer) as port:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        with pytest.raises(HttpFailure, match=text) as caught:
            HttpTransport(uses_proxies=True).request("GET", "https://h.invalid/", {}, PATIENT)
    assert caught.value.kind == "proxy"
    assert f"the proxy 127.0.0.1:{port} of the environment" in str(caught.value)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_down(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setenv(f"{scheme}_proxy", "http://127.0.0.1:1")
    with pytest.raises(HttpFailure, match=r"127\.0\.0\.1:1 of the environment: .*refused") as caught:
        HttpTransport(uses_proxies=True).request("GET", f"{scheme}://h.invalid/", {}, PATIENT)
    assert caught.value.kind == "proxy"
