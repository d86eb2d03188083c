# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The probe's questions to others, asked of real servers on this machine."""

from __future__ import annotations

import base64
import errno
import gzip
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._net import probe as _probe
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpTransport
from ansible_collections.ironbinder.platform.plugins.module_utils._net.probe import (
    NetworkProbe,
    ask_neighbours,
    ask_peers,
)
from certificate_files import make_certificate
from ticking import Ticking
from web_server import Answer, WebServer, raw_server, says

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
ASKS_BASIC = {"WWW-Authenticate": 'Basic realm="registry"'}


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take its time."""
    monkeypatch.setattr(_probe, "TIMEOUT_SECONDS", 60.0)


@pytest.fixture
def network() -> NetworkProbe:
    """As the module makes it, with a clock that does not run."""
    return NetworkProbe(HttpTransport(), Ticking(0.5))


class Registry(WebServer):
    """A registry that knows one account: at /v2/ by Basic, with `realm` by a token from there."""

    def __init__(self, realm: str = "") -> None:
        super().__init__()
        self.realm = realm
        handler = self.server.RequestHandlerClass
        registry = self

        class Handler(handler):  # type: ignore[valid-type, misc]
            def do_GET(self) -> None:
                known = self.headers.get("Authorization") == ACCOUNT
                asks = {"WWW-Authenticate": f'Bearer realm="{registry.realm}",service="r"'}
                if self.path == "/v2/" and (registry.realm or not known):
                    registry.answers["/v2/"] = Answer(401, asks if registry.realm else ASKS_BASIC)
                else:
                    registry.answers[self.path] = Answer(200 if known else 401)
                super().do_GET()

        self.server.RequestHandlerClass = Handler


@pytest.fixture
def registry() -> Iterator[Registry]:
    """Run a registry."""
    with Registry() as server:
        yield server


@pytest.mark.parametrize(("password", "status"), [("right", 200), ("wrong", 401)])
@pytest.mark.parametrize("by_token", [False, True])
def test_login(network: NetworkProbe, registry: Registry, by_token: bool, password: str, status: int) -> None:
    """Both ways of logging in tell a right password from a wrong one."""
    place = f"{registry.url}/auth?a=b" if by_token else f"{registry.url}/v2/"
    registry.realm = place if by_token else ""
    answer = network.registry_login(f"{registry.url}/v2/", "binder", password)
    assert answer["status"] == status
    assert answer["url"] == f"{registry.url}/v2/"
    assert answer["login"] == place.partition("?")[0]
    assert password not in str(answer)
    assert registry.asked[1].target == ("/auth?a=b&service=r&account=binder" if by_token else "/v2/")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_password_follows_no_redirect(network: NetworkProbe, status: int) -> None:
    """Not from the registry, not from its token server, and not to the same host either."""
    with WebServer({"/steal": Answer()}) as thief, WebServer() as registry:
        away = Answer(status, {"Location": f"{thief.url}/steal?token=secret"})
        registry.answers = {"/v2/": away}
        answer = network.registry_login(f"{registry.url}/v2/", "binder", "right")
        assert (answer["status"], answer["redirect"], answer["login"]) == (status, f"{thief.url}/steal", "")

        registry.answers = {
            "/v2/": Answer(401, {"WWW-Authenticate": f'Bearer realm="{registry.url}/auth"'}),
            "/auth?service=&account=binder": away,
        }
        answer = network.registry_login(f"{registry.url}/v2/", "binder", "right")
        assert (answer["status"], answer["redirect"]) == (status, f"{thief.url}/steal")
        assert answer["login"] == f"{registry.url}/auth"
        assert thief.asked == []
        assert "secret" not in str(answer)


def test_the_password_is_not_told_without_being_asked_for(network: NetworkProbe) -> None:
    """A registry for everybody, and one that is none."""
    for status in (200, 404, 500):
        with WebServer({"/v2/": Answer(status)}) as registry:
            answer = network.registry_login(f"{registry.url}/v2/", "binder", "right")
            assert (answer["status"], answer["login"]) == (status, "")
            assert ["authorization" in asked.headers for asked in registry.asked] == [False]


@pytest.mark.parametrize(
    "realm", ["http://{thief}/auth", "HTTP://{thief}/auth", "//{thief}/auth", "", "ftp://x"]
)
def test_from_tls_the_password_goes_to_no_plain_token_server(tmp_path: Path, realm: str) -> None:
    """As `docker login` has it; a registry that itself speaks plain HTTP is the site's own choice."""
    ca_file = make_certificate(tmp_path)
    with WebServer() as thief, WebServer() as registry:
        asks = {"WWW-Authenticate": f'Bearer realm="{realm.format(thief=thief.host)}"'}
        registry.answers["/v2/"] = Answer(401, asks)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "both.pem")
        registry.server.socket = context.wrap_socket(registry.server.socket, server_side=True)
        network = NetworkProbe(HttpTransport([str(ca_file)]))
        answer = network.registry_login(f"https://{registry.host}/v2/", "binder", "right")
        assert answer["error"] == "other"
        assert "does not speak TLS, so no password is sent there" in answer["detail"]
        assert thief.asked == []
        assert not any("authorization" in asked.headers for asked in registry.asked)


