# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""One server or two, and where a redirect may lead."""

from __future__ import annotations

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._net.failure import HttpFailure
from ansible_collections.ironbinder.platform.plugins.module_utils._net.urls import is_under, redirected, shown

SECRET = {"Authorization": "Basic x", "accept": "a/b"}


@pytest.mark.parametrize(
    ("url", "under"),
    [
        ("https://h/hub/x", True),
        ("https://h:443/hub/x", True),
        ("https://H/hub/x", True),
        ("https://h/hubs", False),
        ("http://h/hub/x", False),
        ("https://h:444/hub/x", False),
        ("https://h:99999999/hub/x", False),
        ("https://[/hub/x", False),
    ],
)
def test_is_under(url: str, under: bool) -> None:
    assert is_under(url, "https://h/hub/") is under


@pytest.mark.parametrize(
    ("before", "location", "after", "kept"),
    [
        ("https://h/a/b", "c", "https://h/a/c", True),
        ("https://h/a/b", "https://h:443/c", "https://h:443/c", True),
        ("https://h/a", "https://h:444/a", "https://h:444/a", False),
        ("https://h/a", "//other/a", "https://other/a", False),
        ("http://h/a", "https://h/a", "https://h/a", False),
        ("http://h/a", "http://h.evil/a", "http://h.evil/a", False),
        ("https://h/a", "/\u00e4 b?c=%2F", "https://h/%E4%20b?c=%2F", True),
    ],
)
def test_redirected(before: str, location: str, after: str, kept: bool) -> None:
    assert redirected(before, location, SECRET) == (after, SECRET if kept else {"accept": "a/b"})


@pytest.mark.parametrize(
    ("before", "location"),
    [
        ("https://h/", "http://h/"),
        ("https://h/", "file:///etc/passwd"),
        ("http://h/", "http://[/"),
        ("http://h/", "http://h:99999999/"),
        ("http://h/", "mailto:x"),
    ],
)
def test_where_nobody_follows(before: str, location: str) -> None:
    with pytest.raises(HttpFailure) as caught:
        redirected(before, location, SECRET)
    assert caught.value.kind == "redirect"


def test_shown() -> None:
    assert shown("/x?token=1#y", "https://user:secret@h:5/a") == "https://h:5/x"
    assert shown("http://[") == "what is no URL"
