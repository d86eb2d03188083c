# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A kernel by the notebook's API: chosen, started, talked to over its websocket, and ended.

https://jupyter-server.readthedocs.io/en/latest/developers/rest-api.html
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional
from urllib.parse import quote

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import (
    HttpFailure,
    Reply,
    Transport,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._net.websockets import (
    UpgradeRefused,
    WebSocket,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.errors import VerifyError
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.kernel_causes import (
    SESSION_GONE,
    TOO_MUCH,
    broken_channel,
    kernel_error,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.kernel_talk import Answer

__all__ = ["KernelDoor", "said"]

# After so long without a websocket it is asked whether there is a kernel at all.
OPEN_SECONDS = 10.0
STATE_SECONDS = 5.0
# A kernel that is asked to end has this long; the server ends it in any case.
DELETE_SECONDS = 10.0
GONE = "gone"
# Of a proxy, or of the hub, whose session is not there; 424 is the hub's.
AWAY = (424, 502, 503, 504)


@dataclass(frozen=True)
class _State:
    """What the server says of a kernel: its own `word`, or GONE. `fault` is why the server says nothing at all."""

    word: str = ""
    fault: str = ""

    @property
    def dead(self) -> bool:
        """Whether there is no such kernel, or one that its server does not start anew."""
        return self.word in (GONE, "dead")

    @property
    def told(self) -> str:
        """The same for people, behind what was observed."""
        if self.fault:
            return f"; its server does not answer any more: {self.fault}"
        return f"; the server says that the kernel is {self.word}" if self.word else ""


class KernelDoor:
    """A kernel on the server at `url`, which ends in a slash and opens with `token`.

    Args:
        transport: the network.
        url: the server's.
        token: the server's.
        clock: time.
        limit_seconds: of everything from now on, but for the question what became of a kernel, and for its end.
    """

    def __init__(
        self, transport: Transport, url: str, token: str, clock: Clock, *, limit_seconds: float
    ) -> None:
        self._transport = transport
        self._headers = {"Authorization": f"token {token}"}
        self._clock = clock
        self._limit = limit_seconds
        self._deadline = clock.now() + limit_seconds
        self._kernel = ""  # where it is, below the server's URL
        self._channel: Optional[WebSocket] = None
        self.url = url
        self.session = uuid.uuid4().hex

    @property
    def where(self) -> str:
        """The URL of the kernel."""
        return self.url + self._kernel

    def ask(self, method: str, path: str, kind: str, content: Optional[Mapping[str, Any]] = None) -> Reply:
        """Ask the server; what goes wrong on the way is a VerifyError of `kind`, or says that the time is up."""
        headers, body = self._headers, b""
        if content is not None:
            headers, body = {**headers, "Content-Type": "application/json"}, json.dumps(content).encode()
        limit = self._seconds(self.url + path)
        try:
            return self._transport.request(
                method, self.url + path, headers, limit, body=body, deadline_seconds=limit
            )
        except HttpFailure as error:
            if error.kind == "silence":
                raise self._late(self.url + path) from error
            raise kernel_error([kind], self.url + path, str(error)) from error

    def choose(self, name: str) -> tuple[str, str]:
        """Return name and language of the kernel `name`, or of the server's default one. Raises VerifyError."""
        path = "api/kernelspecs"
        reply = self.ask("GET", path, "kernels_api")
        told = reply.json()
        specs = told.get("kernelspecs") if isinstance(told, dict) else None
        if reply.status != 200 or not isinstance(specs, dict):
            raise kernel_error(["kernels_api"], self.url + path, said(reply))
        name = name or str(told.get("default") or "")
        spec = specs.get(name)
        if not isinstance(spec, dict):
            observed = f"no kernel {name!r} among {', '.join(sorted(specs)) or 'none'}"
            raise kernel_error(["kernelspec"], self.url + path, observed)
        about = spec.get("spec")
        return name, str(about.get("language") or "") if isinstance(about, dict) else ""

    def start(self, name: str) -> None:
        """Start the kernel `name`, and open its websocket. Raises VerifyError."""
        path = "api/kernels"
        reply = self.ask("POST", path, "kernel_start", {"name": name})
        told = reply.json()
        kernel = told.get("id") if isinstance(told, dict) else None
        if reply.status == 404:
            raise kernel_error(["kernels_api"], self.url + path, said(reply))
        if not kernel:
            raise kernel_error(["kernel_start"], self.url + path, f"kernel {name}: {said(reply)}")
        self._kernel = f"{path}/{quote(str(kernel), safe='')}"
        self._channel = self._open(f"{self.where}/channels")

    def _open(self, where: str) -> WebSocket:
        """Open the websocket: the server lets one in when the kernel answers it.

        It keeps one waiting whose kernel is gone by then, and does not say so.
        """
        while True:
            limit = min(self._seconds(where), OPEN_SECONDS)
            try:
                url = f"{where}?session_id={self.session}"
                return self._transport.websocket(url, self._headers, limit)
            except HttpFailure as error:
                if error.kind == "silence" and self._clock.now() >= self._deadline:
                    raise self._late(where) from error
                if error.kind != "silence":
                    raise self._lost(where, error) from error
                state = self._state()
                if state.dead:
                    raise kernel_error(["kernel_died"], where, f"{error}{state.told}") from error

    def talk(self, request: Mapping[str, Any], kind: str) -> Answer:
        """Send a request of the protocol to a kernel that was started, and return the whole answer.

        Raises:
            VerifyError: there is none, or, of `kind`, one without end.
        """
        where = f"{self.where}/channels"
        answer = Answer(request["header"]["msg_id"])
        if self._channel is None:
            raise AssertionError("a kernel that was not started cannot be asked")
        try:
            self._channel.send(json.dumps(request))
            while not answer.complete:
                answer.take(self._channel.receive(self._seconds(where)))
                if answer.died:
                    raise kernel_error(
                        ["kernel_died"], where, "the server says that it is gone or started anew"
                    )
        except HttpFailure as error:
            if error.kind == "too_much":
                raise kernel_error([kind], where, str(error), TOO_MUCH) from error
            raise (self._late(where) if error.kind == "silence" else self._lost(where, error)) from error
        return answer

    def close(self) -> str:
        """End the kernel, if there is one; return what is wrong, or ""."""
        if self._channel:
            self._channel.close()
        if not self._kernel:
            return ""
        try:
            reply = self._transport.request(
                "DELETE", self.where, self._headers, DELETE_SECONDS, deadline_seconds=DELETE_SECONDS
            )
        except HttpFailure as error:
            return str(error)
        # One that died is gone already.
        return "" if reply.status in (204, 404) else said(reply)

    def _seconds(self, where: str) -> float:
        """Give the seconds that are left. Raises VerifyError where there are none."""
        left = self._deadline - self._clock.now()
        if left <= 0:
            raise self._late(where)
        return left

    def _late(self, where: str) -> VerifyError:
        """Explain that the time is up, or that the kernel is gone."""
        state = self._state() if self._kernel else _State()
        observed = f"no whole answer within {self._limit:.0f} s{state.told}"
        return kernel_error(["kernel_died" if state.dead else "kernel_silent"], where, observed)

    def _lost(self, where: str, error: HttpFailure) -> VerifyError:
        """Explain a websocket that does not open, or that broke: its kernel or all of its session is gone, or the way is bad.

        A session whose pod is killed takes the websocket with it, as a proxy may that cuts it off.
        """
        refused = isinstance(error, UpgradeRefused) and error.status in (404, *AWAY)
        state = self._state() if refused or error.kind == "closed" else _State()
        if state.dead or state.fault:
            remedy = SESSION_GONE if state.fault else ""
            return kernel_error(["kernel_died"], where, f"{error}{state.told}", remedy)
        return broken_channel(where, error, state.told)

    def _state(self) -> _State:
        """Ask the server for the kernel's state."""
        try:
            reply = self._transport.request(
                "GET", self.where, self._headers, STATE_SECONDS, deadline_seconds=STATE_SECONDS
            )
        except HttpFailure as error:
            return _State(fault=str(error))
        told = reply.json()
        if reply.status == 404:
            return _State(GONE)
        if reply.status in AWAY:
            return _State(fault=said(reply))
        return _State(str(told.get("execution_state") or "") if isinstance(told, dict) else "")


def said(reply: Reply) -> str:
    """Say what was answered: the server's own words, or what kind of page came."""
    told = reply.json()
    words = told.get("message") if isinstance(told, dict) else "" if "<" in reply.text else reply.text
    text = " ".join(str(words or "").split())[:200]
    return f"HTTP {reply.status}, {text or reply.headers.get('content-type') or 'no content type'}"
