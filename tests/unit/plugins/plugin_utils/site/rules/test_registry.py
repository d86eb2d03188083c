# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/registry.py by a bad site of its own."""

from __future__ import annotations

import pytest
from site_cases import ANSWER, OWN_LOGIN, Case, case, found, registry_answers, rules_in, value

CASES = [
    value(
        "registry with a scheme",
        "site_registry_host",
        "https://192.0.2.41:5000",
        ("registry-host-has-scheme", "site_registry_host", ""),
    ),
    value(
        "registry with a path",
        "site_registry_host",
        "192.0.2.41/images",
        ("registry-host-malformed", "site_registry_host", ""),
    ),
    value(
        "registry with a bad port",
        "site_registry_host",
        "192.0.2.41:99999",
        ("registry-host-malformed", "site_registry_host", ""),
    ),
    value(
        "prefix without a level",
        "site_registry_prefix",
        "stfc-",
        ("registry-prefix-without-level", "site_registry_prefix", ""),
    ),
    value(
        "prefix whose level is empty",
        "site_registry_prefix",
        "/stfc-",
        ("registry-prefix-without-level", "site_registry_prefix", ""),
    ),
    value(
        "prefix with capitals",
        "site_registry_prefix",
        "Binder/stfc-",
        ("registry-prefix-malformed", "site_registry_prefix", ""),
    ),
    value(
        "prefix with the registry",
        "site_registry_prefix",
        "192.0.2.41:5000/b/x-",
        ("registry-prefix-malformed", "site_registry_prefix", ""),
    ),
    case(
        "registry is down",
        registry_answers(error="timeout", detail="timed out"),
        ("registry-unreachable", "site_registry_host", "worker1"),
        running=True,
    ),
    case(
        "registry behind a web server",
        registry_answers(status=301, redirect="https://www.example.org/v2"),
        ("registry-redirects", "site_registry_host", "worker1"),
        running=True,
    ),
    case(
        "token server redirects",
        {OWN_LOGIN: {**ANSWER, "status": 307, "login": "https://auth/token", "redirect": "https://sso/"}},
        ("registry-login-fails", "site_registry_host", "worker1"),
        running=True,
    ),
    case(
        "token server without TLS",
        {OWN_LOGIN: {"url": "x", "error": "other", "detail": "does not speak TLS", "login": "http://auth/"}},
        ("registry-login-fails", "site_registry_host", "worker1"),
        running=True,
    ),
    case(
        "no registry there",
        registry_answers(status=404),
        ("registry-is-none", "site_registry_host", "worker1"),
        running=True,
    ),
    case(
        "registry of another CA",
        {"groups/registry": [], **registry_answers(error="untrusted", detail="self-signed")},
        ("registry-ca-not-trusted", "site_ca_files", "worker1"),
        running=True,
    ),
    case(
        "registry without TLS",
        {"groups/registry": [], **registry_answers(error="not-tls", detail="wrong version")},
        ("registry-plain-http", "site_registry_plain_http_enabled", "worker1"),
        running=True,
    ),
    value(
        "password over plain HTTP",
        "site_registry_plain_http_enabled",
        True,
        ("registry-plain-http-password", "site_registry_plain_http_enabled", ""),
    ),
    case(
        "wrong password",
        {"groups/registry": [], OWN_LOGIN: {**ANSWER, "status": 401}},
        ("registry-login-refused", "site_registry_password", "worker1"),
        running=True,
    ),
    # What a run puts right is no reason to refuse it: passwords change, and services die.
    case(
        "own registry with another password",
        {OWN_LOGIN: {**ANSWER, "status": 401}},
        ("registry-own-differs", "site_registry_password", "worker1"),
        running=True,
    ),
    case(
        "own registry down behind its gate",
        registry_answers(status=502),
        ("registry-own-differs", "site_registry_host", "worker1"),
        running=True,
    ),
    case(
        "own registry before it gets another certificate",
        registry_answers(error="untrusted", detail="self-signed"),
        ("registry-own-differs", "site_registry_host", "worker1"),
        running=True,
    ),
    case(
        "own registry before it gets a certificate",
        registry_answers(error="not-tls", detail="wrong version"),
        ("registry-own-differs", "site_registry_host", "worker1"),
        running=True,
    ),
    case(
        "somebody's registry is down behind a gate",
        {"groups/registry": [], **registry_answers(status=502)},
        ("registry-is-none", "site_registry_host", "worker1"),
        running=True,
    ),
    case(
        "somebody's registry wants an account",
        {
            **registry_answers(status=401, challenge="Basic realm=x"),
            "groups/registry": [],
            "values/site_registry_username": "",
            "secrets/values/site_registry_password/empty": True,
        },
        ("registry-wants-login", "site_registry_username", "head1 and 2 more"),
        running=True,
    ),
    value(
        "password without a user",
        "site_registry_username",
        "",
        ("registry-account-incomplete", "site_registry_username", ""),
    ),
    case(
        "own registry for everybody",
        {"values/site_registry_username": "", "secrets/values/site_registry_password/empty": True},
        ("registry-own-without-account", "site_registry_username", ""),
    ),
    value(
        "prefix with a level that ends in a hyphen",
        "site_registry_prefix",
        "a-/b-",
        ("registry-prefix-malformed", "site_registry_prefix", ""),
    ),
    value(
        "prefix with two dots",
        "site_registry_prefix",
        "binder/a..b",
        ("registry-prefix-malformed", "site_registry_prefix", ""),
    ),
    case(
        "user without a password",
        {"secrets/values/site_registry_password/empty": True},
        ("registry-account-incomplete", "site_registry_password", ""),
    ),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("registry") <= {rule for entry in CASES for rule, _, _ in entry.expected}
