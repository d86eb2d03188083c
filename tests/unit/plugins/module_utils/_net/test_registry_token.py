# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A token service is asked as BinderHub asks it, and tells whether it gave a token."""

from __future__ import annotations

import base64
from urllib.parse import parse_qsl, urlsplit

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpTransport
from ansible_collections.ironbinder.platform.plugins.module_utils._net.registry_token import (
    ask_for_token,
    challenge_fields,
)
from web_server import Answer, WebServer

SCOPE = "scope=repository%3Ao%2Fx%3Apull&service=container_registry"


@pytest.mark.parametrize(
    ("body", "token"),
    [
        (b'{"token": "t"}', True),
        (b'{"access_token": "t"}', True),
        (b'{"token": ""}', False),
        (b'{"token": {"a": 1}}', False),
        (b'["token"]', False),
        (b"<html>sign in</html>", False),
        (b"", False),
    ],
)
def test_what_is_a_token(body: bytes, token: bool) -> None:
    with WebServer({f"/t?{SCOPE}": Answer(200, {}, body)}) as service:
        told = ask_for_token(HttpTransport(), f"{service.url}/t", "o/x", "robot$p+b", "se$cret")
    assert told == {"url": f"{service.url}/t", "status": 200, "token": token}


def test_it_is_asked_for_one_image_and_the_services_own_name_comes_first() -> None:
    with WebServer() as service:
        told = ask_for_token(
            HttpTransport(), f"{service.url}/t?service=harbor-registry", "o/x", "robot$p+b", "s$"
        )
        [asked] = service.asked
    assert (told["status"], told["token"]) == (404, False)
    assert parse_qsl(urlsplit(asked.target).query) == [
        ("service", "harbor-registry"),
        ("scope", "repository:o/x:pull"),
        ("service", "container_registry"),
    ]
    assert base64.b64decode(asked.headers["authorization"].removeprefix("Basic ")) == b"robot$p+b:s$"


def test_the_password_follows_no_redirect() -> None:
    with WebServer() as thief, WebServer() as service:
        service.answers[f"/t?{SCOPE}"] = Answer(302, {"Location": f"{thief.url}/steal"})
        told = ask_for_token(HttpTransport(), f"{service.url}/t", "o/x", "b", "secret")
        assert (told["status"], told["token"], thief.asked) == (302, False, [])


def test_nobody_there() -> None:
    with WebServer() as service:
        pass
    told = ask_for_token(HttpTransport(), f"{service.url}/t?a=secret", "o/x", "b", "secret")
    assert (told["url"], told["error"]) == (f"{service.url}/t", "other")
    assert "secret" not in str(told)


def test_what_a_registry_asks_for() -> None:
    told = 'Bearer realm="https://r/t?x=1",service="s",scope="repository:o/x:pull,push",error="invalid"'
    fields = challenge_fields(told)
    assert (fields["realm"], fields["service"], fields["scope"]) == (
        "https://r/t?x=1",
        "s",
        "repository:o/x:pull,push",
    )
    assert challenge_fields("Basic realm=x") == {}
