# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Websockets by websocket-client, over connections of our own: no proxy, no redirect, an end to every wait and to what is read.

The library does what RFC 6455 says of frames, masks, fragments, pings and closing. How long and how much is read is
decided below it, by the socket that it is given.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from typing import Any, Optional
from urllib.parse import SplitResult

from ansible_collections.ironbinder.platform.plugins.module_utils._net.failure import HttpFailure, failure_of
from ansible_collections.ironbinder.platform.plugins.module_utils._net.sockets import Patience, TimedSocket
from ansible_collections.ironbinder.platform.plugins.module_utils._net.urls import shown

library: Any
try:
    import websocket as library
except ImportError:  # the package kubernetes brings it; who opens a websocket without it is told
    library = None

__all__ = ["MOST_BYTES", "UpgradeRefused", "WebSocket"]

# Of everything that the other side sends over one websocket.
MOST_BYTES = 16 << 20
# A wait has its end in `Patience`; the library wants a timeout that is not none.
_NOT_NONE = 1.0


class UpgradeRefused(HttpFailure):
    """Something answered, and it was not a websocket: `status` and the beginning of the page, `text`."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__("refused", f"HTTP {status} in place of a websocket{f', {text}' if text else ''}")
        self.status = status
        self.text = text


class _Bounded:
    """What websocket-client uses of a socket: `patience` bounds each step, and MOST_BYTES all that is read."""

    def __init__(self, timed: TimedSocket) -> None:
        self._timed = timed
        self._left = MOST_BYTES

    def recv(self, size: int) -> bytes:
        buffer = bytearray(size)
        count = self._timed.receive(buffer)
        self._left -= count
        if self._left < 0:
            raise HttpFailure("too_much", f"more than {MOST_BYTES >> 20} MiB came over one websocket")
        return bytes(buffer[:count])

    def send(self, data: bytes) -> int:
        self._timed.sendall(data)
        return len(data)

    def gettimeout(self) -> float:
        return _NOT_NONE

    def settimeout(self, _seconds: Optional[float]) -> None:
        """Do nothing: `patience` decides."""

    def close(self) -> None:
        self._timed.hang_up()


class WebSocket:
    """A websocket on a connection that is already there. It asks for no subprotocol and no compression.

    Args:
        timed: the connection.
        patience: its limits; what bounds the whole is lifted when the websocket is open.
        parts: the http:// or https:// URL.
        headers: what is sent besides those of the upgrade.

    Raises:
        UpgradeRefused: there is no websocket at this URL, or not for us.
        HttpFailure: `closed`, `silence`, `tls`, `too_much`, or `request` where the library is missing.
    """

    def __init__(
        self, timed: TimedSocket, patience: Patience, parts: SplitResult, headers: Mapping[str, str]
    ) -> None:
        self._timed = timed
        self._patience = patience
        if library is None:
            timed.hang_up()
            raise HttpFailure("request", "the Python package websocket-client is missing here")
        self._socket: Any = library.WebSocket(enable_multithread=False)
        host = parts.netloc.rpartition("@")[2]
        try:
            self._socket.connect(
                parts._replace(scheme=f"ws{parts.scheme[4:]}").geturl(),
                socket=_Bounded(timed),
                header=[f"{name}: {value}" for name, value in headers.items()],
                host=host,
                origin=f"{parts.scheme}://{host}",  # as a browser's page of the same server has it
                redirect_limit=0,
            )
        except Exception as error:
            timed.hang_up()
            answer = self._socket.handshake_response
            if answer and answer.status != 101:  # a redirect
                target = shown(str(answer.headers.get("location", "")), parts.geturl())
                raise UpgradeRefused(answer.status, f"to {target}") from error
            raise self._failure(error) from error
        patience.whole_seconds = None  # a conversation ends when it ends

    def send(self, text: str) -> None:
        """Send a message. Raises HttpFailure."""
        try:
            self._socket.send(text)
        except Exception as error:
            raise self._failure(error) from error

    def receive(self, timeout_seconds: float) -> bytes:
        """Return the next message that is text, within so many seconds; pings are answered. Raises HttpFailure."""
        # Its end is that of the message, not of the next byte.
        self._patience.renew(timeout_seconds)
        while True:
            try:
                opcode, data = self._socket.recv_data()
            except Exception as error:
                raise self._failure(error) from error
            if opcode == library.ABNF.OPCODE_CLOSE:
                raise HttpFailure("closed", _closing(data))
            if opcode == library.ABNF.OPCODE_TEXT:
                return bytes(data)

    def close(self) -> None:
        """Say goodbye, and hang up without waiting for the answer."""
        try:
            self._patience.renew(_NOT_NONE)
            self._socket.send_close()
        except Exception:
            return  # it is over either way
        finally:
            self._timed.hang_up()

    def _failure(self, error: Exception) -> HttpFailure:
        """Sort an error of the library, of the socket below it, or of ours."""
        if isinstance(error, HttpFailure):
            return error
        if isinstance(error, library.WebSocketBadStatusException):
            page = (error.resp_body or b"").decode("utf-8", "replace")
            return UpgradeRefused(error.status_code, "" if "<" in page else " ".join(page.split())[:120])
        if isinstance(error, library.WebSocketTimeoutException):
            return failure_of(socket.timeout(), self._patience.silence_seconds)
        if isinstance(error, library.WebSocketConnectionClosedException):
            return HttpFailure("closed", "the connection was closed")
        if isinstance(error, library.WebSocketException):
            return HttpFailure("closed", f"what arrives is no websocket: {str(error)[:120]}")
        return failure_of(error, self._patience.silence_seconds)


def _closing(data: bytes) -> str:
    """Say what a close frame says: two bytes of a code, and a reason."""
    if len(data) < 2:
        return "the websocket was closed without a code"
    (code,) = struct.unpack("!H", data[:2])
    reason = data[2:].decode("utf-8", "replace")
    return f"the websocket was closed with code {code}{f', {reason}' if reason else ''}"
