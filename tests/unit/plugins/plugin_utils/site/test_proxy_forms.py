# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Forms of proxies and of what is reached without them: those that all programs understand, and what is said of others."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.proxy_forms import (
    Fault,
    ProxyUrl,
    describe_proxy,
    entry_fault,
    parse_proxy,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://192.0.2.8:3128", ProxyUrl("192.0.2.8", 3128, False)),
        ("HTTP://proxy.example.org:80/", ProxyUrl("proxy.example.org", 80, False)),
        ("http://u:p%40%2f!~@proxy:8080", ProxyUrl("proxy", 8080, True)),
        ("http://u@proxy:8080", ProxyUrl("proxy", 8080, True)),
        ("http://[2001:db8::1]:3128", ProxyUrl("2001:db8::1", 3128, False)),
        ("", None),
        (None, None),
    ],
)
def test_proxies(text: Any, expected: ProxyUrl | None) -> None:
    assert parse_proxy(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("proxy.example.org:3128", "no scheme"),
        ("u:s3cret@proxy:3128", "no scheme"),
        ("https://u:s3cret@proxy:3128", "https://"),
        ("socks5://u:s3cret@proxy:1080", "socks5://"),
        ("http://u:s3cret@proxy", "1080"),
        ("http://u:s3cret@:3128", "no host"),
        ("http://u:s3cret@proxy:x", "that can be read"),
        ("http://u:s3cret@[::1:3128", "that can be read"),
        ("http://u:s3cret@pro xy:3128", "no host"),
        ("http://u:s3cret@proxy:3128/path", "more behind proxy:3128"),
        ("http://u:s3cret@x@proxy:3128", "character"),
        ("http://u:s3cret/@proxy:3128", "character"),
        ('http://u:s3cret"@proxy:3128', "character"),
        ("http://u:s3cret$x@proxy:3128", "character"),
        ("http://u:s3cret%4@proxy:3128", "character"),
        (7, "no text"),
    ],
)
def test_what_is_wrong_with_a_proxy(text: Any, said: str) -> None:
    fault = parse_proxy(text)
    assert isinstance(fault, Fault)
    assert said in fault.observed and fault.remedy
    assert "s3cret" not in str(describe_proxy(text))


def test_a_description_holds_no_account() -> None:
    told = describe_proxy("http://user:s3cret@192.0.2.8:3128")
    assert told == {"set": True, "host": "192.0.2.8", "port": 3128, "account": True}


@pytest.mark.parametrize(
    "entry",
    ["host", "a.example.org", ".example.org", "192.0.2.7", "192.0.2.0/28", "192.0.2.1/28", "!ghcr.io", " x "],
)
def test_entries_that_all_understand(entry: str) -> None:
    assert entry_fault(entry) is None


@pytest.mark.parametrize(
    ("entry", "who", "remedy"),
    [
        ("10.0.0.0/8", "apt, older curl and git", "add the addresses"),
        ("*.example.org", "apt, curl, git and Python", "write .example.org"),
        ("git.example.org:8443", "apt, curl and git", "write git.example.org"),
        ("2001:db8::7", "apt", "name its host"),
    ],
)
def test_entries_that_some_ignore(entry: str, who: str, remedy: str) -> None:
    fault = entry_fault(entry)
    assert fault and not fault.refuses
    assert who in fault.observed and remedy in fault.remedy


@pytest.mark.parametrize(
    ("entry", "remedy"),
    [
        ("*", "leave site_http_proxy"),
        ("https://git.example.org/x", "write git.example.org"),
        *[
            (entry, "an entry")
            for entry in ("a,b", "a b", "", "-x", ".", "..x", "a:b", 'a"b', "[::1]", None, 7)
        ],
        *[(entry, "192.0.2.0/24") for entry in ("192.0.2.0/33", "x/24", "2001:db8::/32")],
    ],
)
def test_entries_that_nobody_understands(entry: Any, remedy: str) -> None:
    fault = entry_fault(entry)
    assert fault and fault.refuses
    assert remedy in fault.remedy


@pytest.mark.parametrize(
    "slip", ["alice:pw@http://proxy.example.org:3128", "pw@http://proxy:3128", "alice:pw@://proxy:3128"]
)
def test_an_account_in_front_of_the_scheme_is_not_shown(slip: str) -> None:
    fault = parse_proxy(slip)
    assert isinstance(fault, Fault)
    assert "pw" not in fault.observed + fault.remedy
    assert "alice" not in fault.observed
    assert "socks5://" in parse_proxy("socks5://proxy:1080").observed  # type: ignore[union-attr]
