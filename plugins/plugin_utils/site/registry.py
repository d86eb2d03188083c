# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The registry that receives people's images: where it is, and how its images may be called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["HOST", "PREFIX", "Fault", "Place", "host_fault", "place", "prefix_fault"]

HOST = "site_registry_host"
PREFIX = "site_registry_prefix"
_HOST_FORM = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")
# https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
_SEPARATOR = r"(?:\.|__?|-+)"
_LEVEL = rf"[a-z0-9]+(?:{_SEPARATOR}[a-z0-9]+)*"
# What BinderHub appends begins with a letter or a digit, so the last level may end in a separator.
_PREFIX_FORM = re.compile(rf"(?:{_LEVEL}/)*(?:{_LEVEL}{_SEPARATOR}?)?")


@dataclass(frozen=True)
class Place:
    """Where a registry is. `host` has no port."""

    host: str
    port: int
    scheme: str
    url: str


class Fault(NamedTuple):
    """What is wrong with a value: `kind` names the rule, `observed` and `remedy` are for people."""

    kind: str
    observed: str
    remedy: str


def place(host: str, plain_http: bool = False) -> Place:
    """Take a registry's `host` or `host:port` apart. A port that is not named is that of the scheme.

    A scheme or a path, which do not belong there, are passed over; `host_fault` reports them.
    """
    scheme = "http" if plain_http else "https"
    bare = host.strip().rpartition("://")[2].partition("/")[0]
    name, colon, port = bare.rpartition(":")
    named = bool(colon) and port.isascii() and port.isdigit() and len(port) <= 5
    return Place(
        host=name if named else bare,
        port=int(port) if named else (80 if plain_http else 443),
        scheme=scheme,
        url=f"{scheme}://{bare}",
    )


def host_fault(text: str) -> Fault | None:
    """Say what is wrong with a registry's host: `scheme`, `path` or `form`. None: nothing, or it is empty."""
    if not text:
        return None
    if "://" in text:
        bare = text.partition("://")[2].split("/")[0]
        return Fault(
            "scheme", f"is {text[:80]}", f"write {bare or 'host or host:port'}; image names carry no scheme"
        )
    if "/" in text:
        host, _, path = text.partition("/")
        remedy = f"write {host}, and begin the prefix of the images' names with {path}"
        return Fault("path", f"is {text[:80]!r}, with a path", remedy)
    if not _HOST_FORM.fullmatch(text) or place(text).port not in range(1, 65536):
        remedy = "write host or host:port, such as registry.example.org:5000"
        return Fault("form", f"is {text[:80]!r}", remedy)
    return None


def prefix_fault(text: str, host: str = "") -> Fault | None:
    """Say what is wrong with the prefix of images' names: `level` or `form`. None: nothing, or it is empty.

    Args:
        text: the prefix, such as binder/stfc-.
        host: the registry's, which must not be repeated in it.
    """
    if not text:
        return None
    if host and text.startswith(f"{host}/"):
        return Fault("form", f"begins with the registry {host}", f"write {text[len(host) + 1 :]}")
    bare = text.strip("/-")
    if "/" not in text.strip("/"):
        if text.rstrip("/") != text and bare:
            observed, remedy = "BinderHub adds no level of its own", f"write {bare}/binder-, say"
            return Fault("level", f"is {text[:60]!r}: {observed}", remedy)
        observed = "with no path level: BinderHub never finds such an image again, and every launch rebuilds"
        return Fault(
            "level",
            f"is {text[:60]!r}, {observed}",
            f"put a level before it, such as binder/{bare or 'site'}-",
        )
    if not _PREFIX_FORM.fullmatch(text):
        remedy = "use lower-case letters, digits, and . _ - between them, in levels such as binder/stfc-"
        return Fault("form", f"is {text[:60]!r}", remedy)
    return None