def test_url_answers(network: NetworkProbe, registry: Registry) -> None:
    """A status is a status; what goes wrong before has a kind."""
    told = network.url(f"{registry.url}/v2/")
    assert (told["status"], told["seconds"], told["challenge"]) == (401, 0.5, ASKS_BASIC["WWW-Authenticate"])
    assert network.url(f"https://{registry.host}/v2/")["error"] == "not-tls"
    assert network.url("http://127.0.0.1:1/")["error"] == "refused"
    assert network.url("http://no-such-name.invalid/")["error"] == "resolve"
    for odd in ("http://[broken/", "http://h:99999999/", "", "file:///etc/passwd", "http://a b/"):
        assert network.url(odd)["error"] in ("other", "resolve"), odd


def test_urls_that_keep_silent_or_speak_something_else(
    network: NetworkProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An SSH daemon is no web server, and its words are no traceback."""
    with raw_server(says(b"SSH-2.0-OpenSSH_9.2\r\n")) as port:
        told = network.url(f"http://127.0.0.1:{port}/")
    assert told["error"] == "other"
    assert "does not speak HTTP" in told["detail"]
    monkeypatch.setattr(_probe, "TIMEOUT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert network.url(f"http://127.0.0.1:{listener.getsockname()[1]}/")["error"] == "timeout"


def test_a_certificate_of_somebody(tmp_path: Path) -> None:
    """What is not vouched for is told from what speaks no TLS."""
    ca_file = make_certificate(tmp_path)
    with WebServer({"/": Answer()}) as web:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "both.pem")
        web.server.socket = context.wrap_socket(web.server.socket, server_side=True)
        url = f"https://{web.host}/"
        assert NetworkProbe(HttpTransport()).url(url)["error"] == "untrusted"
        assert NetworkProbe(HttpTransport(ca_pem=ca_file.read_text())).url(url)["status"] == 200


def test_artefacts_may_lead_elsewhere(network: NetworkProbe) -> None:
    """As apt and Ansible follow; where they would not either, is said."""
    with WebServer({"/there": Answer()}) as other, WebServer() as web:
        web.answers = {
            "/key": Answer(302, {"Location": f"{other.url}/there"}),
            "/nowhere": Answer(302),
            "/loop": Answer(302, {"Location": "/loop"}),
        }
        assert network.url(f"{web.url}/key")["status"] == 200
        assert network.url(f"{web.url}/nowhere")["status"] == 302
        assert "more than 5 times" in network.url(f"{web.url}/loop")["detail"]


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


@pytest.mark.parametrize(("address", "port"), [("127.0.0.1", 99999999), ("127.0.0.1", -1), ("a\0b", 22)])
def test_a_port_and_a_name_that_are_none(address: str, port: int) -> None:
    """No traceback for a number that no port can have."""
    assert ask_peers([address], port)[address].startswith("other: ")


def test_neighbours() -> None:
    """Only those that were asked for count; whatever is no address asks nobody."""
    table = {"192.0.2.101": "02:00:00:00:00:15", "192.0.2.9": "02:00:00:00:00:99"}
    clock = Ticking()
    asked = ["192.0.2.101", "192.0.2.102", "not an address", "a\0b"]
    assert ask_neighbours(asked, lambda: table, clock) == {"192.0.2.101": "02:00:00:00:00:15"}
    assert clock.slept == [_probe.ARP_SECONDS]

    def never() -> Any:
        raise AssertionError("nobody was asked for")

    assert ask_neighbours([], never, clock) == {}


LISTS = {
    "good": gzip.compress(PACKAGES),
    "two members": gzip.compress(PACKAGES[:100]) + gzip.compress(PACKAGES[100:]),
    "cut": gzip.compress(PACKAGES)[:-9],
    "damaged": gzip.compress(PACKAGES)[:20] + b"x" * 50,
    "html": b"<html>",
    "empty": b"",
    "too long": gzip.compress(b" " * 50_000_000),
}


@pytest.mark.parametrize("kind", LISTS)
def test_packages(network: NetworkProbe, kind: str) -> None:
    """Versions of what was asked for; None where the list cannot be read, so that apt has the last word."""
    names = ["kubelet", "containerd.io", "not-a-field"]
    with WebServer(
        {"/Packages.gz": Answer(body=LISTS[kind]), "/InRelease": Answer(body=b"x" * 99_999)}
    ) as web:
        index = {"list": f"{web.url}/Packages.gz", "release": f"{web.url}/InRelease"}
        found = network.packages(index, names)
        whole = kind in ("good", "two members")
        assert found == ({"kubelet": ["1.36.3-1.1", "1.36.2-1.1"]} if whole else None)
        del web.answers["/InRelease"]
        assert network.packages(index, names) is None


@pytest.mark.parametrize(
    "index", [{}, {"list": "no URL", "release": "no URL"}, {"list": "http://127.0.0.1:1/"}]
)
def test_packages_of_nobody(network: NetworkProbe, index: dict[str, str]) -> None:
    """Lists that are not to be had."""
    assert network.packages(index, ["kubelet"]) is None


def test_a_repository_that_is_gone(network: NetworkProbe) -> None:
    """Only where apt would find nothing either: without InRelease it asks for Release, and a server that errs may have it."""
    with WebServer() as web:
        index = {"list": f"{web.url}/d/main/Packages.gz", "release": f"{web.url}/d/InRelease"}
        assert network.refusal(index) == f"{web.url}/d/Release answers 404"
        web.answers["/d/Release"] = Answer()
        assert network.refusal(index) == ""
        web.answers["/d/Release"] = Answer(503)
        assert network.refusal(index) == ""
    assert network.refusal(index) == ""
    assert network.refusal({}) == network.refusal({"release": "http://127.0.0.1:1/x"}) == ""
