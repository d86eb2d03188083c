# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The client against real sockets: servers that answer, refuse, lie, hang, and hang up."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Optional
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import (
    GRACE_SECONDS,
    KubeApi,
    KubeError,
    Limits,
    connect,
    forgive,
)
from hand_clock import HandClock
from kube_server import Request, kubeconfig_for, serve

# For who has to answer, however busy the machine is; and for who does not, one limit each.
PATIENT = Limits(connect=60, read=60, total=120)
CONNECTS, READS, TOTAL = Limits(0.3, 60, 60), Limits(60, 0.3, 60), Limits(60, 60, 0.6)
NAMESPACE = "/api/v1/namespaces/ns"


def status(code: int, message: str) -> dict[str, object]:
    return {"kind": "Status", "status": "Failure", "message": message, "code": code}


def failure(url: str, folder: Path, clock: Optional[HandClock] = None, limits: Limits = PATIENT) -> KubeError:
    """Ask once and return the error; no test may take as long as the limits that it is not about."""
    began = time.monotonic()
    with pytest.raises(KubeError) as caught:
        connect(kubeconfig_for(url, folder), limits=limits, clock=clock).get(NAMESPACE)
    assert time.monotonic() - began < 50
    return caught.value


def failure_of(
    answer: Callable[[Request], None],
    folder: Path,
    clock: Optional[HandClock] = None,
    limits: Limits = PATIENT,
) -> KubeError:
    with serve(answer) as url:
        return failure(url, folder, clock, limits)


def test_objects_logs_and_what_is_not_there(tmp_path: Path) -> None:
    """Every verb, with its body, its query and the account of the kubeconfig."""
    seen = []

    def answer(request: Request) -> None:
        url = urlsplit(request.path)
        seen.append((request.command, request.headers["Authorization"], request.headers["Content-Type"]))
        if url.path.endswith("/log"):
            request.send(200, "one\ntwo ä\n")
        elif url.path == NAMESPACE or request.command != "GET":
            request.send(200, {"query": parse_qs(url.query), "body": request.body()})
        else:
            request.send(404, status(404, "not found"))

    with serve(answer) as url:
        api = connect(kubeconfig_for(url, tmp_path))
        assert api.get(NAMESPACE, labelSelector="a=b") == {"query": {"labelSelector": ["a=b"]}, "body": None}
        assert api.get("/api/v1/namespaces/other") is None
        assert api.text(f"{NAMESPACE}/pods/p/log", tailLines="5") == "one\ntwo ä\n"
        for verb in (api.create, api.patch):
            assert verb("/x", {"a": 1}, dryRun="All") == {"query": {"dryRun": ["All"]}, "body": {"a": 1}}
        api.delete(NAMESPACE)
    assert {token for _verb, token, _type in seen} == {"Bearer t"}
    assert [(verb, kind) for verb, _token, kind in seen if kind] == [
        ("POST", "application/json"),
        ("PATCH", "application/merge-patch+json"),
    ]


def test_deleting_what_is_gone_is_no_error_but_changing_it_is(tmp_path: Path) -> None:
    with serve(lambda request: request.send(404, status(404, 'namespaces "ns" not found'))) as url:
        api = connect(kubeconfig_for(url, tmp_path))
        api.delete(NAMESPACE)
        assert api.text(NAMESPACE) == ""
        for verb in (api.create, api.patch):
            with pytest.raises(KubeError, match='namespaces "ns" not found') as caught:
                verb(NAMESPACE, {})
            assert caught.value.status == 404


def test_a_refusal_has_the_apis_own_words_the_file_and_the_remedy(tmp_path: Path) -> None:
    """Not only Forbidden: who may not do what is in the message."""
    said = 'secrets is forbidden: User "u" cannot list resource "secrets"'

    def answer(request: Request) -> None:
        request.send(*((200, "ok") if request.path == "/readyz" else (403, status(403, said))))

    error = failure_of(answer, tmp_path)
    assert (error.status, error.message, error.passing) == (403, said, False)
    for words in (
        f"GET {NAMESPACE} at http://",
        str(tmp_path / "config"),
        f"403 {said}",
        "site_kubeconfig_file",
    ):
        assert words in str(error)


