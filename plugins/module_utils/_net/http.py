# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The one HTTP client: exact headers, no redirects unless asked for, and an end to every wait.

Proxies of the environment are used only where asked for: the verifier looks at the site as its users' browsers do.
"""

from __future__ import annotations

import http.client
import socket
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional, Protocol
from urllib.parse import SplitResult

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock, SystemClock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.json_text import read_json
from ansible_collections.ironbinder.platform.plugins.module_utils._net.failure import (
    HttpFailure,
    failure_of,
    unconnected,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._net.proxies import (
    Proxy,
    is_named,
    proxies_of,
    proxy_for,
    tunnel,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._net.sockets import (
    Connection,
    Patience,
    TimedSocket,
    connect,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._net.tls import TlsError, trusting
from ansible_collections.ironbinder.platform.plugins.module_utils._net.urls import (
    PORTS,
    is_under,
    redirected,
    shown,
    web_address,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._net.websockets import WebSocket

__all__ = ["HttpFailure", "HttpStream", "HttpTransport", "Reply", "Stream", "Transport", "is_under"]

CONNECT_SECONDS = 15.0
READ_BYTES = 65536
# Enough of a page to tell what it is.
PAGE_BYTES = 1 << 20
REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True)
class Reply:
    """A whole answer; names of headers are in lower case.

    `truncated` tells that there was more than `body`, and `url` who answered, after redirects.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool = False
    url: str = ""

    def json(self) -> Any:
        """Return the body's value, or None where it is not JSON."""
        try:
            return read_json(self.body)
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

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        timeout_seconds: float,
        *,
        body: bytes = b"",
        deadline_seconds: Optional[float] = None,
    ) -> Reply:
        """Send a request and return the whole answer. Raises HttpFailure."""

    def websocket(self, url: str, headers: Mapping[str, str], timeout_seconds: float) -> WebSocket:
        """Open a websocket at an http:// or https:// URL, within so many seconds. Raises HttpFailure."""


class HttpStream:
    """An answer read from a socket, see `Stream`."""

    def __init__(self, sock: TimedSocket, patience: Patience, response: http.client.HTTPResponse) -> None:
        self._socket = sock
        self._patience = patience
        self._response = response
        # Python 3.9 does not count by itself what was read.
        self._left: Optional[int] = response.length
        self.status = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.getheaders()}

    def read(self, timeout_seconds: float) -> bytes:
        """Return what has arrived, b"" at the end. Raises HttpFailure."""
        if self._left == 0:
            return b""
        try:
            self._patience.silence_seconds = timeout_seconds
            piece = self._response.read1(min(READ_BYTES, self._left or READ_BYTES))
        except HttpFailure:
            raise
        except Exception as error:
            raise failure_of(error, timeout_seconds) from error
        if self._left is not None:
            self._left -= len(piece)
            if self._left and not piece:
                raise HttpFailure("closed", f"the connection was closed {self._left} bytes before the end")
        return piece

    def close(self) -> None:
        """Hang up."""
        self._response.close()
        self._socket.hang_up()


