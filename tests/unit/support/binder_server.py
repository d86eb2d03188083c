# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Streams of BinderHub from tests/unit/data/streams, and a server on the loopback that replays them."""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from kernel_server import Kernels, serve

STREAMS = Path(__file__).parents[1] / "data" / "streams"
TOKEN = "pXq7-launch-token_Zz9"
Pieces = list[tuple[float, bytes]]


def load_stream(name: str, hub: str = "hub.example.org", binder: str = "hub.example.org") -> Pieces:
    """Read a stream as [(seconds since the request, bytes)]."""
    text = (STREAMS / f"{name}.txt").read_text(encoding="utf-8")
    _before, *parts = re.split(r"^@ (\S+)\n", text, flags=re.MULTILINE)
    return [
        (float(seconds), body.replace("//HUB/", f"//{hub}/").replace("//BINDER/", f"//{binder}/").encode())
        for seconds, body in zip(parts[::2], parts[1::2], strict=True)
    ]


def held_back(pieces: Pieces, block: int = 4096, hangs_up_after: float = 60.0) -> Pieces:
    """Do to a stream what a buffering NGINX was seen to do: full blocks, and the rest at the end."""
    kept, sent = b"", []
    for seconds, body in pieces:
        kept += body
        while len(kept) >= block:
            sent.append((seconds, kept[:block]))
            kept = kept[block:]
    return [*sent, (pieces[-1][0] + hangs_up_after, kept)]


@dataclass
class Answers:
    """What the server does. Seconds of the stream are divided by `speed`."""

    pieces: Pieces = field(default_factory=list)
    # By what is in the path of the request, where it is not the same for every repository.
    streams: dict[str, Pieces] = field(default_factory=dict)
    speed: float = 50.0
    status: int = 200
    content_type: str = "text/event-stream"
    headers: dict[str, str] = field(default_factory=dict)
    stays_open_seconds: float = 0.0
    ends_properly: bool = True
    chunked: bool = True
    versions: Any = None
    health: tuple[int, Any] = (404, None)
    registry_status: int = 200
    main_page: str = "<html><title>Binder (beta)</title></html>"
    api_statuses: list[int] = field(default_factory=list)
    api_body: bytes = b'{"started": "2026-11-20T22:00:00Z", "kernels": 0, "connections": 0}'
    upgrades: int = 101
    upgrade_body: bytes = b""
    shutdown_status: int = 200
    stops: bool = True
    token: str = TOKEN
    kernels: Kernels = field(default_factory=Kernels)
    # What the hub says of `token`, where people have to sign in; and what it says to who stops the server without a name.
    hub_user: Any = None
    clear_statuses: list[int] = field(default_factory=list)


class BinderServer:
    """Runs in a thread. `seen` lists (method, path, headers); `running` says whether a server would be left."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.running = True
        self.hung_up = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self.host = f"127.0.0.1:{self._http.server_port}"
        self.url = f"http://{self.host}/binderhub/"
        self.hub_url = f"http://{self.host}/jupyterhub/"

    def __enter__(self) -> BinderServer:
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def paths(self, method: str) -> list[str]:
        """List the paths asked for by `method`."""
        return [path for verb, path, _headers in self.seen if verb == method]


def _handler(server: BinderServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            answers = server.answers
            server.seen.append(("GET", self.path, {k.lower(): v for k, v in self.headers.items()}))
            if "/build/" in self.path:
                server.running = True
            if self.path.endswith("/hub/api/user") and answers.hub_user:
                self._json(*((200, answers.hub_user) if self._signed(answers) else (403, {"status": 403})))
            elif (
                answers.hub_user
                and not self._signed(answers)
                and not re.search("/(versions|health)$", self.path)
            ):
                self._reply(403, b"<html><title>403: Forbidden</title></html>", "text/html")
            elif "/build/" in self.path:
                self._stream(answers)
            elif self.path.endswith("api/status"):
                self._status(answers)
            elif self.path.endswith("api/events/subscribe"):
                self._upgrade(answers)
            elif self._signed(answers) and serve(self, answers.kernels):
                pass
            elif self.path.endswith("/versions"):
                self._json(200 if answers.versions else 404, answers.versions)
            elif self.path.endswith("/health"):
                self._json(*answers.health)
            elif self.path == "/v2/":
                self._reply(answers.registry_status, b"{}")
            else:
                self._reply(200, answers.main_page.encode(), "text/html")

        def do_POST(self) -> None:
            answers = server.answers
            server.seen.append(("POST", self.path, {k.lower(): v for k, v in self.headers.items()}))
            if self._signed(answers) and serve(self, answers.kernels):
                return
            status = answers.shutdown_status if self._signed(answers) else 403
            if status < 300 and answers.stops:
                server.running = False
            self._reply(status, b"")

        def do_DELETE(self) -> None:
            answers = server.answers
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            server.seen.append(
                ("DELETE", self.path, {**{k.lower(): v for k, v in self.headers.items()}, "body": body})
            )
            if self._signed(answers) and serve(self, answers.kernels):
                return
            status = 204 if self._signed(answers) else 403
            if self.path.endswith("/server"):
                status = answers.clear_statuses.pop(0) if answers.clear_statuses else status
            elif status == 204:
                server.running = False
            self._reply(status, b"")

        def _signed(self, answers: Answers) -> bool:
            return self.headers.get("Authorization") == f"token {answers.token}"

        def _status(self, answers: Answers) -> None:
            if not self._signed(answers):
                self._reply(403, b"{}")
            elif not server.running:
                self._reply(503, b"<html>Service unavailable</html>", "text/html")
            else:
                status = answers.api_statuses.pop(0) if answers.api_statuses else 200
                self._reply(status, answers.api_body if status == 200 else b"")

        def _upgrade(self, answers: Answers) -> None:
            asked = self.headers.get("Upgrade") == "websocket" and self._signed(answers)
            if asked and answers.upgrades == 101:
                self.send_response(101)
                self.end_headers()
                self.close_connection = True
                return
            self._reply(answers.upgrades, answers.upgrade_body)

        def _json(self, status: int, body: Any) -> None:
            if body is None:
                self._reply(status, b"<html><title>404 : Not Found</title></html>", "text/html")
            else:
                self._reply(status, json.dumps(body).encode())

        def _reply(self, status: int, body: bytes, kind: str = "application/json") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _stream(self, answers: Answers) -> None:
            started = time.monotonic()
            self.send_response(answers.status)
            self.send_header("Content-Type", answers.content_type)
            for name, value in answers.headers.items():
                self.send_header(name, value)
            self.send_header(
                *(("Transfer-Encoding", "chunked") if answers.chunked else ("Connection", "close"))
            )
            self.end_headers()
            try:
                asked = [pieces for name, pieces in answers.streams.items() if name in self.path]
                for seconds, body in asked[0] if asked else answers.pieces:
                    time.sleep(max(0.0, started + seconds / answers.speed - time.monotonic()))
                    self._send(answers, body)
                self._wait_open(answers.stays_open_seconds)
                if answers.chunked and answers.ends_properly:
                    self._send(answers, b"")
            except OSError:
                server.hung_up.set()
            self.close_connection = True

        def _send(self, answers: Answers, body: bytes) -> None:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(body), body) if answers.chunked else body)
            self.wfile.flush()

        def _wait_open(self, seconds: float) -> None:
            """Stay open, and notice a client that hangs up."""
            if not seconds:
                return
            self.connection.settimeout(seconds)
            try:
                if self.connection.recv(1) == b"":
                    server.hung_up.set()
            except TimeoutError:
                pass

    return Handler
