# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Websockets against a real server on the loopback that says exactly what a test wants it to."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._net import websockets
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpFailure, HttpTransport
from ansible_collections.ironbinder.platform.plugins.module_utils._net.websockets import (
    UpgradeRefused,
    WebSocket,
)
from kernel_server import BINARY, CLOSE, PING, PONG, TEXT, accepted, frame, pieces, read_frame
from ticking import Ticking

Script = Callable[[BinaryIO, socket.socket], None]


class Server:
    """Answers one upgrade with `answer`, or properly, and then does what `script` says. `asked` is the request."""

    def __init__(self, script: Script, answer: bytes | None = None) -> None:
        self._script, self._answer = script, answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/user/x/channels?session_id=1"
        self.asked = b""
        self.done = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        sock, _address = self._listener.accept()
        with sock, sock.makefile("rb") as stream, contextlib.suppress(OSError):
            while not self.asked.endswith(b"\r\n\r\n"):
                self.asked += stream.readline()
            sock.sendall(self._answer if self._answer is not None else upgraded(self.asked))
            self._script(stream, sock)
        self.done.set()

    def header(self, name: str) -> str:
        """Give a header of the request."""
        lines = [line.partition(": ") for line in self.asked.decode().split("\r\n")]
        return next((text for key, _, text in lines if key.lower() == name.lower()), "")


def upgraded(asked: bytes, key: str = "") -> bytes:
    """Answer an upgrade as a server does that likes it."""
    sent = asked.decode().partition("Sec-WebSocket-Key: ")[2].partition("\r\n")[0]
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accepted(key or sent)}\r\n\r\n"
    ).encode()


def sends(*frames: bytes) -> Script:
    """Send frames, and wait until the other side hangs up."""

    def script(stream: BinaryIO, sock: socket.socket) -> None:
        for one in frames:
            sock.sendall(one)
        stream.read()

    return script


@contextlib.contextmanager
def talk(
    script: Script, answer: bytes | None = None, seconds: float = 60.0
) -> Iterator[tuple[Server, WebSocket]]:
    """Open a websocket to a server that follows a script."""
    server = Server(script, answer)
    headers = {"Authorization": "token secret"}
    channel = HttpTransport().websocket(server.url, headers, seconds)
    try:
        yield server, channel
    finally:
        channel.close()


def test_the_request() -> None:
    with talk(sends()) as (server, _channel):
        host = server.url.split("/")[2]
        assert server.asked.startswith(b"GET /user/x/channels?session_id=1 HTTP/1.1\r\n")
        told = [server.header(name) for name in ("Authorization", "Host", "Origin", "Upgrade", "Connection")]
        assert told == ["token secret", host, f"http://{host}", "websocket", "Upgrade"]
        # With one of these the messages would be framed in another way.
        assert (
            server.header("Sec-WebSocket-Protocol") == "" and server.header("Sec-WebSocket-Extensions") == ""
        )


@pytest.mark.parametrize("size", [0, 5, 125, 126, 70000])
def test_messages_of_every_size_go_both_ways(size: int) -> None:
    heard: list[tuple[int, bytes]] = []

    def echo(stream: BinaryIO, sock: socket.socket) -> None:
        heard.append(read_frame(stream))
        sock.sendall(frame(heard[0][1]))
        stream.read()

    with talk(echo) as (_server, channel):
        channel.send("é" * size)
        assert channel.receive(60).decode() == "é" * size
    assert heard == [(TEXT, ("é" * size).encode())]


def test_fragments_are_put_together_and_a_ping_between_them_is_answered() -> None:
    heard: list[tuple[int, bytes]] = []

    def script(stream: BinaryIO, sock: socket.socket) -> None:
        sock.sendall(pieces("in drei Stücken".encode()))
        heard.append(read_frame(stream))

    with talk(script) as (server, channel):
        assert channel.receive(60).decode() == "in drei Stücken"
        assert server.done.wait(60)
    assert heard == [(PONG, b"are you there")]


def test_what_is_no_text_is_passed_over() -> None:
    with talk(sends(frame(b"\x00\x01", BINARY), frame(b"", PONG), frame(b"text"))) as (_server, channel):
        assert channel.receive(60) == b"text"


def test_closing_says_goodbye_and_hangs_up() -> None:
    heard: list[tuple[int, bytes]] = []

    def script(stream: BinaryIO, _sock: socket.socket) -> None:
        heard.append(read_frame(stream))
        assert stream.read() == b""

    with talk(script) as (server, _channel):
        pass
    assert server.done.wait(60)
    assert heard == [(CLOSE, b"\x03\xe8")]


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"", "closed without a code"),
        (b"\x03\xe8", "code 1000"),
        ((1011).to_bytes(2, "big") + b"kernel died", "code 1011, kernel died"),
    ],
)
def test_a_websocket_that_is_closed(payload: bytes, words: str) -> None:
    with (
        talk(sends(frame(b"last"), frame(payload, CLOSE))) as (_server, channel),
        pytest.raises(HttpFailure, match=words) as caught,
    ):
        assert channel.receive(60) == b"last"
        channel.receive(60)
    assert caught.value.kind == "closed"


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        ([], "connection was closed"),
        ([frame(b"a message that is not whole")[:9]], "connection was closed"),
        ([frame(b"\xff\xfe")], "no websocket"),
        ([frame(b"x", 0x3)], "no websocket"),
        ([frame(b"x", 0)], "no websocket"),
        ([frame(b"x" * 130, PING)], "no websocket"),
        ([b"HTTP/1.1 500 " * 20], "no websocket"),
    ],
)
def test_what_is_no_message(frames: list[bytes], words: str) -> None:
    def script(_stream: BinaryIO, sock: socket.socket) -> None:
        for one in frames:
            sock.sendall(one)

    with talk(script) as (_server, channel), pytest.raises(HttpFailure, match=words) as caught:
        channel.receive(60)
    assert caught.value.kind == "closed"