class HttpTransport:
    """Speaks HTTP and HTTPS by the standard library, see `Transport`.

    Args:
        ca_files: PEM files to trust besides the system's CAs.
        validate_certs: False trusts anybody.
        ca_pem: certificates to trust, as text.
        uses_proxies: whether to go through the proxies that the environment names.
        environment: variables in place of the environment's, where they name a proxy: http_proxy, https_proxy, no_proxy.
        clock: time.

    Raises:
        HttpFailure: a CA file cannot be used.
    """

    def __init__(
        self,
        ca_files: Sequence[str] = (),
        validate_certs: bool = True,
        *,
        ca_pem: str = "",
        uses_proxies: bool = False,
        environment: Optional[Mapping[str, str]] = None,
        clock: Optional[Clock] = None,
    ) -> None:
        try:
            self._context = trusting(ca_files, ca_pem, validate_certs)
        except TlsError as error:
            raise HttpFailure("request", str(error)) from error
        self._uses_proxies = uses_proxies
        self._environment = environment or {}
        self._clock = clock or SystemClock()

    def open(self, url: str, headers: Mapping[str, str], timeout_seconds: float) -> HttpStream:
        """Send a GET and return as soon as the headers of the answer are here. Raises HttpFailure."""
        patience = Patience(self._clock, timeout_seconds, CONNECT_SECONDS + timeout_seconds)
        stream = self._start("GET", url, headers, patience)
        patience.whole_seconds = None  # a stream ends when it ends
        return stream

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        timeout_seconds: float,
        *,
        body: bytes = b"",
        limit_bytes: int = PAGE_BYTES,
        deadline_seconds: Optional[float] = None,
        redirects: int = 0,
    ) -> Reply:
        """Send a request and return the whole answer.

        Args:
            timeout_seconds: longest silence.
            body: what is sent, where the method has something to send.
            limit_bytes: how much of the body is read.
            deadline_seconds: the longest that everything may take, redirects included, the look-up of
                names excluded. Without it, five times the longest silence.
            redirects: how many are followed, of a GET or HEAD. None by default: the answer is then the
                3xx itself. From https to http none is, and another server is told no credential.

        Raises:
            HttpFailure: see there.
        """
        if redirects and method not in ("GET", "HEAD"):
            raise ValueError(f"a {method} is not to be repeated elsewhere")
        patience = Patience(self._clock, timeout_seconds, deadline_seconds or 5 * timeout_seconds)
        for _hop in range(redirects + 1):
            reply = _read(self._start(method, url, headers, patience, body), url, patience, limit_bytes)
            target = reply.headers.get("location", "") if reply.status in REDIRECTS else ""
            if not redirects or not target:
                return reply
            url, headers = redirected(url, target, headers)
        raise HttpFailure("redirect", f"redirects more than {redirects} times, at last to {shown(url)}")

    def websocket(self, url: str, headers: Mapping[str, str], timeout_seconds: float) -> WebSocket:
        """Open a websocket at an http:// or https:// URL, through no proxy, within so many seconds. Raises HttpFailure."""
        parts = web_address(url)
        patience = Patience(self._clock, timeout_seconds, timeout_seconds)
        return WebSocket(
            TimedSocket(self._connect(parts, None, patience), patience), patience, parts, headers
        )

    def _start(
        self, method: str, url: str, headers: Mapping[str, str], patience: Patience, body: bytes = b""
    ) -> HttpStream:
        """Connect, send and wait for the headers."""
        parts = web_address(url)
        proxy = self._proxy(parts)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if proxy and parts.scheme == "http":
            target = f"http://{parts.netloc.rpartition('@')[2]}{target}"
            headers = {**headers, **proxy.headers}
        timed = TimedSocket(self._connect(parts, proxy, patience), patience)
        try:
            connection = Connection(parts, timed)
            connection.request(method, target, body or None, dict(headers))
            return HttpStream(timed, patience, connection.getresponse())
        except Exception as error:
            timed.hang_up()
            if isinstance(error, HttpFailure):
                raise
            raise failure_of(error, patience.silence_seconds) from error

    def _proxy(self, parts: SplitResult) -> Optional[Proxy]:
        """Choose the proxy for a URL. What a site says wins over what this machine's environment happens to say."""
        told = proxies_of(self._environment)
        if told:
            return proxy_for(parts, told, lambda host: is_named(host, self._environment.get("no_proxy", "")))
        proxies = urllib.request.getproxies() if self._uses_proxies else {}
        return proxy_for(parts, proxies, urllib.request.proxy_bypass)

    def _connect(self, parts: SplitResult, proxy: Optional[Proxy], patience: Patience) -> socket.socket:
        """Connect, through the proxy's tunnel where there is one, and speak TLS."""
        host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
        limit = min(CONNECT_SECONDS, patience.silence_seconds)
        sock: Optional[socket.socket] = None
        try:
            sock = connect(proxy.host if proxy else host, proxy.port if proxy else port, patience, limit)
            if proxy and parts.scheme == "https":
                tunnel(TimedSocket(sock, patience), proxy, host, port)
                proxy = None  # what fails from here on is not its fault
            if parts.scheme == "https":
                sock.settimeout(min(limit, patience.seconds()))
                return self._context.wrap_socket(sock, server_hostname=host)
            return sock
        except Exception as error:
            if sock:
                sock.close()
            if isinstance(error, HttpFailure):
                raise
            raise unconnected(error, limit, proxy) from error


def _read(stream: HttpStream, url: str, patience: Patience, limit_bytes: int) -> Reply:
    try:
        body = b""
        # After 101 the connection speaks another protocol.
        while stream.status != 101 and len(body) <= limit_bytes:
            piece = stream.read(patience.silence_seconds)
            if not piece:
                break
            body += piece
        return Reply(stream.status, stream.headers, body[:limit_bytes], len(body) > limit_bytes, url)
    finally:
        stream.close()
