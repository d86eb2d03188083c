# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""An upload is begun to learn whether an account may push, and nothing of it stays."""

from __future__ import annotations

import base64
import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpTransport
from ansible_collections.ironbinder.platform.plugins.module_utils._net.registry_push import PushProbe

BASIC = "Basic " + base64.b64encode(b"puller:right").decode()
UPLOADS = "/v2/b/x-probe/blobs/uploads/"


class Registry:
    """A registry that asks for an account in one of two ways, and does with it what it is told."""

    def __init__(
        self, by_token: bool = False, answer: int = 403, anonymous: bool = False, elsewhere: str = ""
    ) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.open: set[str] = set()
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def _say(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
                self.send_response(status)
                for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def _note(self) -> str:
                account = self.headers.get("Authorization", "")
                registry.asked.append((self.command, self.path, account))
                return account

            def do_GET(self) -> None:
                self._say(200 if self._note() == BASIC else 401, {}, json.dumps({"token": "t"}).encode())

            def do_POST(self) -> None:
                account = self._note()
                wanted = "Bearer t" if by_token else BASIC
                if account != wanted and not (anonymous and not account):
                    scope = "repository:b/x-probe:pull,push"
                    bearer = f'Bearer realm="{registry.url}/token",service="r",scope="{scope}"'
                    return self._say(401, {"WWW-Authenticate": bearer if by_token else 'Basic realm="r"'})
                if answer == 202:
                    registry.open.add("one")
                return self._say(
                    answer, {"Location": f"{elsewhere}{UPLOADS}one?_state=s"} if answer == 202 else {}
                )

            def do_DELETE(self) -> None:
                self._note()
                registry.open.discard("one")
                self._say(204)

            def log_message(self, *_: Any) -> None:
                """Keep silent."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> Registry:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def probe(self, password: str = "right") -> dict[str, Any]:
        return PushProbe(HttpTransport(), f"{self.url}/v2/", "puller", password).ask("b/x-probe")


@pytest.fixture(params=[False, True], ids=["basic", "token"])
def by_token(request: pytest.FixtureRequest) -> Iterator[bool]:
    yield request.param


def test_an_account_that_only_pulls(by_token: bool) -> None:
    with Registry(by_token) as registry:
        assert registry.probe()["status"] == 403
        assert {verb for verb, _, _ in registry.asked} == ({"POST", "GET"} if by_token else {"POST"})
        # No password before it is asked for.
        assert registry.asked[0] == ("POST", UPLOADS, "")


def test_an_account_that_may_push_leaves_nothing(by_token: bool) -> None:
    with Registry(by_token, 202) as registry:
        told = registry.probe()
        assert (told["status"], told["anonymous"], told["called_off"], registry.open) == (
            202,
            False,
            True,
            set(),
        )
        verb, place, account = registry.asked[-1]
        assert (verb, place) == ("DELETE", f"{UPLOADS}one?_state=s")
        assert account == ("Bearer t" if by_token else BASIC)
        if by_token:
            assert "scope=repository%3Ab%2Fx-probe%3Apull%2Cpush" in registry.asked[1][1]


def test_a_wrong_password(by_token: bool) -> None:
    with Registry(by_token, 202) as registry:
        told = registry.probe("wrong")
        assert (told["status"], registry.open) == (401, set())
        assert "wrong" not in str(told)


def test_a_registry_for_everybody() -> None:
    with Registry(answer=202, anonymous=True) as registry:
        told = registry.probe()
        assert (told["status"], told["anonymous"], registry.open) == (202, True, set())
        assert all(account == "" for _, _, account in registry.asked)


def test_another_server_is_not_told_the_password() -> None:
    with Registry() as other, Registry(answer=202, elsewhere=other.url) as registry:
        told = registry.probe()
        assert (told["status"], told["called_off"], other.asked) == (202, False, [])


def test_nobody_there() -> None:
    with Registry() as registry:
        pass
    assert registry.probe()["error"] == "other"


def test_from_tls_the_password_goes_to_no_plain_token_server() -> None:
    with Registry() as thief:
        probe = PushProbe(HttpTransport(), "https://registry.example.org/v2/", "puller", "right")
        with pytest.raises(Exception, match="does not speak TLS"):
            probe._token(f'Bearer realm="{thief.url}/token"')
        assert thief.asked == []
