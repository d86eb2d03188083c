# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The registry that receives people's images: where it is, and how its images may be called."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.registry_kinds import (
    common_spelling,
    endpoint,
    level_fault,
)

__all__ = [
    "HOST",
    "PREFIX",
    "Fault",
    "RegistryAddressError",
    "host_fault",
    "prefix_fault",
    "registry_address",
    "registry_url",
]

HOST = "site_registry_host"
PREFIX = "site_registry_prefix"
# A name or an IPv4 address, or an IPv6 address in brackets, and perhaps a port.
_FORM = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?))(?::(?P<port>[0-9]{1,5}))?"
)
# https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
_SEPARATOR = r"(?:\.|__?|-+)"
_LEVEL = rf"[a-z0-9]+(?:{_SEPARATOR}[a-z0-9]+)*"
# What BinderHub appends begins with a letter or a digit, so the last level may end in a separator.
_PREFIX_FORM = re.compile(rf"(?:{_LEVEL}/)*(?:{_LEVEL}{_SEPARATOR}?)?")


class RegistryAddressError(ValueError):
    """What should be a registry's address is none. Its text says what was given and how to write it."""


class Fault(NamedTuple):
    """What is wrong with a value: `kind` names the rule, `observed` and `remedy` are for people."""

    kind: str
    observed: str
    remedy: str


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 6
    except ValueError:
        return False


def registry_address(text: str, plain_http: bool) -> tuple[str, int]:
    """Split `host` or `host:port`.

    Args:
        text: a name, an IPv4 address, or an IPv6 address in brackets, each with or without a port.
            An IPv6 address without brackets is taken for a host without a port.
        plain_http: whether the registry speaks HTTP without TLS, which decides about the port where none is given.

    Returns:
        The host, an IPv6 address without its brackets, and the port: as given, else 80 or 443.

    Raises:
        RegistryAddressError: a scheme, a path, a port that is none, or nothing at all.
    """
    default = 80 if plain_http else 443
    if _is_ipv6(text):
        return text, default
    found = _FORM.fullmatch(text)
    if found and (found["name"] or _is_ipv6(found["v6"])):
        port = int(found["port"] or default)
        if 0 < port < 65536:
            return found["name"] or found["v6"], port
    raise RegistryAddressError(
        f"{text[:80]!r} is no registry's address: write host or host:port, without a scheme or a path, "
        "such as registry.example.org:5000 or [2001:db8::1]:5000"
    )


def registry_url(host: object, plain_http: bool = False) -> str:
    """Give the URL of a registry's `/v2/`; empty where `host` is no host or host:port."""
    if not isinstance(host, str) or not host or host_fault(host):
        return ""
    return f"{endpoint(host, plain_http).api_url}/v2/"


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
    if _is_ipv6(text):
        return Fault("form", f"is {text[:80]}, without brackets", f"write [{text}]")
    try:
        registry_address(text, plain_http=False)
    except RegistryAddressError:
        remedy = "write host or host:port, such as registry.example.org:5000"
        return Fault("form", f"is {text[:80]!r}", remedy)
    common = common_spelling(text)
    told = Fault("form", f"is {text[:80]!r}, which is {common} by another name", f"write {common}")
    return told if common else None


def prefix_fault(text: str, host: str = "") -> Fault | None:
    """Say what is wrong with the prefix of images' names: `level`, `form` or `levels`. None: nothing, or it is empty.

    Args:
        text: the prefix, such as binder/stfc-.
        host: the registry's, which must not be repeated in it, and which may have a number of levels of its own.
    """
    if not text:
        return None
    if host and text.startswith(f"{host}/"):
        return Fault("form", f"begins with the registry {host}", f"write {text[len(host) + 1 :]}")
    if "/" not in text.lstrip("/"):
        bare = text.strip("/-")
        observed = "with no path level: BinderHub never finds such an image again, and every launch rebuilds"
        return Fault(
            "level",
            f"is {text[:60]!r}, {observed}",
            f"put a level before it, such as binder/{bare or 'site'}-",
        )
    if not _PREFIX_FORM.fullmatch(text):
        remedy = "use lower-case letters, digits, and . _ - between them, in levels such as binder/stfc-"
        return Fault("form", f"is {text[:60]!r}", remedy)
    levels = level_fault(text, host)
    return Fault("levels", *levels) if levels else None
