# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Launches whose notebook has a kernel that works, or one of those that do not, by a real websocket on the loopback."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._net import websockets
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpTransport, Reply
from ansible_collections.ironbinder.platform.plugins.module_utils._verify import kernel as _kernel
from ansible_collections.ironbinder.platform.plugins.module_utils._verify import kernel_door
from ansible_collections.ironbinder.platform.plugins.module_utils._verify import notebook as _notebook
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.errors import VerifyError
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.kernel_causes import CAUSES
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.kernel_talk import Answer
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.launch import Launch, LaunchRequest
from binder_server import TOKEN, Answers, BinderServer, load_stream
from kernel_server import BINARY, CLOSE, KERNEL, PING, Kernels, frame, pieces

NOTEBOOK = "/jupyterhub/user/sample-x1y2z3ab/"


@pytest.fixture(autouse=True)
def busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, what comes is waited for."""
    monkeypatch.setattr(_notebook, "POLL_SECONDS", 0.02)
    for name in ("OPEN_SECONDS", "STOP_SECONDS"):
        monkeypatch.setattr(_notebook, name, 60.0)


def launch(
    kernels: Kernels,
    expect: dict[str, Any] | None = None,
    transport: HttpTransport | None = None,
    **request: Any,
) -> tuple[BinderServer, Any]:
    """Launch against a server with these kernels; return (server, result or error)."""
    with BinderServer(Answers(kernels=kernels, speed=500)) as server:
        server.answers.pieces = load_stream("warm", server.host, server.host)
        asked = LaunchRequest(server.url, "gh", "lab/sample/HEAD", server.hub_url, expect=expect or {})
        try:
            result: Any = Launch(replace(asked, **request), transport or HttpTransport()).run()
        except VerifyError as error:
            result = error
    assert not server.running, "the server was left running"
    return server, result


def test_a_kernel_that_computes() -> None:
    server, result = launch(Kernels())
    assert result["kernel"] == {"name": "python3", "language": "python", "computed": True, "missing": []}
    assert result["phases"]["kernel"] == result["kernel_seconds"] > 0
    last = result["timeline"][-1]
    assert last["name"] == "kernel" and last["start_seconds"] >= result["total_seconds"]
    summary = result["summary"].partition("; then ")[2]
    assert summary == f"notebook {result['api_seconds']:.1f} | kernel {result['kernel_seconds']:.1f}"
    assert list(result["phases"])[-1] == "kernel" and result["warnings"] == []
    assert server.answers.kernels.asked[0] == {"name": "python3"}
    assert server.answers.kernels.alive == [], "the kernel was not ended"
    assert server.paths("DELETE") == [f"{NOTEBOOK}api/kernels/{KERNEL}"]
    channels = [headers for _verb, path, headers in server.seen if "/channels" in path]
    assert [headers["authorization"] for headers in channels] == [f"token {TOKEN}"]


def test_the_cell_is_another_each_time() -> None:
    cells = [launch(Kernels())[0].answers.kernels.asked[1]["content"]["code"] for _ in range(2)]
    assert cells[0] != cells[1]


@pytest.mark.parametrize(
    "framed",
    [
        pieces,
        lambda payload: frame(b"", PING) + frame(payload),
        lambda payload: frame(b"\x00\x01", BINARY) + frame(payload),
        lambda payload: frame(b"no json") + frame(payload),
    ],
)
def test_frames_as_servers_may_send_them(framed: Any) -> None:
    _server, result = launch(Kernels(framed=framed))
    assert isinstance(result, dict) and result["kernel"]["computed"]


def test_a_kernel_of_another_language_has_to_answer() -> None:
    server, result = launch(Kernels(language="R"))
    assert result["kernel"] == {"name": "python3", "language": "R", "computed": False, "missing": []}
    assert [entry["header"]["msg_type"] for entry in server.answers.kernels.asked[1:]] == [
        "kernel_info_request"
    ]


def unwell(payload: bytes) -> bytes:
    """Say what an R kernel says that cannot tell who it is."""
    message = json.loads(payload)
    if message["msg_type"] == "kernel_info_reply":
        message["content"] = {"status": "error", "ename": "", "evalue": "boom"}
    return frame(json.dumps(message).encode())


def test_a_kernel_of_another_language_that_answers_with_an_error() -> None:
    kernels = Kernels(language="R", framed=unwell)
    _server, error = launch(kernels)
    assert error.kind == "kernel_error" and kernels.alive == []
    assert "asked who it is, kernel python3 says error: boom" in str(error) and "by hand" in str(error)


def test_a_kernel_by_name_and_a_cell_in_its_language() -> None:
    kernels = Kernels(language="julia", says=["info", "value"])
    server, result = launch(kernels, {"kernel": "other", "code": "println(1)", "output": "one\n'two'"})
    assert result["kernel"]["name"] == "other" and server.answers.kernels.asked[0] == {"name": "other"}


def displays(payload: bytes) -> bytes:
    """Say as IRkernel does what `cat("x\\n"); 1 + 1; 2 + 2` prints and gives: it displays values."""
    message = json.loads(payload)
    if message["msg_type"] != "stream":
        return frame(payload)
    values = [{"data": {"text/plain": text, "text/html": text[4:]}} for text in ("[1] 2", "[1] 4")]
    messages = [{**message, "msg_type": "display_data", "content": value, "header": {}} for value in values]
    return b"".join(frame(json.dumps(each).encode()) for each in [*messages, message])


def test_a_kernel_that_displays_its_values() -> None:
    expect = {"code": "print('x')", "output": "x\n[1] 2\n[1] 4"}
    _server, result = launch(Kernels(language="R", framed=displays), expect)
    assert isinstance(result, dict), result
    # A figure of Python is no value.
    _server, result = launch(Kernels(framed=displays), {"code": "print('x')", "output": "x"})
    assert isinstance(result, dict), result


def test_a_value_wins_over_what_is_displayed() -> None:
    answer = Answer("mine")
    for kind, text in (("display_data", "a figure"), ("execute_result", "2")):
        content = {"data": {"text/plain": text}}
        message = {"msg_type": kind, "parent_header": {"msg_id": "mine"}, "content": content}
        answer.take(json.dumps(message).encode())
    assert answer.output == answer.output_displayed == "2"


def test_everything_that_is_expected_is_there() -> None:
    files = frozenset({"README.md", "data/a b ü#?.csv"})
    expect = {"files": sorted(files), "packages": ["json", "xml.dom"], "code": "print(1 + 1)", "output": 2}
    server, result = launch(Kernels(files=files), expect)
    assert result["kernel"]["missing"] == []
    assert f"{NOTEBOOK}api/contents/data/a%20b%20%C3%BC%23%3F.csv?content=0" in server.paths("GET")


def test_without_a_kernel() -> None:
    server, result = launch(Kernels(specs=(500, None)), check_kernel=False)
    assert "kernel" not in result and "kernel" not in result["phases"] and "then" not in result["summary"]
    assert not [path for path in server.paths("GET") if "kernel" in path]
    server, result = launch(Kernels(specs=(500, None)), check_api=False)
    assert "kernel" not in result and not [path for path in server.paths("GET") if "kernel" in path]


# What a server says that goes.
BYE = frame((1011).to_bytes(2, "big") + b"bye", CLOSE)
SUSPECT = "its memory limit (jupyterhub.singleuser.memory.limit)"
SPECS: dict[str, Any] = {"kernelspecs": {}}
FAILURES: list[tuple[str, Kernels, dict[str, Any], list[str]]] = [
    (
        "kernels_api",
        Kernels(specs=(404, b"<html>no</html>")),
        {},
        ["HTTP 404, text/html", "site_verify_kernel_enabled"],
    ),
    ("kernels_api", Kernels(specs=(200, ["python3"])), {}, ["HTTP 200"]),
    ("kernels_api", Kernels(specs=(403, {"message": "Forbidden"})), {}, ["HTTP 403, Forbidden"]),
    ("kernels_api", Kernels(started=(404, None)), {}, ["HTTP 404", "no kernels to start"]),
    ("kernelspec", Kernels(specs=(200, SPECS)), {}, ["no kernel '' among none", "ipykernel"]),
    ("kernelspec", Kernels(), {"kernel": "ir"}, ["no kernel 'ir' among other, python3"]),
    (
        "kernel_start",
        Kernels(started=(500, {"message": "Unhandled error"})),
        {},
        ["python3: HTTP 500, Unhandled error"],
    ),
    ("kernel_start", Kernels(started=(503, b"<html>")), {}, ["HTTP 503"]),
    ("kernel_start", Kernels(started=(201, {})), {}, ["HTTP 201"]),
    (
        "kernel_websocket",
        Kernels(refusal=(400, {}, b'Can "Upgrade" only')),
        {},
        ["HTTP 400", "proxy_http_version 1.1"],
    ),
    ("kernel_websocket", Kernels(refusal=(403, {}, b"")), {}, ["HTTP 403", "Authorization, Host and Origin"]),
    (
        "kernel_websocket",
        Kernels(refusal=(404, {}, b"")),
        {},
        ["HTTP 404", "location for the hub covers websockets"],
    ),
    (
        "kernel_websocket",
        Kernels(refusal=(302, {"Location": "/jupyterhub/hub/login?x=1"}, b"")),
        {},
        ["HTTP 302", "/jupyterhub/hub/login", "people to sign in"],
    ),
    ("kernel_websocket", Kernels(refusal=(502, {}, b"<html>")), {}, ["HTTP 502", "proxy's error log"]),
    (
        "kernel_websocket",
        Kernels(refusal=(200, {}, b"hello")),
        {},
        ["HTTP 200", "hello", "Upgrade and Connection"],
    ),
    ("kernel_websocket", Kernels(closes_after=(0, b"")), {}, ["connection was closed", "proxy_read_timeout"]),
    (
        "kernel_websocket",
        Kernels(closes_after=(0, BYE)),
        {},
        ["code 1011, bye"],
    ),
    ("kernel_websocket", Kernels(closes_after=(0, frame(b"x", 0x3))), {}, ["is no websocket"]),
    ("kernel_died", Kernels(says=["dies"]), {}, ["gone or started anew", "memory.limit"]),
    (
        "kernel_died",
        Kernels(refusal=(404, {}, b""), state=(404, {"message": "Kernel does not exist"})),
        {},
        ["HTTP 404 in place of a websocket; the server says that the kernel is gone"],
    ),
    (
        "kernel_died",
        Kernels(refusal=(-1, {}, b""), state=(200, {"execution_state": "dead"})),
        {},
        ["the connection was closed", "the server says that the kernel is dead"],
    ),
    (
        "kernel_died",
        Kernels(refusal=(503, {}, b""), state=(503, b"<html>")),
        {},
        [
            "HTTP 503 in place of a websocket; its server does not answer any more: HTTP 503, text/html",
            SUSPECT,
        ],
    ),
    (
        "kernel_died",
        Kernels(closes_after=(0, b""), state=(404, {"message": "Kernel does not exist"})),
        {},
        ["the connection was closed; the server says that the kernel is gone", "memory.limit"],
    ),
    (
        "kernel_died",
        Kernels(closes_after=(1, BYE), state=(200, {"execution_state": "dead"})),
        {"code": "x = [1] * 10**10"},
        ["code 1011, bye; the server says that the kernel is dead"],
    ),
    (
        "kernel_died",
        Kernels(closes_after=(1, b""), state=(503, b"<html>")),
        {"code": "x = [1] * 10**10"},
        ["the connection was closed; its server does not answer any more: HTTP 503, text/html", SUSPECT],
    ),
    (
        "kernel_died",
        Kernels(closes_after=(0, b""), state=(0, None)),
        {},
        [
            "the connection was closed; its server does not answer any more: the connection was closed early",
            SUSPECT,
        ],
    ),
    (
        "kernel_websocket",
        Kernels(closes_after=(0, b""), state=(200, {"execution_state": "idle"})),
        {},
        ["the connection was closed; the server says that the kernel is idle", "proxy_read_timeout"],
    ),
    ("kernel_error", Kernels(says=["raises"]), {}, ["the cell raises ZeroDivisionError: division by zero"]),
    ("kernel_output", Kernels(says=["sum"]), {}, ["gives '121932631668190824' in place of"]),
    (
        "kernel_output",
        Kernels(repeats="print(123456789 * 987654321 + 5)"),
        {},
        ["gives 'print(123456789", "sitecustomize"],
    ),
    ("kernel_output", Kernels(says=["info"]), {}, ["gives nothing in place of"]),
    ("kernel_language", Kernels(language="R"), {"packages": ["ggplot2"]}, ["kernel python3 speaks R"]),
    ("kernel_language", Kernels(language=""), {"packages": ["x"]}, ["no language that it tells"]),
    (
        "expect_file",
        Kernels(files=frozenset({"b"})),
        {"files": ["data/a.csv", "b", ".hidden/c"]},
        [
            "file data/a.csv: HTTP 404, file or directory '/data/a.csv' does not exist; file .hidden/c: HTTP 404",
            "as of every hidden file. Next",
            "lacks a file that is expected. Where",
        ],
    ),
    (
        "contents_api",
        Kernels(listed=(500, {"message": "Unhandled error"})),
        {"files": ["a.csv"], "packages": ["no_such_package"]},
        ["file a.csv: HTTP 500, Unhandled error", "log of the session's pod"],
    ),
    (
        "contents_api",
        Kernels(listed=(403, {"message": "Forbidden"})),
        {"files": ["a.csv"]},
        ["file a.csv: HTTP 403, Forbidden", "Authorization"],
    ),
    (
        "contents_api",
        Kernels(listed=(302, b"<html>")),
        {"files": ["a.csv"]},
        ["file a.csv: HTTP 302, text/html"],
    ),
    ("contents_api", Kernels(listed=(0, None)), {"files": ["a.csv"]}, ["closed early"]),
    (
        "expect_package",
        Kernels(),
        {"packages": ["json", "no_such_package", "no-such-one"]},
        [
            "package no_such_package: neither a module",
            "package no-such-one: neither",
            "lacks a Python package",
        ],
    ),
    (
        "expect_file",
        Kernels(),
        {"files": ["a"], "packages": ["no_such_package"]},
        [
            "file a: HTTP 404",
            "package no_such_package: neither",
            "a file that is expected, and the session lacks a Python",
        ],
    ),
    (
        "expect_package",
        Kernels(says=["good", "info"]),
        {"packages": ["json"]},
        ["does not say whether"],
    ),
    ("expect_output", Kernels(), {"code": "print(2)", "output": "3"}, ["gives '2', expected is '3'"]),
    (
        "expect_output",
        Kernels(says=["good", "value"]),
        {"code": "2", "output": ""},
        ["'two'", "expected is nothing"],
    ),
    (
        "expect_output",
        Kernels(says=["good", "raises"]),
        {"code": "1/0"},
        ["the cell raises ZeroDivisionError"],
    ),
    (
        "kernel_died",
        Kernels(says=["good", "dies"]),
        {"code": "import os; os._exit(1)"},
        ["gone or started anew"],
    ),
]


@pytest.mark.parametrize(("kind", "kernels", "expect", "words"), FAILURES)
def test_failures(kind: str, kernels: Kernels, expect: dict[str, Any], words: list[str]) -> None:
    server, error = launch(kernels, expect)
    assert isinstance(error, VerifyError), error
    assert error.kind == kind
    for word in words:
        assert word in str(error)
    assert CAUSES[kind].what in str(error) and f"Where: {server.hub_url}user/sample-x1y2z3ab/" in str(error)
    assert error.facts["phases"]["kernel"] == error.facts["kernel_seconds"]
    assert error.facts["server_stopped"] is True and error.facts["warnings"] == []
    assert kernels.alive == [], "the kernel was not ended"
    assert error.log, "an error shows what was said before"


HALF = "\ud800 x"


def halved(payload: bytes) -> bytes:
    """Raise an error with half of a character, which no UTF-8 has."""
    message = json.loads(payload)
    if message["msg_type"] == "stream":
        message["content"] = {"ename": "ValueError", "evalue": HALF, "traceback": [f"{HALF} y"]}
        message["msg_type"] = "error"
    return frame(json.dumps(message).encode())


@pytest.mark.parametrize(
    ("kind", "kernels", "expect", "words"),
    [
        ("kernel_error", Kernels(framed=halved), {}, "the cell raises ValueError: ? x. Next"),
        ("kernelspec", Kernels(specs=(200, {"kernelspecs": {HALF: {}}})), {"kernel": "ir"}, "among ? x."),
        ("kernelspec", Kernels(specs=(200, {"default": HALF, "kernelspecs": {}})), {}, "no kernel '? x'"),
        ("kernel_start", Kernels(started=(500, {"message": HALF})), {}, "HTTP 500, ? x. Next"),
        ("kernel_died", Kernels(says=["dies"], started=(201, {"id": HALF})), {}, "/api/kernels/%3F%20x/"),
        ("kernel_output", Kernels(repeats=HALF), {}, "gives '? x' in place of"),
        (
            "expect_package",
            Kernels(repeats='ironbinder-1:{"json": "\\ud800 x"}', calm=1),
            {"packages": ["json"]},
            "package json: ? x. Next",
        ),
    ],
)
def test_half_of_a_character(
    monkeypatch: pytest.MonkeyPatch, kind: str, kernels: Kernels, expect: dict[str, Any], words: str
) -> None:
    monkeypatch.setattr(_kernel, "packages_cell", lambda _names: ("", "ironbinder-1:"))
    _server, error = launch(kernels, expect)
    assert error.kind == kind and words in str(error)
    assert json.dumps([error.log, error.facts, str(error)], ensure_ascii=False).encode()


def test_a_traceback_is_the_log_of_its_error() -> None:
    _server, error = launch(Kernels(says=["raises"]))
    assert error.log[-1] == "ZeroDivisionError: division by zero" and "----> 1 1/0" in error.log


def test_a_kernel_that_says_nothing() -> None:
    started = time.monotonic()
    kernels = Kernels(says=[""], state=(200, {"execution_state": "busy"}))
    _server, error = launch(kernels, kernel_timeout_seconds=0.5)
    assert error.kind == "kernel_silent" and time.monotonic() - started < 30
    assert "no whole answer within 0 s; the server says that the kernel is busy" in str(error)
    assert kernels.alive == []


@pytest.mark.parametrize("state", [(404, None), (200, {"execution_state": "dead"})])
def test_a_kernel_that_says_nothing_because_it_is_dead(state: tuple[int, Any]) -> None:
    _server, error = launch(Kernels(says=[""], state=state), kernel_timeout_seconds=0.5)
    assert error.kind == "kernel_died" and "no whole answer within 0 s" in str(error)


def test_pings_are_no_answer() -> None:
    """A proxy, or the server, keeps the websocket open; that is not the kernel."""
    kernels = Kernels(says=["info"], framed=lambda _message: frame(b"", PING))
    _server, error = launch(kernels, kernel_timeout_seconds=0.5)
    assert error.kind == "kernel_silent"


def test_a_kernel_that_is_gone_before_its_websocket_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jupyter Server keeps such a websocket waiting for as long as one waits, and does not say why."""
    monkeypatch.setattr(kernel_door, "OPEN_SECONDS", 0.2)
    gone = (404, {"message": "Kernel does not exist"})
    _server, error = launch(Kernels(refusal=(0, {}, b""), state=gone))
    assert error.kind == "kernel_died" and "the server says that the kernel is gone" in str(error)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ((200, {"execution_state": "starting"}), "the server says that the kernel is starting"),
        ((500, None), "no whole answer within 1 s. Next"),
        ((0, None), "no whole answer within 1 s; its server does not answer any more: the connection"),
    ],
)
def test_a_websocket_that_never_opens(
    monkeypatch: pytest.MonkeyPatch, state: tuple[int, Any], words: str
) -> None:
    monkeypatch.setattr(kernel_door, "OPEN_SECONDS", 0.2)
    _server, error = launch(Kernels(refusal=(0, {}, b""), state=state), kernel_timeout_seconds=0.7)
    assert error.kind == "kernel_silent" and words in str(error)


