# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Kernels of a notebook on the loopback: their API, their websocket, and what real ones said, from tests/unit/data/kernels."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote

RECORDED = Path(__file__).parents[1] / "data" / "kernels"
TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
KERNEL = "3f9d2c51-0a7e-4f52-9d0e-1c6a2b7e8f90"
DRIP_SECONDS = 2.0
NAMES = re.compile(r"/api/(kernelspecs|kernels|contents)\b(/[^/?]*)?(/channels)?")


class Readable(Protocol):
    """What a request comes from."""

    def read(self, size: int, /) -> bytes:
        """Return so many bytes, or fewer at the end."""


def load_kernel(name: str, asked: str = "ASKED") -> list[dict[str, Any]]:
    """Read what a kernel said, as if the request had been `asked`."""
    lines = (RECORDED / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line.replace('"ASKED"', json.dumps(asked))) for line in lines]


def accepted(key: str) -> str:
    """Answer a websocket's key, https://www.rfc-editor.org/rfc/rfc6455#section-1.3."""
    digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    return base64.b64encode(digest).decode()


def frame(payload: bytes, opcode: int = TEXT, last: bool = True) -> bytes:
    """Write a frame as a server does, without a mask."""
    size = len(payload)
    head = bytes([opcode | (0x80 if last else 0)])
    if size < 126:
        return head + bytes([size]) + payload
    if size < 1 << 16:
        return head + bytes([126]) + size.to_bytes(2, "big") + payload
    return head + bytes([127]) + size.to_bytes(8, "big") + payload


def read_frame(stream: Readable) -> tuple[int, bytes]:
    """Read a frame of a client, which has a mask: (opcode, payload); opcode 0 at the end."""
    head = stream.read(2)
    if len(head) < 2:
        return 0, b""
    assert head[1] & 0x80, "a client's frame has no mask"
    size = head[1] & 0x7F
    if size > 125:
        size = int.from_bytes(stream.read(2 if size == 126 else 8), "big")
    mask = stream.read(4)
    return head[0] & 0xF, bytes(byte ^ mask[place % 4] for place, byte in enumerate(stream.read(size)))


def pieces(payload: bytes) -> bytes:
    """Send a message in three fragments with a ping between them."""
    third = len(payload) // 3
    return (
        frame(payload[:third], last=False)
        + frame(b"are you there", PING)
        + frame(payload[third : 2 * third], 0, last=False)
        + frame(payload[2 * third :], 0)
    )


@dataclass
class Kernels:
    """What the kernels of a server do.

    `says` names recordings in place of what a good kernel says, one a request; `good` is that, and "" is nothing.
    """

    specs: tuple[int, Any] = (200, None)
    language: str = "python"
    started: tuple[int, Any] = (201, {"id": KERNEL})
    ended: int = 204
    # Of a kernel; a status of 0 hangs up.
    state: tuple[int, Any] = (200, {"execution_state": "starting"})
    files: frozenset[str] = frozenset()
    listed: tuple[int, Any] | None = None  # in place of a file; a status of 0 hangs up
    # In place of a websocket: status, headers, page. A status of 0 answers nothing at all, and -1 hangs up.
    refusal: tuple[int, Mapping[str, str], bytes] | None = None
    late_openings: int = 0  # so many websockets are kept waiting before one opens
    # Of what a word of is in "METHOD path", a blank at a time comes before the answer, for DRIP_SECONDS.
    drips: tuple[str, ...] = ()
    says: list[str] = field(default_factory=list)
    framed: Callable[[bytes], bytes] = frame
    # After so many requests the connection is closed: with these bytes first.
    closes_after: tuple[int, bytes] = (99, b"")
    repeats: str = ""  # what the kernel prints in place of a cell's own output
    calm: int = 0  # so many cells have their own output nevertheless
    asked: list[dict[str, Any]] = field(default_factory=list)
    pongs: list[bytes] = field(default_factory=list)
    alive: list[str] = field(default_factory=list)


