# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Launches on a hub where people sign in, against a server that answers as JupyterHub 5.5 was seen to."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpTransport
from ansible_collections.ironbinder.platform.plugins.module_utils._verify import account as _account
from ansible_collections.ironbinder.platform.plugins.module_utils._verify import notebook as _notebook
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.errors import VerifyError
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.health import check_health
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.launch import Launch, LaunchRequest
from binder_server import Answers, BinderServer, load_stream

HUB_TOKEN = "e1d2c3b4" * 8
NAME = "ironbinder-verify"
SCOPES = [
    "access:services!service=binder",
    f"access:servers!user={NAME}",
    f"delete:servers!user={NAME}",
]
WHO = {"kind": "service", "name": NAME, "admin": False, "scopes": SCOPES}
Run = Callable[..., tuple[BinderServer, Any]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Launch with a token of the hub; return (server, result or error)."""
    for module in (_account, _notebook):
        monkeypatch.setattr(module, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(_account, "STOP_SECONDS", 0.2)

    def runner(
        owner: str = f"{NAME}/sample-ab12cd34", token: str = HUB_TOKEN, **answers: Any
    ) -> tuple[Any, Any]:
        told = replace(Answers(speed=200, token=HUB_TOKEN, hub_user=WHO), **answers)
        with BinderServer(told) as server:
            pieces = load_stream("warm", server.host, server.host)
            told.pieces = [(at, piece.replace(b"sample-x1y2z3ab", owner.encode())) for at, piece in pieces]
            asked = LaunchRequest(server.url, "gh", "a/b/HEAD", server.hub_url, hub_token=token)
            try:
                return server, Launch(asked, HttpTransport()).run()
            except VerifyError as error:
                return server, error

    return runner


def deleted(server: BinderServer) -> list[tuple[str, str]]:
    """What the hub was asked to stop, each with what else was said."""
    return [
        (path, headers["body"])
        for verb, path, headers in server.seen
        if verb == "DELETE" and "/hub/api/" in path
    ]


@pytest.mark.parametrize(
    ("owner", "place", "body"),
    [
        (f"{NAME}/sample-ab12cd34", "servers/sample-ab12cd34", '{"remove": true}'),
        (NAME, "server", ""),
    ],
)
def test_it_signs_in_everywhere_and_leaves_nothing(run: Run, owner: str, place: str, body: str) -> None:
    server, result = run(owner)
    assert result["server_stopped"] is True and result["api"]["kernels"] == 0 and result["websocket"] is True
    api = f"/jupyterhub/hub/api/users/{NAME}"
    assert deleted(server) == [(f"{api}/server", ""), (f"{api}/{place}", body)]
    signed = [
        path for _, path, headers in server.seen if headers.get("authorization") == f"token {HUB_TOKEN}"
    ]
    assert [path for _, path, _ in server.seen if path not in signed] == ["/binderhub/versions"]
    assert HUB_TOKEN not in json.dumps(result)


def test_a_person_may_lend_a_token(run: Run) -> None:
    """JupyterHub lists what a token may in full; of a hub before 2.0 nothing is listed."""
    _, result = run(
        hub_user={**WHO, "kind": "user", "scopes": ["access:services", "access:servers", "delete:servers"]}
    )
    assert result["server_stopped"] is True
    _, result = run(hub_user={"kind": "user", "name": NAME})
    assert result["server_stopped"] is True


def test_a_server_that_was_left_is_waited_for(run: Run) -> None:
    server, result = run(clear_statuses=[202, 202, 204])
    assert result["server_stopped"] is True and len(deleted(server)) == 4


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"token": "unknown"}, "hub_token", ["does not know", "site_hub_verify_tokens", "HTTP 403"]),
        ({"hub_user": {**WHO, "scopes": SCOPES[1:]}}, "hub_scope", [f"lacks {SCOPES[0]}.", "loadRoles"]),
        ({"hub_user": {**WHO, "scopes": []}}, "hub_scope", [f"lacks {', '.join(SCOPES)}."]),
        (
            {"hub_user": {**WHO, "name": "other"}},
            "hub_scope",
            ["service other lacks access:servers!user=other"],
        ),
        ({"hub_user": {"status": 200}}, "hub", ["does not answer as one", "hub_base_url"]),
        ({"clear_statuses": [404]}, "hub_account", [f"makes the account {NAME}"]),
        ({"clear_statuses": [502]}, "hub", ["HTTP 502"]),
        ({"owner": "a-guest"}, "sign_in_off", ["of a-guest, not of ironbinder-verify", "auth_enabled"]),
        (
            {"status": 403, "content_type": "text/html"},
            "sign_in",
            [f"knows the verifier as {NAME}", "hub_url_local"],
        ),
    ],
)
def test_each_failure_has_its_own_cause(
    run: Run, changes: dict[str, Any], kind: str, words: list[str]
) -> None:
    _, error = run(**changes)
    assert isinstance(error, VerifyError) and error.kind == kind
    assert [word for word in words if word not in str(error)] == []
    assert HUB_TOKEN not in str(error) and HUB_TOKEN not in json.dumps([error.log, error.facts])


def test_without_a_token_binderhub_wants_one(run: Run) -> None:
    server, error = run(token="")
    assert error.kind == "sign_in" and "site_hub_verify_tokens" in str(error)
    assert deleted(server) == []


def test_an_old_binderhub_shows_its_page_to_who_signed_in() -> None:
    with BinderServer(Answers(token=HUB_TOKEN, hub_user=WHO)) as server:
        server.answers.health = (404, None)
        with pytest.raises(VerifyError) as caught:
            check_health(server.url, HttpTransport())
        assert caught.value.kind == "sign_in"
        assert check_health(server.url, HttpTransport(), HUB_TOKEN).ok is True