def test_a_kernel_that_takes_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The websocket is asked for again where the kernel is still there."""
    monkeypatch.setattr(kernel_door, "OPEN_SECONDS", 1.0)
    server, result = launch(Kernels(late_openings=2))
    assert result["kernel"]["computed"]
    assert len([path for path in server.paths("GET") if "/channels" in path]) >= 3


class Noting(HttpTransport):
    """Notes how long each request may take, as (method and path, longest silence, all of it)."""

    def __init__(self) -> None:
        super().__init__()
        self.limits: list[tuple[str, float, float | None]] = []

    def request(self, method: str, url: str, headers: Any, timeout_seconds: float, **more: Any) -> Reply:
        path = url.partition("/user/sample-x1y2z3ab/")[2]
        self.limits.append((f"{method} {path}", timeout_seconds, more.get("deadline_seconds")))
        return super().request(method, url, headers, timeout_seconds, **more)


def test_a_kernel_may_take_all_the_time_to_start() -> None:
    """And no request has more, however slowly it is answered."""
    transport = Noting()
    launch(Kernels(files=frozenset({"a"})), {"files": ["a"]}, transport, kernel_timeout_seconds=60.0)
    limits = {what: (silence, whole) for what, silence, whole in transport.limits if "api/k" in what}
    ended = limits.pop(f"DELETE api/kernels/{KERNEL}")
    assert ended == (kernel_door.DELETE_SECONDS, kernel_door.DELETE_SECONDS)
    assert list(limits) == ["GET api/kernelspecs", "POST api/kernels"]
    assert all(silence == whole and 50 < silence <= 60 for silence, whole in limits.values())


def test_a_server_that_answers_byte_by_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then is no answer, of nobody who is asked."""
    monkeypatch.setattr(kernel_door, "STATE_SECONDS", 0.5)
    monkeypatch.setattr(kernel_door, "DELETE_SECONDS", 0.5)
    _server, error = launch(Kernels(drips=("kernelspecs",)), kernel_timeout_seconds=0.5)
    assert error.kind == "kernel_silent" and "no whole answer within 0 s. Next" in str(error)
    state = (200, {"execution_state": "busy"})
    kernels = Kernels(says=[""], drips=(f"GET {NOTEBOOK}api/kernels/",), state=state)
    _server, error = launch(kernels, kernel_timeout_seconds=0.5)
    assert error.kind == "kernel_silent" and "busy" not in str(error)
    _server, result = launch(Kernels(drips=("DELETE",)))
    assert result["warnings"] == [
        "the kernel was not seen to end (no whole answer within 0 s); it ends with its server"
    ]


