# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/accounts.py by a bad site of its own."""

from __future__ import annotations

import pytest
from site_cases import Case, case, found, rules_in, texts, value

PUSH, LOGIN = (f"hosts/head1/probe/urls/registry_pull_{kind}" for kind in ("push", "login"))
ANSWER = {"url": "https://192.0.2.41:5000/v2/", "status": 202, "anonymous": False, "called_off": True}
NOT_OURS: dict[str, list[object]] = {"groups/registry": []}
PUSHES = ("registry-pull-account-pushes", "site_registry_pull_username", "head1")
CASES = [
    case(
        "one account",
        {"values/site_registry_pull_username": "", "secrets/values/site_registry_pull_password/empty": True},
        ("registry-one-account", "site_registry_pull_username", ""),
    ),
    case(
        "no password",
        {"secrets/values/site_registry_pull_password/empty": True},
        ("registry-pull-account-incomplete", "site_registry_pull_password", ""),
    ),
    value(
        "no name",
        "site_registry_pull_username",
        "",
        ("registry-pull-account-incomplete", "site_registry_pull_username", ""),
        ("registry-one-account", "site_registry_pull_username", ""),
    ),
    value(
        "the same account",
        "site_registry_pull_username",
        "Binder",
        ("registry-pull-account-same", "site_registry_pull_username", ""),
    ),
    value(
        "an odd name",
        "site_registry_pull_username",
        "robot$binder+pull",
        ("registry-account-name-malformed", "site_registry_pull_username", ""),
    ),
    case(
        "an odd name at somebody's registry",
        {**NOT_OURS, "values/site_registry_pull_username": "robot$pull"},
        running=True,
    ),
    case(
        "a wrong password at somebody's registry",
        {**NOT_OURS, LOGIN: {**ANSWER, "status": 401}},
        ("registry-pull-login-refused", "site_registry_pull_password", "head1"),
        running=True,
    ),
    # The run that finds it is the one that makes it.
    case("our own registry does not know the account yet", {LOGIN: {**ANSWER, "status": 401}}, running=True),
    case("it may push", {**NOT_OURS, PUSH: ANSWER}, PUSHES, running=True),
    # A run closes it, so no run is refused for it.
    case(
        "the gate of our own is open", {PUSH: ANSWER}, ("registry-own-gate-open", *PUSHES[1:]), running=True
    ),
    case("anybody may", {**NOT_OURS, PUSH: {**ANSWER, "anonymous": True}}, PUSHES, running=True),
    case("nobody answered", {PUSH: {"url": "x", "error": "other", "detail": "timed out"}}, running=True),
    case("it may not", {PUSH: {**ANSWER, "status": 401}}, running=True),
]


def test_an_upload_that_stays_is_told() -> None:
    stays = case("stays", {**NOT_OURS, PUSH: {**ANSWER, "called_off": False}}, running=True).site()
    [text] = texts(stays, PUSHES[0])
    assert "could not be called off" in text
    gone = case("gone", {**NOT_OURS, PUSH: ANSWER}, running=True).site()
    assert "called off" not in texts(gone, PUSHES[0])[0]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("accounts") <= {rule for entry in CASES for rule, _, _ in entry.expected}
