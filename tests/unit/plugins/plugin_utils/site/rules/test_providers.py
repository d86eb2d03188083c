# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/providers.py by a bad site of its own."""

from __future__ import annotations

from typing import Any

import pytest
from site_cases import Case, Found, case, found, rules_in, secret, texts

ISSUER = "https://iam.example.org/"
AUTH = {
    "kind": "oidc",
    "issuer": ISSUER,
    "client_id": "binder",
    "groups_claim": "groups",
    "allowed_groups": ["escape/binder"],
}
ANSWER = {
    "url": f"{ISSUER}.well-known/openid-configuration",
    "issuer": ISSUER,
    "endpoints": {name: f"{ISSUER}{name}" for name in ("authorize_url", "token_url", "userdata_url")},
    "claims": ["sub", "preferred_username", "groups"],
    "scopes": ["openid", "profile", "email"],
}
NODE = "hosts/head1/probe/urls/provider_binder"
AT = "site_hubs.binder.auth"


def provider(
    name: str, changes: dict[str, Any], *expected: Found, auth: dict[str, Any] | None = None
) -> Case:
    """A site whose provider answers like this."""
    return case(
        name,
        {
            "values/site_hubs": {"binder": {"auth": {**AUTH, **(auth or {})}}},
            "secrets/values/site_hub_verify_tokens.binder": secret(),
            "secrets/values/site_hub_auth_secrets.binder.client_secret": secret(),
            "controller/providers": {"binder": ANSWER},
            **changes,
        },
        *expected,
    )


SILENT = {"url": ANSWER["url"], "error": "cannot be reached: Connection refused"}
CASES = [
    provider("all is well", {NODE: {"url": ANSWER["url"], "status": 200}}),
    provider("silent", {"controller/providers/binder": SILENT}, ("provider-unusable", f"{AT}.issuer", "")),
    provider(
        "silent for the node as well",
        {"controller/providers/binder": SILENT, NODE: {"url": ANSWER["url"], "error": "refused"}},
        ("provider-unusable", f"{AT}.issuer", ""),
    ),
    provider(
        "without an address for tokens",
        {"controller/providers/binder/endpoints": {"authorize_url": ISSUER, "userdata_url": ISSUER}},
        ("provider-unusable", f"{AT}.issuer", ""),
    ),
    provider(
        "a slash at the end",
        {"controller/providers/binder/issuer": ISSUER.rstrip("/")},
        ("provider-issuer-differs", f"{AT}.issuer", ""),
    ),
    provider(
        "somebody else",
        {"controller/providers/binder/issuer": "https://other.example.org/"},
        ("provider-issuer-differs", f"{AT}.issuer", ""),
    ),
    provider(
        "no groups",
        {"controller/providers/binder/claims": ["sub", "preferred_username"]},
        ("provider-claim-unknown", f"{AT}.groups_claim", ""),
    ),
    provider("says nothing of claims", {"controller/providers/binder/claims": []}),
    provider(
        "a scope that it lacks",
        {"controller/providers/binder/scopes": ["openid", "profile"]},
        ("provider-claim-unknown", f"{AT}.scopes", ""),
    ),
    provider("a claim in a claim", {}, auth={"groups_claim": "groups.names"}),
    provider(
        "the node does not reach it",
        {NODE: {"url": ANSWER["url"], "error": "timeout", "detail": "timed out"}},
        ("provider-unreachable-from-node", f"{AT}.issuer", ""),
    ),
    provider(
        "the node does not trust it",
        {NODE: {"url": ANSWER["url"], "error": "untrusted", "detail": "self-signed"}},
        ("provider-unreachable-from-node", f"{AT}.issuer", ""),
    ),
    provider(
        "the node gets a page of its proxy",
        {NODE: {"url": ANSWER["url"], "status": 403}},
        ("provider-unreachable-from-node", f"{AT}.issuer", ""),
    ),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("providers") <= {rule for entry in CASES for rule, _, _ in entry.expected}


def test_a_slash_is_named() -> None:
    [told] = texts(CASES[4].site(), "provider-issuer-differs")
    assert "without a slash at the end" in told and "write https://iam.example.org" in told
