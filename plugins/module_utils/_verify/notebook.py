# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A person's notebook server, seen from outside through every proxy: does it open, work, and stop."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Union

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.waiting import wait_until
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import (
    HttpFailure,
    Reply,
    Transport,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.errors import VerifyError

__all__ = ["Notebook"]

# The route to a new server appears within a second or two; a server takes about as long to end.
OPEN_SECONDS = 30.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.5
REQUEST_SECONDS = 20.0
# Answers of the proxies while the route is made, and of the hub for a server it does not see yet.
NOT_YET = frozenset({301, 302, 303, 307, 308, 404, 424, 502, 503, 504})
# Any websocket key will do, https://www.rfc-editor.org/rfc/rfc6455#section-1.3
_UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@dataclass(frozen=True)
class _Status:
    """One answer of `api/status`: its code, 0 for none, its body where it is a notebook's, and both in words."""

    status: int
    body: Union[dict[str, Any], None]
    observed: str

    @property
    def may_change(self) -> bool:
        """Whether asking again can bring another answer."""
        return self.body is None and (self.status == 0 or self.status in NOT_YET)


class Notebook:
    """The server at `url`, which ends in a slash and opens with `token`."""

    def __init__(self, transport: Transport, url: str, token: str, clock: Clock) -> None:
        self._transport = transport
        self._url = url
        self._token = token
        self._clock = clock

    def _ask(self, method: str, path: str, headers: Union[Mapping[str, str], None] = None) -> Reply:
        signed = {"Authorization": f"token {self._token}", **(headers or {})}
        return self._transport.request(method, self._url + path, signed, REQUEST_SECONDS)

    def open(self) -> dict[str, Any]:
        """Return what `api/status` says; ask again while the route is new.

        Raises:
            VerifyError: it does not answer as a notebook does.
        """
        waited = wait_until(
            lambda _seconds: self._status(),
            lambda seen: not seen.may_change,
            clock=self._clock,
            timeout_seconds=OPEN_SECONDS,
            step_seconds=POLL_SECONDS,
        )
        answer = waited.seen
        if answer.body is not None:
            return answer.body
        remedy = "check the proxy's location for the hub, and that it leads to the floating IP (proxy-public)"
        if answer.status in (401, 403):
            remedy = "check that the proxy passes the header Authorization on to the hub"
        raise VerifyError(
            "api",
            "the notebook's API does not answer",
            where=f"{self._url}api/status",
            observed=answer.observed,
            remedy=remedy,
        )

    def _status(self) -> _Status:
        try:
            reply = self._ask("GET", "api/status")
        except HttpFailure as error:
            return _Status(0, None, str(error))
        body = reply.json()
        good = reply.status == 200 and isinstance(body, dict)
        observed = f"HTTP {reply.status}, {reply.headers.get('content-type', 'no content type')}"
        return _Status(reply.status, body if good else None, observed)

    def websocket(self) -> Union[bool, None]:
        """Ask for a websocket, as kernels and terminals need one; None where the server cannot tell.

        Jupyter Server 2 has one that needs no kernel; it answers 400 where a proxy dropped the upgrade.

        Raises:
            VerifyError: the upgrade was lost on the way.
        """
        path = "api/events/subscribe"
        try:
            reply = self._ask("GET", path, _UPGRADE)
        except HttpFailure:
            return None
        if reply.status in (400, 426) and re.search("upgrade", reply.text, re.IGNORECASE):
            raise VerifyError(
                "websocket",
                "the notebook opens, but no kernel can be used: websockets are lost on the way",
                where=self._url + path,
                observed=f"HTTP {reply.status}, {reply.text.strip()[:120]}",
                remedy="pass Upgrade and Connection on in the proxy's location for the hub, with "
                "proxy_http_version 1.1",
            )
        return True if reply.status == 101 else None

    def stop(self) -> str:
        """Shut the server down and wait until it is gone; return what is wrong, or ""."""
        try:
            reply = self._ask("POST", "api/shutdown")
        except HttpFailure as error:
            return str(error)
        if reply.status >= 300:
            return f"HTTP {reply.status} to the shutdown"
        waited = wait_until(
            # A proxy that hangs up says nothing about the server behind it.
            lambda _seconds: self._status().status,
            lambda status: status not in (0, 200),
            clock=self._clock,
            timeout_seconds=STOP_SECONDS,
            step_seconds=POLL_SECONDS,
        )
        return "" if waited.done else f"still answering {STOP_SECONDS:.0f} s after the shutdown"
