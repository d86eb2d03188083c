# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Addresses of registries, split."""

from __future__ import annotations

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.registry import (
    RegistryAddressError,
    registry_address,
)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("registry.example.org", "registry.example.org", None),
        ("registry.example.org:5000", "registry.example.org", 5000),
        ("registry", "registry", None),
        ("192.0.2.41", "192.0.2.41", None),
        ("192.0.2.41:80", "192.0.2.41", 80),
        ("[2001:db8::41]", "2001:db8::41", None),
        ("[2001:db8::41]:5000", "2001:db8::41", 5000),
        ("[::1]:1", "::1", 1),
        # Its last part is no port, although it looks like one.
        ("2001:db8::5000", "2001:db8::5000", None),
        ("::1", "::1", None),
    ],
)
def test_addresses(text: str, host: str, port: int | None) -> None:
    assert registry_address(text, False) == (host, port or 443)
    assert registry_address(text, True) == (host, port or 80)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":5000",
        "registry:",
        "registry:0",
        "registry:65536",
        "registry:http",
        "registry:5000:1",
        "https://registry",
        "registry/images",
        "registry example",
        "registry\n",
        "[192.0.2.41]:5000",
        "[2001:db8::41",
        "[]",
        "[::1]5000",
        "2001:db8:::41",
    ],
)
def test_others_are_refused_with_what_was_given(text: str) -> None:
    with pytest.raises(RegistryAddressError, match="write host or host:port") as error:
        registry_address(text, False)
    assert repr(text) in str(error.value)
