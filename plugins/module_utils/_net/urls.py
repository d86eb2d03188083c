# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What two URLs have to do with each other: one server or two, and where a redirect may lead."""

from __future__ import annotations

import string
from collections.abc import Mapping
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from ansible_collections.ironbinder.platform.plugins.module_utils._net.failure import HttpFailure

__all__ = ["PORTS", "is_under", "redirected", "shown", "web_address"]

PORTS = {"http": 80, "https": 443}
# What another server may be told too. All else may be a credential.
HARMLESS = ("accept", "accept-encoding", "accept-language", "user-agent")


def web_address(url: str) -> SplitResult:
    """Give the parts of the URL of a web server. Raises HttpFailure where it is none."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError as error:
        raise HttpFailure("request", f"{url!r} is not a URL: {error}") from error
    if parts.scheme not in PORTS or not host:
        raise HttpFailure("request", f"{url!r} is not an http:// or https:// URL")
    return parts


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or PORTS.get(parts.scheme, 0)


def is_under(url: str, parent: str) -> bool:
    """Whether `url` is at or below `parent`: same scheme, host, port and path."""
    try:
        same = _origin(url) == _origin(parent)
    except ValueError:  # one of them is no URL
        return False
    return same and urlsplit(url).path.startswith(urlsplit(parent).path.rstrip("/") + "/")


def shown(url: str, base: str = "") -> str:
    """Give a URL, maybe relative to `base`, for people: without account, query and fragment, which may hold a secret."""
    try:
        parts = urlsplit(urljoin(base, url))
    except ValueError:
        return "what is no URL"
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()[:300]


def redirected(url: str, location: str, headers: Mapping[str, str]) -> tuple[str, Mapping[str, str]]:
    """Give the URL that the header `location` of an answer from `url` leads to, and what may be said there.

    Raises:
        HttpFailure: it leads from https to http, or to something else than a web server.
    """
    try:
        # Servers write what they like; http.client reads it as Latin-1.
        target = urljoin(url, quote(location, safe=string.punctuation, encoding="latin-1", errors="replace"))
        before, after = _origin(url), _origin(target)
    except ValueError as error:
        raise HttpFailure("redirect", f"redirects to {location[:80]!r}, which is no URL") from error
    if after[0] not in PORTS or not after[1] or (before[0], after[0]) == ("https", "http"):
        raise HttpFailure("redirect", f"redirects to {shown(target)}, where nobody should follow")
    if before == after:
        return target, headers
    return target, {name: value for name, value in headers.items() if name.lower() in HARMLESS}
