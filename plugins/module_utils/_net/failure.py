# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Why a request came to nothing, in one word for programs and one sentence for people."""

from __future__ import annotations

import http.client
import socket
import ssl

__all__ = ["HttpFailure", "failure_of", "unconnected"]

HUNG_UP = (http.client.IncompleteRead, ConnectionResetError, ConnectionAbortedError, BrokenPipeError)


class HttpFailure(Exception):
    """No answer, or half of one.

    `kind` is `unreachable` (no connection), `tls`, `silence` (the time limit of a read, or of the whole
    request, passed), `closed` (the other side hung up, or does not speak HTTP), `redirect` (it leads
    where nobody should follow), `proxy` (the environment's proxy fails) or `request` (what was asked
    cannot be sent). The cause is the error of the standard library, where there was one.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


def failure_of(error: Exception, timeout_seconds: float) -> HttpFailure:
    """Sort an error of the standard library; order matters, most of them are OSErrors."""
    name = type(error).__name__
    for kinds, kind, text in (
        ((ssl.SSLError,), "tls", getattr(error, "verify_message", "") or str(error)),
        # socket.timeout is an OSError of its own before Python 3.10.
        ((TimeoutError, socket.timeout), "silence", f"nothing arrived for {timeout_seconds:.0f} s"),
        ((http.client.InvalidURL, ValueError, OverflowError), "request", str(error)),
        # A RemoteDisconnected is a ConnectionResetError.
        (HUNG_UP, "closed", f"the connection was closed early ({name})"),
        ((http.client.HTTPException,), "closed", f"what answers there does not speak HTTP ({name})"),
        ((OSError,), "unreachable", str(getattr(error, "strerror", None) or error)),
    ):
        if isinstance(error, kinds):
            return HttpFailure(kind, text)
    raise error


def unconnected(error: Exception, limit_seconds: float, proxy: object) -> HttpFailure:
    """Say why there is no connection, and whose fault that is."""
    if isinstance(error, (TimeoutError, socket.timeout)):
        failure = HttpFailure("unreachable", f"no connection within {limit_seconds:.0f} s")
    else:
        failure = failure_of(error, limit_seconds)
    if proxy and failure.kind != "request":
        return HttpFailure("proxy", f"{proxy}: {failure}")
    return failure
