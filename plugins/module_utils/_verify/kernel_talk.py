# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What is said to a kernel and what it answers: Jupyter's messages, version 5.3, as JSON texts of a websocket.

https://jupyter-client.readthedocs.io/en/stable/messaging.html, and for the websocket, which has `channel` besides,
https://jupyter-server.readthedocs.io/en/latest/developers/websocket-protocols.html.
"""

from __future__ import annotations

import re
import uuid
from datetime import datetime, timezone
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._base.json_text import read_json

__all__ = ["Answer", "execute_request", "info_request", "shortly"]

VERSION = "5.3"
# What an error shows of an output.
SHOWN = 200
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def execute_request(code: str, session: str) -> dict[str, Any]:
    """Ask a kernel to run a cell, without keeping it in its history and without asking anybody for input."""
    content = {
        "code": code,
        "silent": False,
        "store_history": False,
        "user_expressions": {},
        "allow_stdin": False,
        "stop_on_error": True,
    }
    return _request("execute_request", content, session)


def info_request(session: str) -> dict[str, Any]:
    """Ask a kernel of any language who it is."""
    return _request("kernel_info_request", {}, session)


def _request(kind: str, content: dict[str, Any], session: str) -> dict[str, Any]:
    return {
        "header": {
            "msg_id": uuid.uuid4().hex,
            "msg_type": kind,
            "username": "ironbinder",
            "session": session,
            "date": datetime.now(timezone.utc).isoformat(),
            "version": VERSION,
        },
        "parent_header": {},
        "metadata": {},
        "content": content,
        "buffers": [],
        "channel": "shell",
    }


class Answer:
    """Gathers what a kernel says to one request, whose `header.msg_id` is `asked`; all else it says is passed over.

    Attributes:
        output: what the cell printed, and the text of its value.
        output_displayed: the same, but where no value came what the cell displayed, each on a line of its own. Kernels
            may give values so: https://github.com/IRkernel/IRkernel/blob/master/R/execution.r.
        error: name and message of what the cell raised, "" where nothing was.
        trace: its traceback, as lines without colours.
        died: whether the server says that the kernel is gone, or started anew.
    """

    def __init__(self, asked: str) -> None:
        self._asked = asked
        self._idle = False
        self._replied = False
        self._streams = ""
        self._value = ""
        self._displayed: list[str] = []
        self.error = ""
        self.trace: list[str] = []
        self.died = False

    @property
    def complete(self) -> bool:
        """Whether there is nothing more to come: the kernel replied, and is idle again. Either may be first."""
        return self._idle and self._replied

    @property
    def output(self) -> str:
        """What the cell printed, and then its value."""
        return self._streams + self._value

    @property
    def output_displayed(self) -> str:
        """What the cell printed, and then its value, or what it displayed in place of one."""
        return self._streams + (self._value or "\n".join(filter(None, self._displayed)))

    def take(self, text: bytes) -> None:
        """Take in a message. What is no message of the protocol is none for us."""
        try:
            message = read_json(text)
        except ValueError:
            return
        if not isinstance(message, dict):
            return
        kind = message.get("msg_type") or _part(message, "header").get("msg_type")
        content = _part(message, "content")
        if kind == "status" and content.get("execution_state") in ("restarting", "autorestarting", "dead"):
            self.died = True  # said by the server, in answer to nobody
        if _part(message, "parent_header").get("msg_id") == self._asked:
            self._take_ours(str(kind), content)

    def _take_ours(self, kind: str, content: dict[str, Any]) -> None:
        if kind == "status":
            self._idle = self._idle or content.get("execution_state") == "idle"
        elif kind == "stream" and content.get("name") == "stdout":
            self._streams += str(content.get("text", ""))
        elif kind == "execute_result":
            self._value += str(_part(content, "data").get("text/plain", ""))
        elif kind == "display_data":
            self._displayed.append(str(_part(content, "data").get("text/plain", "")))
        elif kind == "error":
            self._fail(content)
        elif kind in ("execute_reply", "kernel_info_reply"):
            self._replied = True
            # A cell that is given up, as after the error of another, has no message `error`.
            if content.get("status", "ok") != "ok" and not self.error:
                self._fail(content)

    def _fail(self, content: dict[str, Any]) -> None:
        name, value = content.get("ename") or content.get("status") or "error", content.get("evalue", "")
        self.error = f"{name}: {value}" if value else str(name)
        trace = content.get("traceback")
        lines = [str(part) for part in trace] if isinstance(trace, list) else []
        self.trace = [line for part in lines for line in _COLOURS.sub("", part).splitlines() if line.strip()]


def shortly(text: str) -> str:
    """Show the beginning of an output."""
    text = text.strip()
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + " ...") if text else "nothing"


def _part(of: dict[str, Any], name: str) -> dict[str, Any]:
    part = of.get(name)
    return part if isinstance(part, dict) else {}
