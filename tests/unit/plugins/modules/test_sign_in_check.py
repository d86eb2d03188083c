# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The whole module against a hub and its provider."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbinder.platform.plugins.module_utils._net.openid import ENDPOINTS
from ansible_collections.ironbinder.platform.plugins.modules import sign_in_check
from web_server import Answer, WebServer

SECRET = "cl13nt-s3cr3t"
CALLBACK = "https://binder.example.org/jupyterhub/hub/oauth_callback"
DOCUMENT = "/.well-known/openid-configuration"


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer() as server:
        authorize = f"/auth?redirect_uri={quote(CALLBACK, safe='')}"
        told = {"issuer": server.url, **{key: f"{server.url}/{key}" for key in ENDPOINTS.values()}}
        server.answers |= {
            "/binderhub/": Answer(302, {"Location": "/jupyterhub/hub/login"}),
            "/jupyterhub/hub/login": Answer(),
            "/jupyterhub/hub/oauth_login": Answer(302, {"Location": f"{server.url}{authorize}"}),
            authorize: Answer(),
            DOCUMENT: Answer(body=json.dumps(told).encode()),
            "/token_endpoint": Answer(400, body=b'{"error": "invalid_grant"}'),
        }
        yield server


def run(capsys: pytest.CaptureFixture[str], web: WebServer, **args: Any) -> dict[str, Any]:
    given = {
        "url": f"{web.url}/binderhub/",
        "hub_url": f"{web.url}/jupyterhub/",
        "callback_url": CALLBACK,
        "issuer": web.url,
        "client_id": "binder",
        "client_secret": SECRET,
    }
    with patch_module_args({**given, **args}), pytest.raises(SystemExit):
        sign_in_check.main()
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert SECRET not in json.dumps({key: told for key, told in answer.items() if key != "invocation"})
    return answer


def test_all_is_well(capsys: pytest.CaptureFixture[str], web: WebServer) -> None:
    told = run(capsys, web)
    assert (told["changed"], told["client"], told["login_url"]) == (
        False,
        True,
        f"{web.url}/jupyterhub/hub/login",
    )


def test_check_mode_asks_nobody(capsys: pytest.CaptureFixture[str], web: WebServer) -> None:
    assert run(capsys, web, _ansible_check_mode=True)["skipped"] is True
    assert web.asked == []


def test_a_provider_that_cannot_be_reached_from_here_is_not_asked(
    capsys: pytest.CaptureFixture[str], web: WebServer
) -> None:
    assert run(capsys, web, issuer="")["client"] is None
    assert {asked.target for asked in web.asked} == {
        "/binderhub/",
        "/jupyterhub/hub/login",
        "/jupyterhub/hub/oauth_login",
    }


def test_a_secret_that_has_expired(capsys: pytest.CaptureFixture[str], web: WebServer) -> None:
    web.answers["/token_endpoint"] = Answer(
        401, body=json.dumps({"error": "invalid_client", "error_description": SECRET}).encode()
    )
    told = run(capsys, web)
    assert told["failed"] and told["kind"] == "client_secret"


def test_a_provider_of_no_use(capsys: pytest.CaptureFixture[str], web: WebServer) -> None:
    del web.answers[DOCUMENT]
    told = run(capsys, web)
    assert told["kind"] == "provider" and "answers 404" in told["msg"]
