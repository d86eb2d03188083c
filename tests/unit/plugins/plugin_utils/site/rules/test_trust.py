# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/trust.py by a bad site of its own."""

from __future__ import annotations

import pytest
from ansible_collections.ironbinder.platform.plugins.filter.base_image_context import base_image_context
from site_cases import DAY, NOW, Case, case, found, rules_in, texts, value

CA = "controller/ca_files/ca.crt"
GOOD = {"not_before": NOW - DAY, "not_after": NOW + DAY}
HOSTS = "site_extra_hosts"

CASES = [
    case("CA with a key", {CA: {**GOOD, "holds_key": True}}, ("ca-file-has-key", "site_ca_files", "")),
    case("a key and no CA", {CA: {"holds_key": True}}, ("ca-file-has-key", "site_ca_files", "")),
    case(
        "CA of next month",
        {CA: {**GOOD, "not_before": NOW + 30 * DAY}},
        ("ca-not-yet-valid", "site_ca_files", ""),
    ),
    case("CA of no CA", {CA: {**GOOD, "no_ca": ["CN=x"]}}, ("ca-file-is-no-ca", "site_ca_files", "")),
    value(
        "names and addresses swapped", HOSTS, {"git": ["192.0.2.50"]}, ("extra-hosts-malformed", HOSTS, "")
    ),
    value("names as text", HOSTS, {"192.0.2.50": "git"}, ("extra-hosts-malformed", HOSTS, "")),
    value("no name", HOSTS, {"192.0.2.50": []}, ("extra-hosts-malformed", HOSTS, "")),
    value("a name with a space", HOSTS, {"192.0.2.50": ["a b"]}, ("extra-hosts-malformed", HOSTS, "")),
    value("the name of a node", HOSTS, {"192.0.2.50": ["Worker1"]}, ("extra-hosts-conflict", HOSTS, "")),
    value(
        "a name of the cluster's",
        HOSTS,
        {"192.0.2.50": ["kubernetes.default.svc.cluster.local"]},
        ("extra-hosts-conflict", HOSTS, ""),
    ),
    value(
        "a base without a tag",
        "site_base_image_context",
        base_image_context("debian"),
        ("base-image-malformed", "site_base_image_from", ""),
    ),
    value(
        "a password in the base",
        "site_base_image_context",
        base_image_context("debian:12", pip_index_url="https://me:x@pypi.example.org/simple"),
        ("base-image-malformed", "site_base_image_pip_index_url", ""),
    ),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


def test_every_rule_has_a_bad_site() -> None:
    assert {rule for bad in CASES for rule, _, _ in bad.expected} == rules_in("trust")


@pytest.mark.parametrize(
    "hosts", [{}, {"192.0.2.50": ["git.example.org", "git"]}, {"192.0.2.21": ["worker1", "w1"]}]
)
def test_good_names(hosts: dict[str, list[str]]) -> None:
    assert found(value("good", HOSTS, hosts).site()) == set()


def test_a_key_is_named_and_not_shown() -> None:
    [text] = texts(CASES[0].site(), "ca-file-has-key")
    assert "ca.crt holds a private key" in text
    assert "openssl x509" in text
