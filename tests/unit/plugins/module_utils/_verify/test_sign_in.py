# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The way to a login, and a provider that looks at a client: each way in which a person would be stuck, by its own cause."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpTransport
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.errors import VerifyError
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.sign_in import (
    SignInCheck,
    check_sign_in,
)
from web_server import Answer, WebServer

BINDER, HUB = "/binderhub/", "/jupyterhub/"
LOGIN, OAUTH = f"{HUB}hub/login?next=x", f"{HUB}hub/api/oauth2/authorize?client_id=service-binder"
BEGIN, TOKEN = f"{HUB}hub/oauth_login", "/provider/token"
SECRET = "cl13nt s3cr3t+%"


def to(target: str) -> Answer:
    return Answer(302, {"Location": target})


class Site:
    """BinderHub, its hub and a provider, as JupyterHub 5.5 and oauthenticator 17 were seen to answer."""

    def __init__(self, web: WebServer) -> None:
        self.web = web
        self.callback = f"{web.url}{HUB}hub/oauth_callback"
        self.authorize = f"/provider/auth?{urlencode({'client_id': 'binder', 'redirect_uri': self.callback})}"
        refused = json.dumps({"error": "invalid_grant", "error_description": "no such code"}).encode()
        web.answers |= {
            BINDER: to(OAUTH),
            OAUTH: to(LOGIN),
            LOGIN: Answer(body=b"<a href='/jupyterhub/hub/oauth_login'>Sign in with iam.example.org</a>"),
            BEGIN: to(f"{web.url}{self.authorize}"),
            self.authorize: Answer(303, {"Location": "/provider/interaction/1"}),
            TOKEN: Answer(400, body=refused),
        }

    def check(self, **changes: Any) -> Any:
        given = {"callback_url": self.callback, "client_id": "binder", "client_secret": SECRET, **changes}
        network = HttpTransport()
        try:
            return check_sign_in(
                SignInCheck(self.web.url + BINDER, self.web.url + HUB, **given),
                network,
                network,
                self.web.url + TOKEN,
            )
        except VerifyError as error:
            return error


@pytest.fixture
def site() -> Iterator[Site]:
    with WebServer() as web:
        yield Site(web)


def test_a_person_would_come_in(site: Site) -> None:
    assert site.check() == {"login_url": f"{site.web.url}{HUB}hub/login", "client": True}
    [tried] = [asked for asked in site.web.asked if asked.target == TOKEN]
    shown = tried.headers["authorization"]
    assert b"grant_type=authorization_code" in tried.body and SECRET.encode() not in tried.body
    assert base64.b64decode(shown.removeprefix("Basic ")) == b"binder:cl13nt+s3cr3t%2B%25"


def test_where_there_is_no_provider_nobody_asks_one(site: Site) -> None:
    assert site.check(callback_url="", client_secret="")["client"] is None
    assert [asked.target for asked in site.web.asked] == [BINDER, OAUTH, LOGIN]


def test_a_secret_that_is_not_given_is_not_tried(site: Site) -> None:
    assert site.check(client_secret="")["client"] is None
    assert TOKEN not in [asked.target for asked in site.web.asked]


def test_a_hub_may_send_people_to_their_provider_at_once(site: Site) -> None:
    site.web.answers[LOGIN] = to("https://iam.example.org/auth?state=x")
    assert site.check()["login_url"] == "https://iam.example.org/auth"


def oauth_error(status: int, error: str) -> Answer:
    return Answer(status, body=json.dumps({"error": error, "error_description": f"it is {SECRET}?"}).encode())


FAULTS: list[tuple[str, Any, str, list[str]]] = [
    (BINDER, Answer(body=b"<title>Binder</title>"), "sign_in_off", ["did not sign in", "auth_enabled"]),
    (LOGIN, to(OAUTH), "sign_in_loop", ["round and round", "/hub/login -> ", "base_url"]),
    (LOGIN, to(BINDER), "sign_in_loop", ["round and round"]),
    (LOGIN, Answer(500), "sign_in", ["login page", "HTTP 500", "hub's log"]),
    (OAUTH, Answer(403), "sign_in", ["HTTP 403"]),
    (BEGIN, Answer(404), "sign_in", ["does not send people", "auth.kind"]),
    (
        BEGIN,
        to("/provider/auth?redirect_uri=https%3A%2F%2Fold.example.org%2F"),
        "callback",
        ["https://old.example.org/"],
    ),
    (
        "authorize",
        oauth_error(400, "invalid_client"),
        "client",
        ["HTTP 400", "client_id binder", "hub/oauth_callback"],
    ),
    ("authorize", to("/back?error=invalid_scope"), "client", ["invalid_scope"]),
    (
        TOKEN,
        oauth_error(401, "invalid_client"),
        "client_secret",
        ["invalid_client", "may have expired", "client_secret"],
    ),
    (TOKEN, oauth_error(400, "unauthorized_client"), "client_secret", ["unauthorized_client"]),
    (TOKEN, oauth_error(400, "invalid_request"), "client_secret", ["invalid_request"]),
    (TOKEN, Answer(401), "client_secret", ["HTTP 401"]),
]


@pytest.mark.parametrize(
    ("place", "answer", "kind", "words"), FAULTS, ids=[f"{p} {k}" for p, _, k, _ in FAULTS]
)
def test_each_fault_has_its_own_cause(
    site: Site, place: str, answer: Answer, kind: str, words: list[str]
) -> None:
    site.web.answers[site.authorize if place == "authorize" else place] = answer
    error = site.check()
    assert isinstance(error, VerifyError) and error.kind == kind
    assert [word for word in words if word not in str(error)] == []


def test_nobody_there() -> None:
    with pytest.raises(VerifyError) as caught:
        check_sign_in(
            SignInCheck("http://127.0.0.1:1/binderhub/", "http://127.0.0.1:1/jupyterhub/"), HttpTransport()
        )
    assert caught.value.kind == "unreachable"
