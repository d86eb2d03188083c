# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The site's registry: what its address says."""

from __future__ import annotations

import ipaddress
import re

__all__ = ["RegistryAddressError", "registry_address"]

# A name or an IPv4 address, or an IPv6 address in brackets, and perhaps a port.
_FORM = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?))(?::(?P<port>[0-9]{1,5}))?"
)


class RegistryAddressError(ValueError):
    """What should be a registry's address is none. Its text says what was given and how to write it."""


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