def serve(handler: BaseHTTPRequestHandler, kernels: Kernels) -> bool:
    """Answer a request about kernels or files; False where it is about something else."""
    place = NAMES.search(handler.path)
    if not place:
        return False
    what, name, channels = place.groups()
    if what == "kernelspecs":
        _json(handler, kernels.specs[0], kernels.specs[1] or _specs(kernels), kernels.drips)
    elif what == "contents":
        path = unquote(handler.path.partition("/api/contents/")[2].partition("?")[0])
        there = path in kernels.files
        told: Any = {"path": path} if there else {"message": f"file or directory '/{path}' does not exist"}
        status, told = kernels.listed or (200 if there else 404, told)
        handler.close_connection = not status
        if status:
            _json(handler, status, told)
    elif handler.command == "POST":
        size = int(handler.headers.get("Content-Length") or 0)
        kernels.asked.append(json.loads(handler.rfile.read(size) or b"{}"))
        if kernels.started[0] == 201 and kernels.started[1]:
            kernels.alive.append(KERNEL)
        _json(handler, *kernels.started)
    elif handler.command == "DELETE":
        kernels.alive.remove(str(name)[1:])
        _json(handler, kernels.ended, None, kernels.drips)
    elif channels:
        _channels(handler, kernels)
    else:
        handler.close_connection = not kernels.state[0]
        if kernels.state[0]:
            _json(handler, *kernels.state, kernels.drips)
    return True


def _specs(kernels: Kernels) -> dict[str, Any]:
    spec = {"name": "python3", "spec": {"language": kernels.language, "display_name": "Some kernel"}}
    return {"default": "python3", "kernelspecs": {"python3": spec, "other": spec}}


def _json(handler: BaseHTTPRequestHandler, status: int, told: Any, drips: tuple[str, ...] = ()) -> None:
    body = b"" if told is None else json.dumps(told).encode() if not isinstance(told, bytes) else told
    blanks = 20 if any(word in f"{handler.command} {handler.path}" for word in drips) else 0
    handler.send_response(200 if blanks and status == 204 else status)
    handler.send_header("Content-Type", "text/html" if isinstance(told, bytes) else "application/json")
    handler.send_header("Content-Length", str(blanks + len(body)))
    handler.end_headers()
    with contextlib.suppress(OSError):
        for _blank in range(blanks):
            handler.wfile.write(b" ")
            time.sleep(DRIP_SECONDS / blanks)
        handler.wfile.write(body)


def _channels(handler: BaseHTTPRequestHandler, kernels: Kernels) -> None:
    handler.close_connection = True
    refusal = kernels.refusal
    if kernels.late_openings:
        kernels.late_openings -= 1
        refusal = (0, {}, b"")
    if refusal:
        status, headers, page = refusal
        if status < 1:
            handler.rfile.read(0 if status else -1)
            return
        handler.send_response(status)
        for header, text in {**headers, "Content-Length": str(len(page))}.items():
            handler.send_header(header, text)
        handler.end_headers()
        handler.wfile.write(page)
        return
    handler.send_response(101)
    handler.send_header("Upgrade", "websocket")
    handler.send_header("Connection", "Upgrade")
    handler.send_header("Sec-WebSocket-Accept", accepted(handler.headers["Sec-WebSocket-Key"]))
    handler.end_headers()
    times, farewell = kernels.closes_after
    for turn in range(1 << 10):
        if turn == times:
            handler.wfile.write(farewell)
            if farewell:
                handler.rfile.read()  # until the other side hangs up, as servers do
            return
        opcode, payload = read_frame(handler.rfile)
        while opcode == PONG:
            kernels.pongs.append(payload)
            opcode, payload = read_frame(handler.rfile)
        if opcode != TEXT:
            return
        request = json.loads(payload)
        kernels.asked.append(request)
        for message in _answers(kernels, request):
            handler.wfile.write(kernels.framed(json.dumps(message).encode()))


def _answers(kernels: Kernels, request: dict[str, Any]) -> list[dict[str, Any]]:
    asked = request["header"]["msg_id"]
    name = kernels.says.pop(0) if kernels.says else "good"
    if name != "good":
        return load_kernel(name, asked) if name else []
    if request["header"]["msg_type"] == "kernel_info_request":
        return load_kernel("info", asked)
    messages = load_kernel("sum", asked)
    kernels.calm -= 1
    printed = "" if kernels.calm >= 0 else kernels.repeats
    printed = printed or run_cell(request["content"]["code"])
    for message in messages:
        if message["msg_type"] == "stream":
            message["content"]["text"] = printed
    return messages


def run_cell(code: str) -> str:
    """Run a cell in this very Python, and return what it prints."""
    printed: list[str] = []
    exec(code, {"print": lambda *words: printed.append(" ".join(map(str, words)) + "\n")})
    return "".join(printed)
