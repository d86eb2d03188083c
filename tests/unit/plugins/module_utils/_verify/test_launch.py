# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Launches against a real server on the loopback that replays streams by chunked transfer."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import (
    HttpFailure,
    HttpTransport,
    Reply,
    is_under,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._net.websockets import WebSocket
from ansible_collections.ironbinder.platform.plugins.module_utils._verify import arrivals as _arrivals
from ansible_collections.ironbinder.platform.plugins.module_utils._verify import launch as _launch
from ansible_collections.ironbinder.platform.plugins.module_utils._verify import notebook as _notebook
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.errors import VerifyError, redact
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.launch import (
    Launch,
    LaunchRequest,
    build_url,
)
from binder_server import TOKEN, Answers, BinderServer, Pieces, held_back, load_stream
from kernel_server import KERNEL


@pytest.fixture(autouse=True)
def busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is: what comes is waited for, and what came late was not held back by anybody."""
    monkeypatch.setattr(_notebook, "POLL_SECONDS", 0.02)
    for module, name in (
        *((_notebook, "OPEN_SECONDS"), (_notebook, "STOP_SECONDS"), (_launch, "LINGER_SECONDS")),
        *((_arrivals, name) for name in BUFFERS),
    ):
        monkeypatch.setattr(module, name, 60.0)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, busy: None) -> None:
    """For what does not come."""
    monkeypatch.setattr(_notebook, "OPEN_SECONDS", 0.4)
    monkeypatch.setattr(_notebook, "STOP_SECONDS", 0.3)
    monkeypatch.setattr(_launch, "LINGER_SECONDS", 0.1)


@pytest.fixture
def wary(monkeypatch: pytest.MonkeyPatch, busy: None) -> None:
    """As it is, of streams that come late."""
    for name, seconds in BUFFERS.items():
        monkeypatch.setattr(_arrivals, name, seconds)


BUFFERS = {
    name: getattr(_arrivals, name)
    for name in ("TORN_PAUSE_SECONDS", "TORN_PAUSE_ALONE_SECONDS", "SILENCE_SECONDS")
}
UP, DOWN = {"service": "Docker registry", "ok": True}, {"service": "Docker registry", "ok": False}
Run = Callable[..., tuple[BinderServer, Any]]


@pytest.fixture
def run() -> Run:
    """Launch against a server with these answers; return (server, result or error)."""

    def runner(
        stream: str,
        answers: Answers | None = None,
        hub: str = "",
        change: Callable[[Pieces], Pieces] = lambda pieces: pieces,
        **request: Any,
    ) -> tuple[Any, Any]:
        with BinderServer(answers or Answers()) as server:
            if not server.answers.pieces:
                server.answers.pieces = change(load_stream(stream, hub or server.host, server.host))
            asked = LaunchRequest(
                url=server.url, provider="gh", spec="lab/sample/HEAD", hub_url=server.hub_url
            )
            asked = replace(asked, timeout_seconds=120, silence_seconds=60)
            try:
                result: Any = Launch(replace(asked, **request), HttpTransport()).run()
            except VerifyError as error:
                result = error
            server.hung_up.wait(60.0 if server.answers.stays_open_seconds else 0)
            return server, result

    return runner


@pytest.mark.usefixtures("wary")
def test_cold_launch(run: Run) -> None:
    versions = {"binderhub": "1.0", "builder_info": {"build_image": "r2d"}}
    # On a busy machine server and launch may both be late, but not each time.
    for _ in range(20):
        server, result = run("cold", Answers(versions=versions, stays_open_seconds=120), check_kernel=False)
        # Replayed 50 times as fast: 24.1 s of pushing are 0.48 s.
        if result["phases"]["pushing"] == pytest.approx(24.1 / 50, abs=0.15) and not result["buffered"]:
            break
    assert result["phases"]["pushing"] == pytest.approx(24.1 / 50, abs=0.15)
    assert result["total_seconds"] >= round(31.6 / 50, 1)
    assert result["summary"].startswith(f"launch verified in {result['total_seconds']:.1f} s: ")
    assert list(result["phases"]) == ["waiting", "fetching", "building", "pushing", "built", "launching"]
    assert sum(result["phases"].values()) == pytest.approx(result["total_seconds"], abs=0.01)
    assert result["built_now"] is True and result["buffered"] is False
    assert result["versions"] == versions
    assert result["image"].endswith("4f1c2a:9f2d6c1e")
    assert result["server_url"] == f"{server.hub_url}user/sample-x1y2z3ab/"
    assert result["api"]["kernels"] == 0 and result["websocket"] is True
    assert result["server_stopped"] is True and not server.running
    assert result["warnings"] == []
    assert server.hung_up.is_set(), "the stream was not closed when it was ready"


def test_the_requests_of_a_launch(run: Run) -> None:
    server, _result = run("warm")
    build = next(headers for _m, path, headers in server.seen if "/build/" in path)
    assert build["accept"] == "text/event-stream"
    assert server.paths("GET")[:2] == ["/binderhub/versions", "/binderhub/build/gh/lab/sample/HEAD"]
    notebook = "/jupyterhub/user/sample-x1y2z3ab/"
    session = server.answers.kernels.asked[-1]["header"]["session"]
    assert [path for path in server.paths("GET") if "/user/" in path] == [
        f"{notebook}api/status",
        f"{notebook}api/events/subscribe",
        f"{notebook}api/kernelspecs",
        f"{notebook}api/kernels/{KERNEL}/channels?session_id={session}",
        f"{notebook}api/status",
    ]
    assert server.paths("POST") == [f"{notebook}api/kernels", f"{notebook}api/shutdown"]
    assert server.paths("DELETE") == [f"{notebook}api/kernels/{KERNEL}"]
    assert all(
        headers["authorization"] == f"token {TOKEN}" for _m, path, headers in server.seen if "/user/" in path
    )


def test_warm_launch(run: Run) -> None:
    _server, result = run("warm")
    assert result["built_now"] is False
    assert (
        f"launch verified in {result['total_seconds']:.1f} s, image found in the registry: "
        in result["summary"]
    )
    assert result["versions"] == {}
    exact = Recording(load_stream("warm")).launch()["summary"]
    assert exact == "launch verified in 5.0 s, image found in the registry: waiting 0.5 | launching 4.5"


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("name", ["cold_old", "keepalives", "unknown_phase", "unicode"])
def test_other_launches_that_work(run: Run, name: str, chunked: bool) -> None:
    _server, result = run(name, Answers(speed=300, chunked=chunked))
    assert isinstance(result, dict) and result["server_stopped"]


@pytest.mark.usefixtures("wary")
def test_a_stream_in_single_bytes(run: Run) -> None:
    def cut(pieces: Pieces) -> Pieces:
        return [(seconds, bytes([byte])) for seconds, body in pieces for byte in body]

    for _ in range(20):  # a busy machine may be late
        _server, result = run("unicode", change=cut)
        if not result["buffered"]:
            break
    assert result["server_stopped"] and not result["buffered"]


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("failed_build", "build", ["the build failed", "non-zero code: 127", "read the log lines"]),
        ("failed_build_r2d", "build", ["the build failed", "exit code: 127"]),
        (
            "failed_old",
            "build",
            ["docker buildx build returned 1", "went on to say built, launching", "no success"],
        ),
        ("failed_old_ready", "build", ["the build failed", "went on to say built, launching, ready"]),
        ("failed_push", "push", ["could not be pushed", "x509", "/etc/docker/certs.d"]),
        ("failed_launch", "launch", ["did not start", "with 500", "the node cannot pull the image"]),
        (
            "no_repository",
            "repository",
            ["does not exist", "Could not resolve ref for gh:nobody/nothing/HEAD", "%2F"],
        ),
        ("no_provider", "provider", ["does not know the provider", "prefix xx"]),
        ("banned", "banned", ["temporarily disabled", "banned_specs"]),
        ("quota", "quota", ["Too many users", "total_quota"]),
        ("rate_limit", "rate_limit", ["429", "3012 seconds", "build token", "X-Forwarded-For"]),
        ("error_500", "build", ["could not begin", "500", "Internal Server Error", "deployment/binder"]),
        ("sign_in", "sign_in", ["who signed in", "with 403: Forbidden", "docs/sign-in.md"]),
        ("build_token", "build_token", ["build token is not valid", "with 403", "build_token_secret"]),
        ("banned_network", "banned", ["with 403", "the department of noise", "ban_networks"]),
        ("no_accept", "not_a_stream", ["with 400", "Accept: text/event-stream"]),
        (
            "no_secret",
            "launch",
            ["did not start", 'secret "course-certificates" not found', "the hub's namespace lacks"],
        ),
        ("truncated", "truncated", ["the stream ended", "phase building", "proxy_read_timeout"]),
        ("build_only", "launch", ["names no server", "require_build_only"]),
    ],
)
@pytest.mark.parametrize("chunked", [True, False])
def test_failures(run: Run, name: str, kind: str, words: list[str], chunked: bool) -> None:
    server, error = run(name, Answers(speed=300, chunked=chunked))
    assert isinstance(error, VerifyError), error
    assert error.kind == kind
    for word in words:
        assert word in str(error)
    assert f"Where: {server.url}build/gh/lab/sample/HEAD" in str(error)
    assert error.facts["phases"] and "server_url" in error.facts


@pytest.mark.parametrize(
    ("answers", "registry", "kind", "words"),
    [
        # BinderHub says it itself.
        (
            Answers(health=(503, {"ok": False, "checks": [DOWN]})),
            "",
            "registry",
            ["'Docker registry' is failing"],
        ),
        # It is too old to say; the registry is asked.
        (Answers(), "http://127.0.0.1:9", "registry", ["does not answer at http://127.0.0.1:9/v2/"]),
        (Answers(registry_status=503), "own", "registry", ["answers HTTP 503 at http://127.0.0.1:"]),
        # Its check is 15 seconds old and still good.
        (
            Answers(health=(200, {"ok": True, "checks": [UP]}), registry_status=502),
            "own",
            "registry",
            ["HTTP 502"],
        ),
        # It is not the registry, or nobody knows.
        (Answers(health=(200, {"ok": True, "checks": [UP]})), "", "build", ["could not begin"]),
        (Answers(registry_status=401), "own", "build", ["could not begin"]),
        (Answers(health=(200, ["ok"])), "", "build", ["could not begin"]),
        (Answers(health=(200, {"checks": "all"})), "", "build", ["could not begin"]),
        (Answers(), "", "build", ["could not begin"]),
    ],
)
def test_a_registry_that_is_down_is_named(
    answers: Answers, registry: str, kind: str, words: list[str]
) -> None:
    with BinderServer(answers) as server:
        answers.pieces = load_stream("error_500")
        request = LaunchRequest(server.url, "gh", "a/b/HEAD")
        url = f"http://{server.host}" if registry == "own" else registry
        with pytest.raises(VerifyError) as caught:
            Launch(replace(request, registry_url=url), HttpTransport()).run()
    assert caught.value.kind == kind
    for word in ["with 500: Internal Server Error", *words]:
        assert word in str(caught.value)


def test_the_registry_is_left_alone_where_the_reason_is_known(run: Run) -> None:
    server, _error = run("failed_build", registry_url="http://127.0.0.1:9")
    assert not [path for path in server.paths("GET") if path.endswith("/health")]


def test_a_session_that_can_never_be_pulled_ends_the_launch_early() -> None:
    recording = Recording(load_stream("pull_denied"))
    with pytest.raises(VerifyError) as caught:
        recording.launch()
    error = caught.value
    assert (error.kind, recording.seconds, recording.closed) == ("launch", 4.0, True)
    for word in (
        "no session can pull it",
        "no basic auth credentials",
        "image-pull-secret",
        "site_registry_username",
    ):
        assert word in str(error)
    assert any("no basic auth credentials" in line for line in error.log)
    assert error.facts["phases"]["launching"] == 3.5


def test_a_failed_build_shows_its_log(run: Run) -> None:
    _server, error = run("failed_build")
    assert "/bin/sh: 1: pip-install: not found" in error.log


@pytest.mark.usefixtures("quick")
def test_an_old_hub_is_hung_up_on_before_it_launches(run: Run) -> None:
    """After `Failed` it goes on to launch an older image, unless nobody listens."""
    answers = Answers(pieces=load_stream("failed_old")[:-1], speed=50, stays_open_seconds=600)
    started = time.monotonic()
    server, error = run("failed_old", answers)
    assert error.kind == "build" and server.hung_up.is_set() and time.monotonic() - started < 60


def test_a_server_that_started_after_a_failure_is_stopped(run: Run) -> None:
    server, error = run("failed_old_ready")
    assert error.kind == "build"
    assert not server.running and error.facts["server_stopped"] is True


@pytest.mark.parametrize("ends_properly", [True, False])
def test_truncated_with_and_without_a_last_chunk(run: Run, ends_properly: bool) -> None:
    _server, error = run("truncated", Answers(ends_properly=ends_properly))
    assert error.kind == "truncated" and "last seen: " in str(error)


def test_silence(run: Run) -> None:
    answers = Answers(stays_open_seconds=600)
    _server, error = run("silent", answers, silence_seconds=0.3)
    assert error.kind == "silent"
    assert "phase waiting" in str(error) and "last seen: Waiting for build to start..." in str(error)
    assert error.facts["total_seconds"] < 60


def test_keepalives_are_life_but_not_for_ever(run: Run) -> None:
    pieces = [(i / 10, b":keepalive\n\n") for i in range(1, 4000)]
    _server, error = run("", Answers(pieces=pieces, speed=1), silence_seconds=30, timeout_seconds=0.9)
    assert error.kind == "timeout"
    assert "not ready within 1 s" in str(error) and "nothing at all; " in str(error)
    assert 0.8 < error.facts["total_seconds"] < 60
    recording = Recording([(float(second), b":keepalive\n\n") for second in range(1, 40)])
    with pytest.raises(VerifyError) as caught:
        recording.launch(silence_seconds=3.0, timeout_seconds=9.5)
    assert (caught.value.kind, recording.seconds) == ("timeout", 9.5)


def test_no_headers_within_the_silence(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/binderhub/"
        monkey = LaunchRequest(url=url, provider="gh", spec="a/b/HEAD", silence_seconds=0.2)
        launch = Launch(monkey, HttpTransport())
        with pytest.raises(VerifyError, match="did not answer") as caught:
            launch._follow()
        assert caught.value.kind == "silent"


@pytest.mark.parametrize(
    ("answers", "name", "kind", "words"),
    [
        (
            Answers(content_type="text/html; charset=UTF-8"),
            "page",
            "not_a_stream",
            ["'Binder (beta)'", "Accept"],
        ),
        (Answers(content_type="text/html"), "page_login", "sign_in", ["Single Sign-On: Log in"]),
        (Answers(content_type="text/html", status=404), "page", "not_found", ["base_url", "HTTP 404"]),
        (Answers(content_type="text/html", status=502), "page", "proxy", ["NodePort", "HTTP 502"]),
        (Answers(content_type="text/html", status=403), "page", "sign_in", ["HTTP 403"]),
        (Answers(content_type="text/html", status=500), "page", "http", ["HTTP 500"]),
        (
            Answers(content_type="text/html", status=429, headers={"Retry-After": "1200"}),
            "page",
            "rate_limit",
            ["retry after 1200 s", "build token"],
        ),
        (
            Answers(status=302, headers={"Location": "/jupyterhub/hub/api/oauth2/authorize?x=1"}),
            "page",
            "sign_in",
            ["to /jupyterhub/hub/api/oauth2/authorize"],
        ),
        (Answers(content_type="text/html", status=401), "page", "sign_in", ["HTTP 401"]),
        (
            Answers(status=401, headers={"WWW-Authenticate": 'Basic realm="Staff"'}),
            "page",
            "sign_in",
            ['asks for Basic realm="Staff"', "HTTP 401"],
        ),
        (
            Answers(status=302, headers={"Location": "https://idp.example.org/saml2/sso?SAMLRequest=x"}),
            "page",
            "sign_in",
            [
                "to https://idp.example.org/saml2/sso",
                "a token of the hub (site_hub_verify_tokens), let its address pass",
            ],
        ),
        (
            Answers(status=303, headers={"Location": "/jupyterhub/hub/login?next=%2F"}),
            "page",
            "sign_in",
            ["to /jupyterhub/hub/login"],
        ),
        (Answers(content_type="text/html"), "page_password", "sign_in", ["HTTP 200"]),
        (
            Answers(
                status=301, headers={"Location": "https://binder.example.org/"}, content_type="text/plain"
            ),
            "page",
            "redirect",
            ["to https://binder.example.org/", "site_public_url"],
        ),
    ],
)
def test_answers_that_are_no_stream(
    run: Run, answers: Answers, name: str, kind: str, words: list[str]
) -> None:
    _server, error = run(name, answers)
    assert isinstance(error, VerifyError) and error.kind == kind, error
    for word in words:
        assert word in str(error)


def test_html_under_the_name_of_a_stream(run: Run) -> None:
    _server, error = run("page")
    assert error.kind == "truncated"


def test_the_hub_url_of_another_place(run: Run) -> None:
    server, error = run("warm", hub="10.0.0.9:31234")
    assert error.kind == "hub_url"
    assert "10.0.0.9:31234/jupyterhub/" in str(error) and server.hub_url in str(error)


def test_a_wrong_hub_url_leaves_no_server(run: Run) -> None:
    with BinderServer(Answers()) as server:
        elsewhere = f"http://{server.host}/other/"
        server.answers.pieces = load_stream("warm", server.host)
        request = LaunchRequest(url=server.url, provider="gh", spec="a/b/HEAD", hub_url=elsewhere)
        with pytest.raises(VerifyError, match="hub_url points to the wrong place") as caught:
            Launch(request, HttpTransport()).run()
    assert caught.value.facts["server_stopped"] and not server.running


def test_the_route_may_take_a_moment(run: Run) -> None:
    server, result = run("warm", Answers(api_statuses=[404, 503, 302, 424]))
    assert result["api_seconds"] > 0.05
    assert len([path for path in server.paths("GET") if path.endswith("api/status")]) == 6


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (Answers(api_statuses=[404] * 999), ["HTTP 404", "floating IP"]),
        (Answers(api_body=b"<html>"), ["HTTP 200"]),
        (Answers(api_statuses=[500]), ["HTTP 500"]),
        (Answers(token="another"), ["HTTP 403", "Authorization"]),
    ],
)
@pytest.mark.usefixtures("quick")
def test_a_notebook_that_does_not_open(run: Run, answers: Answers, words: list[str]) -> None:
    _server, error = run("warm", answers)
    assert error.kind == "api"
    for word in words:
        assert word in str(error)


def test_websockets_that_are_lost(run: Run) -> None:
    """The answer that Jupyter Server 2.21 gave behind an NGINX without the headers."""
    server, error = run("warm", Answers(upgrades=400, upgrade_body=b'Can "Upgrade" only to "WebSocket".'))
    assert error.kind == "websocket" and "proxy_http_version 1.1" in str(error)
    assert not server.running


@pytest.mark.parametrize(
    ("status", "body"), [(404, b""), (403, b""), (400, b"Bad Request"), (500, b"Upgrade")]
)
def test_a_server_that_cannot_tell_about_websockets(run: Run, status: int, body: bytes) -> None:
    _server, result = run("warm", Answers(upgrades=status, upgrade_body=body))
    assert result["websocket"] is None


def test_no_api_check_and_keep_server(run: Run) -> None:
    server, result = run("warm", keep_server=True, check_api=False)
    assert "api" not in result and result["server_stopped"] is False and server.running
    assert [path for path in server.paths("GET") if "/user/" in path] == []
    assert "was kept" in result["warnings"][0]


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (Answers(shutdown_status=404), "HTTP 404 to the shutdown"),
        (Answers(stops=False), "still answering 0 s after the shutdown"),
    ],
)
@pytest.mark.usefixtures("quick")
def test_a_server_that_does_not_go_is_told(run: Run, answers: Answers, words: str) -> None:
    _server, result = run("warm", answers)
    assert result["server_stopped"] is False
    assert words in result["warnings"][0]


@pytest.mark.usefixtures("wary")
def test_a_buffering_proxy(run: Run) -> None:
    """At a speed at which the pauses are still those of a launch; test__arrivals has the long builds."""

    def hold(pieces: Pieces) -> Pieces:
        return held_back(pieces, hangs_up_after=0.5)

    server, error = run("warm", Answers(speed=4), change=hold, fail_when_buffered=True)
    assert error.kind == "buffered" and "proxy_buffering off" in str(error)
    assert not server.running
    _server, result = run("warm", Answers(speed=4), change=hold)
    assert result["buffered"] is True and "held back" in result["warnings"][0]


def test_a_token_of_its_own_spares_the_limit_and_is_not_needed(run: Run) -> None:
    """BinderHub may sign by another secret, or hear itself called by another name."""
    server, result = run("warm", build_token_secret="0f" * 32)
    [asked] = [path for path in server.paths("GET") if "/build/" in path]
    assert "?build_token=ey" in asked
    assert "build_token" not in json.dumps(result)
    refusing = Answers(streams={"build_token=": load_stream("build_token")})
    server, result = run("warm", refusing, build_token_secret="0f" * 32)
    assert ["build_token=" in path for path in server.paths("GET") if "/build/" in path] == [True, False]
    assert result["total_seconds"] > 0
    # One that somebody gave has to be right.
    refusing = Answers(streams={"build_token=": load_stream("build_token")})
    _server, error = run("warm", refusing, build_token="old", build_token_secret="0f" * 32)
    assert error.kind == "build_token"


def test_tokens_are_never_told(run: Run) -> None:
    secret = "build/token+%C3%BC&x"

    def talk(pieces: Pieces) -> Pieces:
        words = f"{TOKEN} {secret} ".encode()
        return [
            (t, body.replace(b"Launching", words).replace(b"Error", words + b"Error")) for t, body in pieces
        ]

    server, result = run(
        "warm", Answers(api_body=json.dumps({"token": TOKEN}).encode()), change=talk, build_token=secret
    )
    assert any("?build_token=build%2Ftoken%2B%25C3%25BC%26x" in path for path in server.paths("GET"))
    _server, no_api = run("warm", Answers(token=secret), change=talk, build_token=secret)
    _server, failed = run("failed_build", change=talk, build_token=secret)
    assert result["api"] == {"token": "***"}
    assert "*** Error during build" in str(failed) and "*** Error during build" in failed.log[-1]
    for error in (no_api, failed):
        for text in (json.dumps(result), str(error), repr(error), json.dumps([error.log, error.facts])):
            # A build that failed has no server, so the text that would be its token is nobody's secret.
            assert secret not in text and (error is failed or TOKEN not in text)


class Recording:
    """A transport and its clock in one: replays a stream without waiting, and knows whether it was closed."""

    status = 200

    def __init__(self, pieces: Pieces) -> None:
        self.headers: Mapping[str, str] = {"content-type": "text/event-stream"}
        self.seconds, self.closed, self.left = 0.0, False, list(pieces)
        self.asked: list[tuple[Any, ...]] = []

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def open(self, url: str, headers: Mapping[str, str], timeout_seconds: float) -> Recording:
        self.asked.append(("STREAM", url))
        return self

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        timeout_seconds: float,
        *,
        body: bytes = b"",
        deadline_seconds: float | None = None,
    ) -> Reply:
        self.asked.append((method, url, self.closed))
        gone = ("POST", f"{url.removesuffix('status')}shutdown", True) in self.asked
        return Reply(404 if url.endswith("versions") or gone else 200, {}, b"{}")

    def websocket(self, url: str, headers: Mapping[str, str], timeout_seconds: float) -> WebSocket:
        raise AssertionError("a recording has no websockets")

    def read(self, timeout_seconds: float) -> bytes:
        if not self.left:
            return b""
        seconds, body = self.left[0]
        if seconds > self.seconds + timeout_seconds:
            self.seconds += timeout_seconds
            raise HttpFailure("silence", "nothing arrived")
        self.seconds = self.left.pop(0)[0]
        return body

    def close(self) -> None:
        self.closed = True

    def launch(self, **request: Any) -> dict[str, Any]:
        asked = LaunchRequest("http://hub.example.org/binderhub/", "gh", "a/b/HEAD", check_kernel=False)
        asked = replace(asked, **request)
        return Launch(asked, self, self).run()


def test_the_measured_seconds_are_exact() -> None:
    recording = Recording(load_stream("cold"))
    result = recording.launch()
    assert result["summary"] == (
        "launch verified in 31.6 s: waiting 1.0 | fetching 0.6 | building 3.9 | pushing 24.1 | launching 2.0"
    )
    assert result["timeline"][3] == {"name": "pushing", "start_seconds": 5.5, "seconds": 24.1}
    assert all(closed for _method, _url, closed in recording.asked[2:]), "the stream was open after ready"


def test_nothing_is_read_after_built_that_follows_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_launch, "LINGER_SECONDS", 60.0)
    recording = Recording(load_stream("failed_old"))
    with pytest.raises(VerifyError, match="went on to say built, launching"):
        recording.launch()
    assert recording.seconds == 3.3 and recording.closed and len(recording.left) == 1


@pytest.mark.parametrize(
    ("request_", "kind", "after"),
    [({"silence_seconds": 10.0}, "silent", 10.4), ({"timeout_seconds": 20.0}, "timeout", 20.0)],
)
def test_the_limits_are_exact(request_: dict[str, float], kind: str, after: float) -> None:
    recording = Recording([*load_stream("silent"), (999.0, b"")])
    with pytest.raises(VerifyError) as caught:
        recording.launch(**request_)
    assert (caught.value.kind, recording.seconds, recording.closed) == (kind, after, True)


def test_a_build_pod_that_is_not_found_is_no_repository() -> None:
    said = [b'data: {"phase": "waiting"}\n\n', b'data: {"phase": "failed", "message": "pod not found"}\n\n']
    with pytest.raises(VerifyError, match="the build did not start") as caught:
        Recording([(1.0, said[0]), (2.0, said[1])]).launch()
    assert caught.value.kind == "build"


def test_redact_takes_the_encoded_form_and_leaves_the_rest() -> None:
    value = {"a": ["x=a%2Fb", ("a/b",), 3, None], "b": "ok"}
    assert redact(value, ["a/b", ""]) == {"a": ["x=***", ["***"], 3, None], "b": "ok"}


@pytest.mark.parametrize(
    ("provider", "spec", "path"),
    [
        ("gh", "binder-examples/requirements/HEAD", "gh/binder-examples/requirements/HEAD"),
        ("gh", "/a/b/feature%2Fx/", "gh/a/b/feature%2Fx"),
        ("git", "http://10.0.0.1/git/x.git/HEAD", "git/http%3A%2F%2F10.0.0.1%2Fgit%2Fx.git/HEAD"),
        ("git", "http%3A%2F%2Fh%2Fx.git/main", "git/http%3A%2F%2Fh%2Fx.git/main"),
        ("zenodo", "10.5281/zenodo.3242074", "zenodo/10.5281/zenodo.3242074"),
        ("gh", "a/b/ü#?", "gh/a/b/%C3%BC%23%3F"),
    ],
)
def test_build_url(provider: str, spec: str, path: str) -> None:
    for url in ("http://h/binderhub/", "http://h/binderhub"):
        assert build_url(LaunchRequest(url, provider, spec)) == f"http://h/binderhub/build/{path}"


@pytest.mark.parametrize(
    ("url", "parent", "expected"),
    [
        ("http://h/jupyterhub/user/x/", "http://h/jupyterhub/", True),
        ("http://H:80/jupyterhub/user/x/", "http://h/jupyterhub", True),
        ("https://h/jupyterhub/user/x/", "https://h:443/jupyterhub/", True),
        ("https://h/jupyterhub/user/x/", "http://h/jupyterhub/", False),
        ("http://h:8080/jupyterhub/user/x/", "http://h/jupyterhub/", False),
        ("http://h/user/x/", "http://h/jupyterhub/", False),
        ("http://h/jupyterhub2/user/x/", "http://h/jupyterhub/", False),
        ("/jupyterhub/user/x/", "http://h/jupyterhub/", False),
    ],
)
def test_is_under(url: str, parent: str, expected: bool) -> None:
    assert is_under(url, parent) is expected