def page(status: str, body: str = "", *headers: str) -> bytes:
    """Answer with something else than a websocket."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", body]
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (page("400 Bad Request", 'Can "Upgrade" only to "WebSocket".'), 400, 'Can "Upgrade" only'),
        (page("403 Forbidden"), 403, "HTTP 403 in place of a websocket"),
        (page("404 Not Found", "<html>no</html>"), 404, "HTTP 404 in place of a websocket"),
        (page("200 OK", "hello"), 200, "hello"),
        (page("502 Bad Gateway"), 502, "HTTP 502"),
        (page("302 Found", "", "Location: /hub/login?token=secret"), 302, "/hub/login"),
        (page("301 Moved", "", "Location: //elsewhere.example.org/x"), 301, "elsewhere.example.org/x"),
    ],
)
def test_another_answer_than_a_websocket(answer: bytes, status: int, words: str) -> None:
    """A redirect is not followed, and says nothing of a token."""
    with pytest.raises(UpgradeRefused) as caught, talk(sends(), answer):
        raise AssertionError("opened")
    assert caught.value.status == status and caught.value.kind == "refused"
    assert words in str(caught.value) and "secret" not in str(caught.value) and "<" not in str(caught.value)


def test_a_redirect_to_another_server_is_not_followed() -> None:
    """It would be told the token."""
    other = Server(sends())
    answer = page("302 Found", "", f"Location: {other.url.replace('http:', 'ws:')}")
    with pytest.raises(UpgradeRefused, match="HTTP 302"), talk(sends(), answer):
        raise AssertionError("opened")
    assert other.asked == b""


@pytest.mark.parametrize("answer", [b"", b"220 mail.example.org\r\n", upgraded(b"", "another key")])
def test_no_answer_to_the_upgrade_that_counts(answer: bytes) -> None:
    def hang_up(_stream: BinaryIO, _sock: socket.socket) -> None:
        """Leave."""

    with pytest.raises(HttpFailure) as caught, talk(hang_up, answer):
        raise AssertionError("opened")
    assert caught.value.kind == "closed"


def test_silence_before_and_after_the_upgrade() -> None:
    with pytest.raises(HttpFailure) as caught, talk(sends(), b"", seconds=0.2):
        raise AssertionError("opened")
    assert caught.value.kind == "silence"
    with talk(sends()) as (_server, channel), pytest.raises(HttpFailure) as caught:
        channel.receive(0.2)
    assert caught.value.kind == "silence"


@pytest.mark.parametrize("drop", [frame(b"", PING), b"\x81"[:1]])
def test_the_time_is_that_of_the_message_not_of_a_byte(drop: bytes) -> None:
    """Neither pings nor a message that comes byte by byte are listened to for ever."""

    def drip(_stream: BinaryIO, sock: socket.socket) -> None:
        sock.sendall(frame(b"x" * 60000)[:5] if drop == b"\x81" else b"")
        for _ in range(3000):
            sock.sendall(drop)
            time.sleep(0.02)

    started = time.monotonic()
    with talk(drip) as (_server, channel), pytest.raises(HttpFailure) as caught:
        channel.receive(0.5)
    assert caught.value.kind == "silence" and time.monotonic() - started < 30


def test_the_time_to_open_is_all_there_is() -> None:
    """A byte of a header now and then keeps each read alive, but not the upgrade."""

    def drip(_stream: BinaryIO, sock: socket.socket) -> None:
        while True:
            sock.sendall(b"x")

    with pytest.raises(HttpFailure, match="no whole answer within 20 s") as caught:
        clock = Ticking(step=5.0)
        HttpTransport(clock=clock).websocket(Server(drip, b"HTTP/1.1 101 a\r\nx: ").url, {}, 20.0)
    assert caught.value.kind == "silence"


def test_there_is_an_end_to_what_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websockets, "MOST_BYTES", 1 << 20)
    # It says that 8 EiB are to come.
    endless = bytes([0x80 | TEXT, 127]) + (2**63 - 1).to_bytes(8, "big")

    def script(_stream: BinaryIO, sock: socket.socket) -> None:
        sock.sendall(endless)
        for _ in range(1 << 10):
            sock.sendall(b"x" * 65536)

    with talk(script) as (_server, channel), pytest.raises(HttpFailure, match="more than 1 MiB") as caught:
        channel.receive(60)
    assert caught.value.kind == "too_much"


def test_a_machine_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websockets, "library", None)
    with pytest.raises(HttpFailure, match="websocket-client is missing") as caught, talk(sends()):
        raise AssertionError("opened")
    assert caught.value.kind == "request"


@pytest.mark.parametrize("url", ["ws://127.0.0.1/", "http:///x", "http://127.0.0.1:port/"])
def test_what_is_no_url_of_a_web_server(url: str) -> None:
    with pytest.raises(HttpFailure) as caught:
        HttpTransport().websocket(url, {}, 1.0)
    assert caught.value.kind == "request"


def test_nobody_there_and_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's proxy is not asked: people's browsers do not have it."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with talk(sends(frame(b"direct"))) as (_server, channel):
        assert channel.receive(60) == b"direct"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    with pytest.raises(HttpFailure) as caught:
        HttpTransport().websocket(url, {}, 5.0)
    assert caught.value.kind == "unreachable"
