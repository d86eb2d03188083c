# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Where a registry's API is."""

from __future__ import annotations

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.registry import registry_url


@pytest.mark.parametrize(
    ("host", "plain_http", "url"),
    [
        ("r.example.org:5000", False, "https://r.example.org:5000/v2/"),
        ("r.example.org:5000", True, "http://r.example.org:5000/v2/"),
        ("docker.io", False, "https://registry-1.docker.io/v2/"),
        ("index.docker.io", False, "https://registry-1.docker.io/v2/"),
        ("https://r", False, ""),
        ("user@r", False, ""),
        ("r?x", False, ""),
        ("", False, ""),
        (None, False, ""),
        (5, True, ""),
    ],
)
def test_registry_url(host: object, plain_http: bool, url: str) -> None:
    assert registry_url(host, plain_http) == url
