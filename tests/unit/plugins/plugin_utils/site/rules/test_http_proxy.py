# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/http_proxy.py by a bad site of its own."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.proxy_forms import describe_proxy
from site_cases import Case, case, found, rules_in, value


def proxy(name: str, url: Any, *rules: str, host: str = "") -> Case:
    """A case with this URL for both proxies, of which the second is a default."""
    told = describe_proxy(url)
    changes = {"secrets/proxies": {"site_http_proxy": told, "site_https_proxy": told}}
    return case(name, changes, *((rule, "site_http_proxy", host) for rule in rules))


CASES = [
    proxy("no proxy", ""),
    proxy("a good one", "http://198.51.100.8:3128"),
    proxy("no scheme", "198.51.100.8:3128", "http-proxy-malformed"),
    proxy("no port", "http://proxy.example.org", "http-proxy-malformed"),
    proxy("an account", "http://site:s3cret@proxy.example.org:3128", "http-proxy-account-told"),
    proxy("on a node", "http://192.0.2.21:3128", "http-proxy-in-cluster", host="worker1"),
    proxy("a service", "http://10.96.0.77:3128", "http-proxy-in-cluster"),
    case(
        "two that differ",
        {
            "secrets/proxies": {
                "site_http_proxy": describe_proxy("p:1"),
                "site_https_proxy": describe_proxy("http://p"),
            }
        },
        ("http-proxy-malformed", "site_http_proxy", ""),
        ("http-proxy-malformed", "site_https_proxy", ""),
    ),
    value("entries", "site_no_proxy", ["git.example.org", ".example.org", "198.51.100.0/28"]),
    value(
        "a large network", "site_no_proxy", ["x", "10.0.0.0/8"], ("no-proxy-ignored", "site_no_proxy[1]", "")
    ),
    value("a URL", "site_no_proxy", ["https://x"], ("no-proxy-malformed", "site_no_proxy[0]", "")),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_findings(bad: Case) -> None:
    assert found(bad.site()) == set(bad.expected)


def test_every_rule_has_a_case() -> None:
    assert {rule for entry in CASES for rule, _, _ in entry.expected} == rules_in("http_proxy")


def test_without_a_guard_the_proxy_may_be_on_a_node() -> None:
    bad = proxy("on a node", "http://192.0.2.21:3128").site()
    bad["values"]["site_guard_enabled"] = False
    assert "http-proxy-in-cluster" not in {rule for rule, _, _ in found(bad)}