@pytest.mark.parametrize("unready", [403, 500])
def test_a_server_that_has_only_just_started_refuses_everybody_and_that_passes(
    unready: int, tmp_path: Path
) -> None:
    """As a head's after an upgrade: for a moment it refuses /readyz too, and then it is not ready."""
    answers = {NAMESPACE: [403, 403, 200], "/readyz": [unready, 200]}

    def answer(request: Request) -> None:
        code = answers[request.path].pop(0)
        request.send(code, status(code, "forbidden") if code >= 400 else {"kind": "Namespace"})

    with serve(answer) as url:
        api = connect(kubeconfig_for(url, tmp_path))
        with pytest.raises(KubeError, match="503 it has only just started") as caught:
            api.get(NAMESPACE)
        assert caught.value.passing
        # Ready a moment after it refused.
        assert api.get(NAMESPACE) == {"kind": "Namespace"}
    assert answers == {NAMESPACE: [], "/readyz": []}


def test_a_page_that_refuses_is_no_server_that_starts(tmp_path: Path) -> None:
    error = failure_of(lambda request: request.send(403, "<html>blocked by policy"), tmp_path)
    assert (error.status, error.message) == (403, "<html>blocked by policy")


def test_an_unknown_account_is_said_and_a_refusal_may_be_anything(tmp_path: Path) -> None:
    error = failure_of(lambda request: request.send(401, status(401, "Unauthorized")), tmp_path)
    assert "stage `cluster`" in str(error)
    error = failure_of(lambda request: request.send(400, "[1]"), tmp_path)
    assert (error.status, error.message) == (400, "[1]")
    assert "without a reason" in str(failure_of(lambda request: request.send(400, ""), tmp_path))


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    """The token goes to the API and nowhere else."""
    elsewhere: list[str] = []
    with serve(lambda request: elsewhere.append(request.path)) as other:
        error = failure_of(lambda request: request.send(302, "moved", Location=f"{other}/steal"), tmp_path)
    assert (error.status, error.passing, elsewhere) == (302, False, [])


def test_a_server_that_accepts_and_never_answers(tmp_path: Path) -> None:
    told = threading.Event()

    def keep_silent(_request: Request) -> None:
        told.wait(60)

    error = failure_of(keep_silent, tmp_path, limits=READS)
    told.set()
    assert (error.status, error.passing) == (0, True)
    assert "sent nothing for 0.3 s" in str(error)
    assert f"kubectl --kubeconfig {tmp_path / 'config'}" in str(error)


def full_backlog() -> tuple[socket.socket, list[socket.socket]]:
    """Return a listener that never accepts, with no room for another connection: SYNs are dropped."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    waiting: list[socket.socket] = []
    for _ in range(8):
        client = socket.socket()
        client.settimeout(0.1)
        try:
            client.connect(listener.getsockname())
        except OSError:
            client.close()
            return listener, waiting
        waiting.append(client)
    raise AssertionError("the backlog took every connection")


def test_a_listener_that_never_accepts(tmp_path: Path) -> None:
    """As an API behind a firewall that drops: without a limit this takes two minutes."""
    listener, waiting = full_backlog()
    try:
        error = failure(f"http://127.0.0.1:{listener.getsockname()[1]}", tmp_path, limits=CONNECTS)
    finally:
        for each in (listener, *waiting):
            each.close()
    assert (error.status, error.passing) == (0, True)
    assert "no connection within 0.3 s" in str(error)


def test_a_tls_handshake_that_never_ends(tmp_path: Path) -> None:
    """The kernel takes the connection, and nobody shakes hands."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        error = failure(f"https://127.0.0.1:{listener.getsockname()[1]}", tmp_path, limits=CONNECTS)
    assert (error.status, "does not answer" in str(error)) == (0, True)


def drip(request: Request) -> None:
    """Send a byte now and then, always in time for the next read."""
    request.send_response(200)
    request.end_headers()
    for _ in range(1200):
        request.wfile.write(b" ")
        time.sleep(0.05)


def test_a_server_that_drips_has_a_deadline(tmp_path: Path) -> None:
    assert "was not complete after 0.6 s" in str(failure_of(drip, tmp_path, limits=TOTAL))


def drip_error(request: Request) -> None:
    request.send_response(500)
    request.end_headers()
    for _ in range(1200):
        request.wfile.write(b" ")
        time.sleep(0.05)


def test_so_has_one_that_drips_an_error(tmp_path: Path) -> None:
    assert "was not complete after 0.6 s" in str(failure_of(drip_error, tmp_path, limits=TOTAL))


def close(request: Request) -> None:
    request.close_connection = True
    request.connection.close()


def close_early(request: Request) -> None:
    request.send(200, '{"kind": "Name', Content_Length="1000")
    close(request)


