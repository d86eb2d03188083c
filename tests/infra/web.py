# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Requests as tests need them: no redirect followed, arrival times kept, websockets by hand.

Standard library only, so that nothing between the test and the proxy behaves like a browser.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import ssl
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Answer:
    """What came back. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Client:
    """Asks one site. `address` replaces the name resolution of every URL's host, as HOST:PORT."""

    ca_files: Sequence[str] = ()
    address: str = ""
    timeout: float = TIMEOUT_SECONDS

    def _open(
        self, url: str, headers: Mapping[str, str], method: str = "GET", body: bytes | None = None
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        to_host, to_port = self.address.rsplit(":", 1) if self.address else (host, str(port))
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            context = ssl.create_default_context()
            for file in self.ca_files:
                context.load_verify_locations(file)
            connection = http.client.HTTPSConnection(host, port, timeout=self.timeout, context=context)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=self.timeout)
        if self.address:
            create = connection._create_connection  # type: ignore[attr-defined]
            connection._create_connection = lambda _, *args: create((to_host, int(to_port)), *args)  # type: ignore[attr-defined]
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request(method, path, body=body, headers=dict(headers))
        return connection, connection.getresponse()

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        """GET a URL without following redirects."""
        return self.send("GET", url, headers)

    def send(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """Send a request without following redirects."""
        connection, response = self._open(url, headers or {}, method, body)
        try:
            return Answer(
                response.status,
                {key.lower(): value for key, value in response.getheaders()},
                response.read(),
            )
        finally:
            connection.close()

    def events(self, url: str) -> Iterator[tuple[float, Any]]:
        """Yield (seconds since the request, data) for each server-sent event, as it arrives."""
        started = time.monotonic()
        connection, response = self._open(url, {"Accept": "text/event-stream"})
        try:
            if response.status != 200:
                raise AssertionError(
                    f"{url} answered {response.status} {response.reason}, not an event stream"
                )
            for line in response:
                if line.startswith(b"data:"):
                    yield time.monotonic() - started, json.loads(line[5:])
        finally:
            connection.close()

    def websocket(
        self, url: str, message: bytes, headers: Mapping[str, str] | None = None
    ) -> tuple[Answer, bytes]:
        """Upgrade, send one message (under 126 bytes), and return the first two frames: a greeting and the echo."""
        wanted = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            **(headers or {}),
        }
        connection, response = self._open(url, wanted)
        try:
            # A plain answer to an upgrade is the failure that this looks for, so it is returned.
            if response.status != 101 or connection.sock is None:
                return Answer(response.status, {}, response.read()), b""
            mask = os.urandom(4)
            masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(message))
            connection.sock.sendall(bytes([0x81, 0x80 | len(message)]) + mask + masked)
            # http.client ends a 101's body at once; what follows waits in its buffered reader.
            greeting, echo = _frame(response.fp), _frame(response.fp)
            return Answer(101, {key.lower(): value for key, value in response.getheaders()}, greeting), echo
        finally:
            connection.close()


def _frame(stream: Any) -> bytes:
    length = stream.read(2)[1]
    if length == 126:
        length = struct.unpack(">H", stream.read(2))[0]
    return bytes(stream.read(length))
