# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/tls.py by a bad site of its own."""

from __future__ import annotations

import pytest
from site_cases import DAY, NOW, Case, case, found, rules_in, tls, value

CASES = [
    value(
        "no certificate",
        "site_proxy_tls_certificate_file",
        "",
        ("tls-files-missing", "site_proxy_tls_certificate_file", ""),
    ),
    case(
        "unreadable key",
        tls(key_error="proxy.key: No such file"),
        ("tls-file-unreadable", "site_proxy_tls_key_file", ""),
    ),
    case("another key", tls(key_matches=False), ("tls-key-mismatch", "site_proxy_tls_key_file", "")),
    case("readable key", tls(key_mode=0o644), ("tls-key-readable", "site_proxy_tls_key_file", "")),
    case(
        "expired certificate",
        tls(not_after=NOW - DAY),
        ("tls-expired", "site_proxy_tls_certificate_file", ""),
    ),
    case(
        "certificate of tomorrow",
        tls(not_before=NOW + DAY),
        ("tls-expired", "site_proxy_tls_certificate_file", ""),
    ),
    case(
        "certificate of this week",
        tls(not_after=NOW + 5 * DAY),
        ("tls-expires-soon", "site_proxy_tls_certificate_file", ""),
    ),
    case(
        "certificate of another name",
        tls(names=["other.example.org"]),
        ("tls-name-missing", "site_proxy_tls_certificate_file", ""),
    ),
    case(
        "incomplete chain",
        tls(chain_missing="CN=Intermediate"),
        ("tls-chain-incomplete", "site_proxy_tls_certificate_file", ""),
    ),
    case("no cryptography", {"controller/tls": {"library_missing": True}}, ("tls-library-missing", "", "")),
    value(
        "no key of the registry",
        "site_registry_tls_key_file",
        "",
        ("tls-files-missing", "site_registry_tls_key_file", ""),
    ),
    case(
        "expired certificate of the registry",
        {"controller/tls/registry/not_after": NOW - DAY},
        ("tls-expired", "site_registry_tls_certificate_file", ""),
    ),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("tls") <= {rule for entry in CASES for rule, _, _ in entry.expected}