@pytest.mark.parametrize("answer", [close, close_early])
def test_a_closed_connection_may_pass(answer: Callable[[Request], None], tmp_path: Path) -> None:
    """An API server that is killed in the middle of an answer has not given half an object."""
    error = failure_of(answer, tmp_path)
    assert (error.status, error.passing) == (0, True)
    assert "the connection was closed early" in str(error)


def test_nobody_there(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    error = failure(url, tmp_path)
    assert (error.status, error.passing) == (0, True)
    assert "Connection refused" in str(error)
    assert "control plane is up" in str(error)


@pytest.mark.parametrize(
    "body", ["", "no JSON", '{"kind": "Name', "[]", "null", "<html><title>Sign in</title></html>"]
)
def test_what_is_no_object(body: str, tmp_path: Path) -> None:
    """A page with status 200 is somebody else's, and stays so."""
    error = failure_of(lambda request: request.send(200, body), tmp_path)
    assert (error.status, error.passing) == (200, False)
    assert "no object of Kubernetes" in str(error)
    assert body in str(error)


def test_a_page_as_an_error_is_shown_shortened(tmp_path: Path) -> None:
    error = failure_of(lambda request: request.send(502, "<html>\n" + "x" * 5000), tmp_path)
    assert (error.status, error.passing, len(error.message) < 300) == (502, True, True)
    assert "<html> xxx" in str(error)


def test_a_busy_server_is_left_alone_for_as_long_as_it_asks(tmp_path: Path) -> None:
    """429 with Retry-After is waited for within the total; the clock is the test's."""
    clock = HandClock()
    answers = [429, 503, 200]

    def answer(request: Request) -> None:
        code = answers.pop(0)
        request.send(code, {"kind": "Namespace"}, **({} if code == 200 else {"Retry_After": "3"}))

    with serve(answer) as url:
        api = connect(kubeconfig_for(url, tmp_path), clock=clock)
        assert api.get(NAMESPACE) == {"kind": "Namespace"}
    assert clock.slept == [3, 3]


@pytest.mark.parametrize("retry_after", ["3600", "Wed, 21 Oct 2026 07:28:00 GMT", "-1", ""])
def test_a_server_that_asks_for_too_much_is_not_obeyed(retry_after: str, tmp_path: Path) -> None:
    """An hour is more than the total; a date or nonsense is no number of seconds."""
    clock = HandClock()
    error = failure_of(
        lambda request: request.send(429, status(429, "too many requests"), Retry_After=retry_after),
        tmp_path,
        clock,
    )
    assert (error.status, error.message, error.passing) == (429, "too many requests", True)
    assert clock.slept == []


def test_a_server_that_is_always_busy_is_asked_until_the_total(tmp_path: Path) -> None:
    clock = HandClock()
    with serve(lambda request: request.send(429, status(429, "busy"), Retry_After="7")) as url:
        api: KubeApi = connect(kubeconfig_for(url, tmp_path), clock=clock)
        with pytest.raises(KubeError, match="429 busy"):
            api.get(NAMESPACE)
    assert clock.slept == [7] * 8


def test_errors_of_the_server_are_not_asked_again_here(tmp_path: Path) -> None:
    """Whoever waits forgives them; a single question gets its answer."""
    asked = []

    def answer(request: Request) -> None:
        asked.append(request.path)
        request.send(500, status(500, "etcdserver: leader changed"))

    error = failure_of(answer, tmp_path)
    assert (error.status, error.passing, len(asked)) == (500, True, 1)
    assert "500 etcdserver: leader changed" in str(error)
    assert "/readyz" in str(error)


@pytest.mark.parametrize(
    ("error", "silent", "forgiven"),
    [
        (KubeError("x"), 0, True),
        (KubeError("x", 429), GRACE_SECONDS - 1, True),
        (KubeError("x", 500), 1, True),
        (KubeError("x", 503), GRACE_SECONDS, False),
        (KubeError("x", 403), 0, False),
        (KubeError("x", 404), 0, False),
        (KubeError("x", 200), 0, False),
        (OSError("x"), 0, False),
    ],
)
def test_one_policy_for_an_api_that_restarts(error: Exception, silent: float, forgiven: bool) -> None:
    assert forgive(error, silent) is forgiven


@pytest.mark.parametrize("content", ["", "host1\n", "a: [", "{}", "clusters: 5", None])
def test_what_is_no_kubeconfig_is_refused(tmp_path: Path, content: Optional[str]) -> None:
    file = tmp_path / "config"
    if content is not None:
        file.write_text(content)
    with pytest.raises(KubeError, match=rf"{file} is no kubeconfig.*site_kubeconfig_file"):
        connect(str(file))
