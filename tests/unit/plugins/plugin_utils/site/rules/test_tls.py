# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/tls.py by a bad site of its own."""

from __future__ import annotations

from typing import Any

import pytest
from site_cases import DAY, NOW, Case, case, found, hubs, rules_in, tls, value

B = "https://b.example.org"
B_KNOWN = {"controller/names/b.example.org": {"addresses": ["192.0.2.31"]}}


def own_certificate(**answer: Any) -> dict[str, Any]:
    """Changes to a site whose second hub has a host and a certificate of its own."""
    told = {
        "names": ["b.example.org"],
        "not_after": NOW + 300 * DAY,
        "chain_missing": "",
        "key_matches": True,
    }
    own = {"public_url": B, "tls_certificate_file": "b.crt", "tls_key_file": "b.key"}
    return {**hubs(a={}, b=own), **B_KNOWN, "controller/tls/hub b": {**told, **answer}}


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
    case(
        "hub whose name the site's certificate lacks",
        {**hubs(a={}, b={"public_url": B}), **B_KNOWN},
        ("tls-name-missing", "site_proxy_tls_certificate_file", ""),
    ),
    case(
        "hub that shares the site's certificate",
        {**hubs(a={}, b={"public_url": B}), **B_KNOWN, **tls(names=["*.example.org"])},
    ),
    case(
        "hub with a certificate of another name",
        own_certificate(names=["binder.example.org"]),
        ("tls-name-missing", "site_hubs.b.tls_certificate_file", ""),
    ),
    case(
        "hub with an expired certificate",
        own_certificate(not_after=NOW - DAY),
        ("tls-expired", "site_hubs.b.tls_certificate_file", ""),
    ),
    case(
        "hub whose key cannot be read",
        own_certificate(key_error="b.key: No such file"),
        ("tls-file-unreadable", "site_hubs.b.tls_key_file", ""),
    ),
    case(
        "hub with another key",
        own_certificate(key_matches=False),
        ("tls-key-mismatch", "site_hubs.b.tls_key_file", ""),
    ),
    case(
        "hub without a key",
        {**own_certificate(), "values/site_hubs/b/tls_key_file": ""},
        ("tls-files-missing", "site_hubs.b.tls_key_file", ""),
    ),
    case("hub with a certificate of its own", own_certificate()),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("tls") <= {rule for entry in CASES for rule, _, _ in entry.expected}
