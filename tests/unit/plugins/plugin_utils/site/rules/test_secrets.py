# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/secrets.py by a bad site of its own."""

from __future__ import annotations

import pytest
from site_cases import GONE, Case, case, file, found, rules_in, secret

CASES = [
    case(
        "empty secret for build tokens",
        {"secrets/values/site_hub_build_token_secrets.binder": secret(empty=True, length=0)},
    ),
    case(
        "short secret for build tokens",
        {"secrets/values/site_hub_build_token_secrets.binder": secret(length=32)},
        ("token-malformed", "site_hub_build_token_secrets.binder", ""),
    ),
    case(
        "no token",
        {"secrets/values/site_hub_api_tokens.binder": GONE},
        ("token-missing", "site_hub_api_tokens.binder", ""),
    ),
    case(
        "tokens that cannot be computed",
        {
            "secrets/values/site_hub_api_tokens.binder": GONE,
            "errors": [{"variable": "site_hub_api_tokens", "host": "", "message": "x"}],
        },
        ("value-not-computable", "site_hub_api_tokens", ""),
    ),
    case(
        "empty token",
        {"secrets/values/site_hub_api_tokens.binder": secret(empty=True, length=0)},
        ("token-missing", "site_hub_api_tokens.binder", ""),
    ),
    case(
        "short token",
        {"secrets/values/site_hub_api_tokens.binder": secret(length=32)},
        ("token-malformed", "site_hub_api_tokens.binder", ""),
    ),
    case(
        "token not in hex",
        {"secrets/values/site_hub_api_tokens.binder": secret(hex=False)},
        ("token-malformed", "site_hub_api_tokens.binder", ""),
    ),
    case(
        "changeme",
        {"secrets/values/site_registry_password": secret(default=True)},
        ("secret-default", "site_registry_password", ""),
    ),
    case(
        "password that is a number",
        {"secrets/values/site_registry_password": secret(text=False, length=0)},
        ("secret-not-text", "site_registry_password", ""),
    ),
    case(
        "short password",
        {"secrets/values/site_registry_password": secret(length=5)},
        ("password-short", "site_registry_password", ""),
    ),
    case(
        "token of a hub that is gone",
        {"secrets/values/site_hub_api_tokens.old": secret()},
        ("token-of-no-hub", "site_hub_api_tokens.old", ""),
    ),
    case(
        "one token for both",
        {"secrets/equal": [["site_hub_proxy_tokens.binder", "site_hub_api_tokens.binder"]]},
        ("secrets-equal", "site_hub_api_tokens.binder", ""),
    ),
    case(
        "staging's token",
        {"secrets/shared": [{"variable": "site_hub_api_tokens.binder", "site": "staging"}]},
        ("secrets-shared", "site_hub_api_tokens.binder", ""),
    ),
    case(
        "world-readable secrets",
        file(mode=0o644, encrypted=False, tracked=None),
        ("secrets-file-readable", "secrets.yml", ""),
    ),
    case("secrets in git", file(encrypted=False), ("secrets-file-in-git", "secrets.yml", "")),
    case(
        "secrets almost in git",
        file(encrypted=False, tracked=False),
        ("secrets-file-not-ignored", "secrets.yml", ""),
    ),
    case(
        "readable vault.yml",
        {
            "secrets/files/0/path": "/site/group_vars/all/vault.yml",
            **file(mode=0o640, encrypted=False, tracked=None),
        },
        ("secrets-file-readable", "vault.yml", ""),
    ),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("secrets") <= {rule for entry in CASES for rule, _, _ in entry.expected}
