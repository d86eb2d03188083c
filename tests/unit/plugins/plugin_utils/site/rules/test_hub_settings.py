# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/hub_settings.py by a bad site of its own."""

from __future__ import annotations

from typing import Any

import pytest
from site_cases import Case, case, found, good_site, hubs, rules_in, texts

KNOWN = {"controller/names/b.example.org": {"addresses": ["192.0.2.31"]}}
TLS = {"tls_certificate_file": "b.crt", "tls_key_file": "b.key"}
OWN = {"public_url": "https://b.example.org"}
GOOD = {"names": ["b.example.org"], "chain_missing": "", "key_matches": True, "key_mode": 0o600}


def two(**second: Any) -> dict[str, Any]:
    """Changes to a site whose second hub is told this."""
    return {**hubs(a={}, b=second), **KNOWN, "controller/tls/hub b": GOOD}


def quota(site: int, **own: int) -> dict[str, Any]:
    return {
        **hubs(**{name: {"total_quota": number} for name, number in own.items()}),
        "values/site_total_quota": site,
    }


CASES = [
    case(
        "URL that is a list", two(public_url=["x"]), ("hub-setting-malformed", "site_hubs.b.public_url", "")
    ),
    case(
        "address that is a list",
        two(floating_ip=["192.0.2.102"]),
        ("hub-setting-malformed", "site_hubs.b.floating_ip", ""),
    ),
    case(
        "address that is a number",
        two(floating_ip=5),
        ("hub-setting-malformed", "site_hubs.b.floating_ip", ""),
    ),
    case(
        "path that is a number",
        two(binder_base_url=5),
        ("hub-setting-malformed", "site_hubs.b.binder_base_url", ""),
    ),
    case(
        "version that is a number",
        two(chart_version=1.0),
        ("hub-setting-malformed", "site_hubs.b.chart_version", ""),
    ),
    case("quota in words", two(total_quota="many"), ("hub-setting-malformed", "site_hubs.b.total_quota", "")),
    case(
        "quota below nothing",
        two(per_repo_quota=-1),
        ("hub-setting-malformed", "site_hubs.b.per_repo_quota", ""),
    ),
    case(
        "builds that are true",
        two(parallel_builds=True),
        ("hub-setting-malformed", "site_hubs.b.parallel_builds", ""),
    ),
    case(
        "proof with a number for a key",
        two(verify={7: "x"}),
        ("hub-setting-malformed", "site_hubs.b.verify.7", ""),
    ),
    case("proof that is text", two(verify="x"), ("hub-setting-malformed", "site_hubs.b.verify", "")),
    case(
        "proof of another key",
        two(verify={"ref": "x"}),
        ("hub-setting-malformed", "site_hubs.b.verify.ref", ""),
    ),
    case(
        "proof without time",
        two(verify={"timeout_seconds": 0}),
        ("hub-setting-malformed", "site_hubs.b.verify.timeout_seconds", ""),
    ),
    case(
        "repository that is a number",
        two(verify={"spec": 7}),
        ("hub-setting-malformed", "site_hubs.b.verify.spec", ""),
    ),
    case(
        "name twice",
        {"controller/hubs_named_twice": [{"name": "binder", "path": "site.yml", "lines": [3, 9]}]},
        ("hub-named-twice", "site_hubs.binder", ""),
    ),
    case(
        "plain HTTP beside TLS",
        two(**TLS, public_url="http://b.example.org"),
        ("hub-public-url-differs", "site_hubs.b.public_url", ""),
    ),
    case(
        "another port",
        two(**TLS, public_url="https://b.example.org:8443"),
        ("hub-public-url-differs", "site_hubs.b.public_url", ""),
    ),
    case("the site's host, with its port written out", two(public_url="https://binder.example.org:443")),
    case(
        "the site's host at another port",
        two(public_url="https://binder.example.org:8443"),
        ("hub-public-url-differs", "site_hubs.b.public_url", ""),
    ),
    case(
        "the site's host by plain HTTP",
        two(public_url="http://binder.example.org"),
        ("hub-public-url-differs", "site_hubs.b.public_url", ""),
    ),
    case("the same port, written out", two(**TLS, public_url="https://b.example.org:443")),
    case(
        "certificate of no host",
        two(**TLS),
        ("hub-certificate-without-host", "site_hubs.b.tls_certificate_file", ""),
        ("hub-certificate-without-host", "site_hubs.b.tls_key_file", ""),
    ),
    case(
        "two certificates of one host",
        {
            **hubs(a={}, b={**OWN, **TLS}, c={**OWN, **TLS, "tls_certificate_file": "c.crt"}),
            **KNOWN,
            "controller/tls/hub b": GOOD,
        },
        ("hubs-certificates-differ", "site_hubs.c.tls_certificate_file", ""),
    ),
    case("quota above the site's", quota(10, a=11), ("hub-quota-above-site", "site_hubs.a.total_quota", "")),
    case(
        "builds above the site's",
        {**hubs(a={"parallel_builds": 3}), "values/site_parallel_builds": 2},
        ("hub-quota-above-site", "site_hubs.a.parallel_builds", ""),
    ),
    case(
        "no quota beside the site's", quota(10, a=0), ("hub-quota-above-site", "site_hubs.a.total_quota", "")
    ),
    case(
        "builds without bound",
        {**hubs(a={"parallel_builds": "0"}), "values/site_parallel_builds": 2},
        ("hub-quota-above-site", "site_hubs.a.parallel_builds", ""),
    ),
    case("no quota of anybody", quota(0, a=0)),
    case("quotas above the site's", quota(10, a=6, b=5), ("hubs-quotas-above-site", "site_total_quota", "")),
    case("quotas that fit", quota(10, a=6, b=4)),
    case("quotas of a site without one", quota(0, a=6, b=4)),
    case(
        "nothing left for the third",
        {**quota(10, a=6, b=4), **hubs(a={"total_quota": 6}, b={"total_quota": 4}, c={})},
        ("hubs-quotas-above-site", "site_total_quota", ""),
    ),
    case(
        "a repository above its hub",
        hubs(a={"total_quota": 5, "per_repo_quota": 6}),
        ("hub-repository-quota-above-total", "site_hubs.a.per_repo_quota", ""),
    ),
    case("release twice", hubs(a={}, b={"release": "a"}), ("hubs-share-release", "site_hubs.b.release", "")),
    # Two hubs of one host, and one of another, with the short paths of each.
    case(
        "what is right",
        two(**OWN, **TLS, verify={"spec": "a/b/v1", "timeout_seconds": 60}, chart_version=None),
    ),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


def test_findings_say_what_to_write() -> None:
    site = CASES[[entry.name for entry in CASES].index("nothing left for the third")].changed(good_site())
    assert texts(site, "hubs-quotas-above-site")[0].startswith(
        "is 10, and the hubs have a 6 + b 4, and 1 for each"
    )
    site = CASES[[entry.name for entry in CASES].index("name twice")].changed(good_site())
    assert "site.yml has it in lines 3, 9" in texts(site, "hub-named-twice")[0]


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("hub_settings") <= {rule for entry in CASES for rule, _, _ in entry.expected}
