# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A provider's document, and what is none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpTransport, Reply
from ansible_collections.ironbinder.platform.plugins.module_utils._net.openid import (
    ENDPOINTS,
    DiscoveryError,
    discover,
    discovery_fault,
    discovery_url,
    issuer_fault,
    read_discovery,
)
from web_server import Answer, WebServer

ISSUER = "https://iam.example.org/"


def document(**changes: Any) -> dict[str, Any]:
    told = {key: f"{ISSUER}{key}" for key in ENDPOINTS.values()}
    return {"issuer": ISSUER, **told, "claims_supported": ["sub"], "scopes_supported": ["openid"], **changes}


def read(told: Any, status: int = 200) -> dict[str, Any]:
    return read_discovery(Reply(status, {}, json.dumps(told).encode()))


def test_a_document() -> None:
    told = read(document())
    assert told == {
        "issuer": ISSUER,
        "endpoints": {name: f"{ISSUER}{key}" for name, key in ENDPOINTS.items()},
        "claims": ["sub"],
        "scopes": ["openid"],
    }
    assert discovery_fault(told) == ""


@pytest.mark.parametrize("told", [[], "x", None, {}, {"issuer": 5}])
def test_what_is_no_document(told: Any) -> None:
    assert read(told) == {"error": "is no document of an OpenID provider"}


def test_no_answer_of_use() -> None:
    assert read({}, 404) == {"error": "answers 404"}


@pytest.mark.parametrize("odd", [None, 5, "token", "https://[", "ftp://x/t"])
def test_an_address_that_is_none_is_missing(odd: Any) -> None:
    told = read(document(token_endpoint=odd))
    assert discovery_fault(told) == "names no token_endpoint"


@pytest.mark.parametrize("odd", [None, 5, "sub", {"sub": 1}])
def test_lists_that_are_none_say_nothing(odd: Any) -> None:
    assert read(document(claims_supported=odd))["claims"] == []


@pytest.mark.parametrize(
    ("given", "told", "words"),
    [
        (ISSUER, ISSUER, ""),
        (ISSUER, "https://iam.example.org", "without a slash at the end"),
        ("https://iam.example.org", ISSUER, "with a slash at the end"),
        (ISSUER, "https://IAM.example.org/", "calls itself https://IAM.example.org/"),
    ],
)
def test_the_issuer_is_the_same_to_the_byte(given: str, told: str, words: str) -> None:
    fault = issuer_fault(given, told)
    assert words in fault and bool(fault) == bool(words)


@pytest.mark.parametrize("issuer", ["https://x/realms/a", "https://x/realms/a/"])
def test_where_the_document_is(issuer: str) -> None:
    assert discovery_url(issuer) == "https://x/realms/a/.well-known/openid-configuration"


def test_a_provider_is_asked() -> None:
    path = "/.well-known/openid-configuration"
    with WebServer() as web:
        web.answers[path] = Answer(body=json.dumps(document(issuer=web.url)).encode())
        assert discover(web.url, HttpTransport())["endpoints"]["token_url"] == f"{ISSUER}token_endpoint"
        with pytest.raises(DiscoveryError, match="without a slash"):
            discover(f"{web.url}/", HttpTransport())
        web.answers[path] = Answer(body=json.dumps(document(issuer=web.url, userinfo_endpoint="")).encode())
        with pytest.raises(DiscoveryError, match="names no userinfo_endpoint"):
            discover(web.url, HttpTransport())
        web.answers.clear()
        with pytest.raises(DiscoveryError, match="answers 404"):
            discover(web.url, HttpTransport())