def test_no_time_at_all() -> None:
    _server, error = launch(Kernels(), kernel_timeout_seconds=0)
    assert error.kind == "kernel_silent" and error.facts["kernel"] == {}


def test_a_kernel_that_prints_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websockets, "MOST_BYTES", 1 << 20)
    for kind, calm, expect in (
        ("kernel_output", 0, {}),
        ("kernel_output", 1, {"packages": ["json"]}),
        ("expect_output", 1, {"code": "print('x' * (2 << 20))"}),
    ):
        kernels = Kernels(repeats="x" * (2 << 20), calm=calm)
        _server, error = launch(kernels, expect)
        assert error.kind == kind and "more than 1 MiB" in str(error) and "prints so much" in str(error)


def test_a_controller_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websockets, "library", None)
    _server, error = launch(Kernels())
    assert error.kind == "kernel_websocket" and "pip install -r requirements.txt" in str(error)


def test_a_kernel_that_does_not_end_is_told() -> None:
    _server, result = launch(Kernels(ended=500))
    assert result["warnings"] == [
        "the kernel was not seen to end (HTTP 500, application/json); it ends with its server"
    ]
    assert result["server_stopped"] is True


def test_tokens_are_never_told() -> None:
    kernels = Kernels(started=(500, {"message": f"for {TOKEN}"}))
    _server, error = launch(kernels)
    assert "for ***" in str(error)
    _server, printed = launch(Kernels(repeats=TOKEN))
    _server, listed = launch(Kernels(specs=(200, {"kernelspecs": {TOKEN: {}}})))
    for failed in (error, printed, listed):
        assert TOKEN not in str(failed) + json.dumps([failed.log, failed.facts])
