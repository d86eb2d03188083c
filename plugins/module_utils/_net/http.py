# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""HTTP as the verifier needs it: exact headers, no redirects, a stream with a time limit for each read.

Proxies of the environment are not used: the verifier looks at the site as its users' browsers do.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Union
from urllib.parse import urlsplit

__all__ = ["HttpFailure", "HttpStream", "HttpTransport", "Reply", "Stream", "Transport", "is_under"]

CONNECT_SECONDS = 15.0
READ_BYTES = 65536
# Enough of a page to tell what it is.
PAGE_BYTES = 1 << 20


class HttpFailure(Exception):
    """No answer, or half of one.

    `kind` is `unreachable` (no connection), `tls`, `silence` (the time limit of a read passed),
    `closed` (the other side hung up) or `request` (what was asked cannot be sent).
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


@dataclass(frozen=True)
class Reply:
    """A whole answer; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body's value, or None where it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def text(self) -> str:
        """The body as text, broken bytes replaced."""
        return self.body.decode("utf-8", "replace")


class Stream(Protocol):
    """An answer that is still being sent."""

    status: int
    headers: Mapping[str, str]

    def read(self, timeout_seconds: float) -> bytes:
        """Return what has arrived, b"" at the end. Raises HttpFailure."""

    def close(self) -> None:
        """Hang up."""


class Transport(Protocol):
    """What `_launch` and `_health` need of a network."""

    def open(self, url: str, headers: Mapping[str, str], timeout_seconds: float) -> Stream:
        """Send a GET and return as soon as the headers of the answer are here. Raises HttpFailure."""

    def request(self, method: str, url: str, headers: Mapping[str, str], timeout_seconds: float) -> Reply:
        """Send a request and return the whole answer. Raises HttpFailure."""


def is_under(url: str, parent: str) -> bool:
    """Whether `url` is at or below `parent`: same scheme, host, port and path."""
    ports = {"http": 80, "https": 443}
    child, base = urlsplit(url), urlsplit(parent)
    return (child.scheme, child.hostname, child.port or ports.get(child.scheme)) == (
        base.scheme,
        base.hostname,
        base.port or ports.get(base.scheme),
    ) and child.path.startswith(base.path.rstrip("/") + "/")


class HttpStream:
    """An answer read from a socket, see `Stream`."""

    def __init__(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        self._connection = connection
        self._socket = connection.sock
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.getheaders()}

    @classmethod
    def start(
        cls,
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        headers: Mapping[str, str],
        timeout_seconds: float,
    ) -> HttpStream:
        """Connect, send and wait for the headers."""
        try:
            connection.connect()
        except (TimeoutError, socket.timeout) as error:
            raise HttpFailure("unreachable", f"no connection within {connection.timeout:.0f} s") from error
        except Exception as error:
            raise _failure(error, timeout_seconds) from error
        try:
            connection.sock.settimeout(timeout_seconds)
            connection.request(method, target, headers=dict(headers))
            # http.client forgets the socket of an answer that ends with its connection, so keep it here.
            sock = connection.sock
            response = connection.getresponse()
            connection.sock = sock
            return cls(connection, response)
        except Exception as error:
            connection.close()
            raise _failure(error, timeout_seconds) from error

    def read(self, timeout_seconds: float) -> bytes:
        """Return what has arrived, b"" at the end. Raises HttpFailure."""
        try:
            self._socket.settimeout(max(timeout_seconds, 0.001))
            return self._response.read1(READ_BYTES)
        except Exception as error:
            raise _failure(error, timeout_seconds) from error

    def read_all(self, timeout_seconds: float) -> bytes:
        """Return at most a page's worth of the rest."""
        body = b""
        while len(body) < PAGE_BYTES:
            piece = self.read(timeout_seconds)
            if not piece:
                break
            body += piece
        return body

    def close(self) -> None:
        """Hang up."""
        self._response.close()
        self._connection.close()
        self._socket.close()


class HttpTransport:
    """Speaks HTTP and HTTPS by the standard library, see `Transport`.

    Args:
        ca_files: PEM files to trust besides the system's CAs.
        validate_certs: False trusts anybody.

    Raises:
        HttpFailure: a CA file cannot be read.
    """

    def __init__(self, ca_files: Sequence[str] = (), validate_certs: bool = True) -> None:
        self._context = ssl.create_default_context()
        if not validate_certs:
            self._context.check_hostname = False
            self._context.verify_mode = ssl.CERT_NONE
        for path in ca_files:
            try:
                self._context.load_verify_locations(cafile=path)
            except (OSError, ssl.SSLError) as error:
                raise HttpFailure("request", f"the CA file {path} cannot be used: {error}") from error

    def open(self, url: str, headers: Mapping[str, str], timeout_seconds: float) -> HttpStream:
        """Send a GET and return as soon as the headers of the answer are here. Raises HttpFailure."""
        return self._start("GET", url, headers, timeout_seconds)

    def request(self, method: str, url: str, headers: Mapping[str, str], timeout_seconds: float) -> Reply:
        """Send a request and return the whole answer, a megabyte of it at most. Raises HttpFailure."""
        stream = self._start(method, url, headers, timeout_seconds)
        try:
            # After 101 the connection speaks another protocol.
            body = b"" if stream.status == 101 else stream.read_all(timeout_seconds)
            return Reply(stream.status, stream.headers, body)
        finally:
            stream.close()

    def _start(self, method: str, url: str, headers: Mapping[str, str], timeout_seconds: float) -> HttpStream:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise HttpFailure("request", f"{url!r} is not a URL: {error}") from error
        if parts.scheme not in ("http", "https") or not host:
            raise HttpFailure("request", f"{url!r} is not an http:// or https:// URL")
        connection: Union[http.client.HTTPConnection, None] = None
        if parts.scheme == "https":
            connection = http.client.HTTPSConnection(
                host, port, timeout=CONNECT_SECONDS, context=self._context
            )
        else:
            connection = http.client.HTTPConnection(host, port, timeout=CONNECT_SECONDS)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return HttpStream.start(connection, method, target, headers, timeout_seconds)


def _failure(error: Exception, timeout_seconds: float) -> HttpFailure:
    """Sort an error of the standard library; order matters, most of them are OSErrors."""
    if isinstance(error, ssl.SSLError):
        return HttpFailure("tls", getattr(error, "verify_message", "") or str(error))
    # socket.timeout is an OSError of its own before Python 3.10.
    if isinstance(error, (TimeoutError, socket.timeout)):
        return HttpFailure("silence", f"nothing arrived for {timeout_seconds:.0f} s")
    if isinstance(error, (http.client.InvalidURL, ValueError)):
        return HttpFailure("request", str(error))
    if isinstance(error, (http.client.HTTPException, ConnectionResetError, BrokenPipeError)):
        return HttpFailure("closed", f"the connection was closed early ({type(error).__name__})")
    if isinstance(error, OSError):
        return HttpFailure("unreachable", str(error.strerror or error))
    raise error
