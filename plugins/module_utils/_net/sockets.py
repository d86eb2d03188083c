# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Connections that end in time, however slowly the other side speaks."""

from __future__ import annotations

import http.client
import io
import socket
from typing import Any, Optional
from urllib.parse import SplitResult

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock
from ansible_collections.ironbinder.platform.plugins.module_utils._net.failure import HttpFailure
from ansible_collections.ironbinder.platform.plugins.module_utils._net.urls import PORTS

__all__ = ["Connection", "Patience", "TimedSocket", "connect"]


class Patience:
    """How long to wait: for the next byte, and for the whole of a request.

    A limit for each read alone is none: a server that sends a byte now and then would be listened to
    for ever.

    Args:
        clock: time.
        silence_seconds: longest silence.
        whole_seconds: from now on; None never ends.
    """

    def __init__(self, clock: Clock, silence_seconds: float, whole_seconds: Optional[float]) -> None:
        self._clock = clock
        self._started = clock.now()
        self.silence_seconds = silence_seconds
        self.whole_seconds = whole_seconds

    def renew(self, seconds: float) -> None:
        """From now on, wait no longer than this for everything."""
        self._started = self._clock.now()
        self.silence_seconds = self.whole_seconds = seconds

    def seconds(self) -> float:
        """Give the seconds that the next step may take. Raises HttpFailure where there are none left."""
        if self.whole_seconds is None:
            return max(self.silence_seconds, 0.001)
        left = self.whole_seconds - (self._clock.now() - self._started)
        if left <= 0:
            raise HttpFailure("silence", f"no whole answer within {self.whole_seconds:.0f} s")
        return max(min(self.silence_seconds, left), 0.001)


class _Reader(io.RawIOBase):
    def __init__(self, timed: TimedSocket) -> None:
        self._timed = timed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._timed.receive(buffer)


class TimedSocket:
    """A connected socket as http.client uses one, read and written with patience."""

    def __init__(self, sock: socket.socket, patience: Patience) -> None:
        self._sock = sock
        self._patience = patience

    def makefile(self, *_arguments: Any, **_options: Any) -> io.BufferedReader:
        """Give a file to read from, as http.client asks for."""
        return io.BufferedReader(_Reader(self))

    def receive(self, buffer: Any) -> int:
        """Read what has arrived into `buffer`, and say how much it was."""
        self._sock.settimeout(self._patience.seconds())
        try:
            return self._sock.recv_into(buffer)
        except socket.timeout:
            self._patience.seconds()  # where the whole is over it says so: there may have been no silence at all
            raise

    def sendall(self, data: Any) -> None:
        """Send it all."""
        self._sock.settimeout(self._patience.seconds())
        self._sock.sendall(data)

    def close(self) -> None:
        """Do nothing: http.client closes the socket of an answer that ends with its connection too early."""

    def hang_up(self) -> None:
        """Close the connection."""
        self._sock.close()


class Connection(http.client.HTTPConnection):
    """HTTP over a connection that is already there."""

    def __init__(self, parts: SplitResult, sock: TimedSocket) -> None:
        self.default_port = PORTS[parts.scheme]  # which is not written into the header Host
        # Without a port http.client would look for one in an IPv6 address.
        super().__init__(parts.hostname or "", parts.port or self.default_port)
        self.sock: Any = sock


def connect(host: str, port: int, patience: Patience, most_seconds: float) -> socket.socket:
    """Connect to the first address of `host` that takes it.

    Each address has `most_seconds`. The name is looked up with the limits of the machine's resolver.

    Raises:
        HttpFailure: the time for the whole request is up.
        OSError: as the system has it, of the last address.
        UnicodeError: `host` cannot be a name.
    """
    failure: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, _name, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(min(most_seconds, patience.seconds()))
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure
