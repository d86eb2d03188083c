# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A build token as BinderHub makes it, by a token that PyJWT 2.15 made of the same."""

from __future__ import annotations

import base64
import json

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.build_token import (
    LIVES_SECONDS,
    sign,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.launch_request import (
    LaunchRequest,
    signed_token,
)

SECRET = "0f" * 32
MADE = ".".join(
    (
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9",
        "eyJleHAiOjE4MDAwMDAzMDAsImF1ZCI6ImdpdC9odHRwcyUzQSUyRiUyRmdpdC5leGFtcGx"
        "lLm9yZyUyRmhlbGxvLmdpdC9tYWluIiwib3JpZ2luIjoiYmluZGVyLmV4YW1wbGUub3JnIn0",
        "mNKdPCQ58Qtmpx9E0i6MSQR2xSs5_97fionEa7NAnAo",
    )
)


def claims(token: str) -> dict[str, object]:
    """What a token says."""
    body = token.split(".")[1]
    told: dict[str, object] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return told


def test_it_is_what_binderhub_makes() -> None:
    spec = "https%3A%2F%2Fgit.example.org%2Fhello.git/main"
    assert sign(bytes.fromhex(SECRET), "git", spec, "binder.example.org", 1_800_000_000.9) == MADE
    assert claims(MADE) == {
        "exp": 1_800_000_000 + LIVES_SECONDS,
        "aud": f"git/{spec}",
        "origin": "binder.example.org",
    }


def test_it_is_for_the_path_and_the_host_of_the_request() -> None:
    request = LaunchRequest(
        "https://binder.example.org:8443/binderhub/",
        "git",
        "https://git.example.org/hello.git/main",
        build_token_secret=SECRET,
    )
    told = claims(signed_token(request, 0))
    assert told["aud"] == "git/https%3A%2F%2Fgit.example.org%2Fhello.git/main"
    assert told["origin"] == "binder.example.org:8443"


@pytest.mark.parametrize("secret", ["", "no digits", "0f0"])
def test_without_a_secret_there_is_none(secret: str) -> None:
    assert (
        signed_token(LaunchRequest("https://b.example.org", "gh", "a/b/c", build_token_secret=secret), 0)
        == ""
    )
