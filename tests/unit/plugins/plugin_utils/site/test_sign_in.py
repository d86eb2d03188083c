# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What is read out of a hub's `auth`, whatever stands there."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.providers import (
    callback_lines,
    providers_of,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.sign_in import (
    AUTH_DEFAULTS,
    KINDS,
    auth_of,
    has_provider,
    issuers,
    signs_in,
)

ISSUER = "https://iam.example.org/"


@pytest.mark.parametrize("given", [None, {}, "oidc", ["oidc"], 5, {"kind": None}])
def test_without_a_kind_nobody_signs_in(given: Any) -> None:
    assert auth_of(given) == AUTH_DEFAULTS
    assert not signs_in({"auth": given})


@pytest.mark.parametrize("kind", ["oicd", ["oidc"], {"oidc": 1}, 5])
def test_a_kind_that_is_none_is_no_sign_in(kind: Any) -> None:
    assert not signs_in({"auth": {"kind": kind}}) and not has_provider({"auth": {"kind": kind}})


def test_defaults_are_of_the_kind() -> None:
    assert auth_of({"kind": "oidc"})["scopes"] == ["openid", "profile", "email"]
    assert auth_of({"kind": "oidc", "scopes": ["openid"]})["scopes"] == ["openid"]
    assert auth_of({"kind": "github"})["scopes"] == []


def test_every_key_that_a_kind_reads_has_a_default() -> None:
    assert {key for kind in KINDS.values() for key in kind.keys} == set(AUTH_DEFAULTS)


def test_whom_to_ask() -> None:
    """Who names the addresses, or has no provider of this kind, asks nobody; what is no URL cannot be asked."""
    hubs: dict[str, dict[str, Any]] = {
        "a": {"auth": {"kind": "oidc", "issuer": ISSUER}},
        "b": {"auth": {"kind": "oidc", "issuer": ISSUER, "endpoints": {"token_url": "https://x/"}}},
        "c": {"auth": {"kind": "gitlab", "issuer": ISSUER}},
        "d": {"auth": {"kind": "oidc", "issuer": "iam.example.org"}},
        "e": {},
        "f": {"auth": {"kind": "oidc", "issuer": "https://u:p@iam.example.org/"}},
    }
    assert list(issuers(hubs)) == ["a", "d", "f"]
    assert providers_of(Site(values={"site_hubs": hubs})) == {"a": ISSUER}


def test_what_to_register_is_shown() -> None:
    hubs = {"binder": {}, "private": {"auth": {"kind": "github"}}, "own": {"auth": {"kind": "native"}}}
    site = Site(values={"site_hubs": hubs, "site_public_url": "https://binder.example.org/"})
    [line] = callback_lines(site)
    assert line.startswith(
        "callback  https://binder.example.org/private/jupyterhub/hub/oauth_callback  (of the hub private,"
    )
