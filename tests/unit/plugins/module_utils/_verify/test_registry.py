# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Whether the registry is why a BinderHub does not begin, by a registry that sends people to a token service."""

from __future__ import annotations

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpTransport
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.registry import registry_trouble
from web_server import Answer, WebServer


def trouble(registry: WebServer, challenge: str) -> str:
    registry.answers["/v2/"] = Answer(401, {"WWW-Authenticate": challenge})
    return registry_trouble(f"{registry.url}/", registry.url, HttpTransport())


@pytest.mark.parametrize("status", [200, 400, 401, 403])
def test_a_token_service_that_answers_is_no_trouble(status: int) -> None:
    with WebServer({"/token": Answer(status)}) as registry:
        assert trouble(registry, f'Bearer realm="{registry.url}/token",service="r"') == ""
        assert [asked.target for asked in registry.asked] == ["/health", "/v2/", "/token"]
        assert not any("authorization" in asked.headers for asked in registry.asked)


def test_a_token_service_that_is_ill() -> None:
    with WebServer({"/token": Answer(502)}) as registry:
        told = trouble(registry, f'Bearer realm="{registry.url}/token",service="r"')
    assert told == f"the registry's token service answers HTTP 502 at {registry.url}/token"


@pytest.mark.parametrize("realm", ["http://127.0.0.1:9/token?a=secret", "nowhere", ""])
def test_a_token_service_that_is_not_there(realm: str) -> None:
    with WebServer() as registry:
        told = trouble(registry, f'Bearer realm="{realm}"')
    assert told.startswith(f"the registry's token service does not answer at {realm.partition('?')[0]}: ")
    assert "secret" not in told


def test_a_registry_that_asks_by_itself_has_no_token_service() -> None:
    with WebServer() as registry:
        assert trouble(registry, 'Basic realm="r"') == ""
        assert [asked.target for asked in registry.asked] == ["/health", "/v2/"]
