# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Floating address pools as a site writes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

try:
    from netaddr import AddrFormatError, IPAddress, IPNetwork, IPRange
except ImportError:  # the caller reports it with Ansible's missing_required_lib
    IPAddress = IPNetwork = IPRange = None

    class AddrFormatError(Exception):  # type: ignore[no-redef]
        """Stands in for netaddr's error, so that this file can be imported without netaddr."""


__all__ = ["PoolError", "parse_pool", "pool_addresses"]


class PoolError(ValueError):
    """A floating pool that cannot be read. Its text says which part and what would be right."""


def _parse_range(text: str) -> IPRange:
    """Read one range: "a-b", a single address, or a CIDR."""
    example = "write it as 192.0.2.10-192.0.2.12, 192.0.2.10 or 192.0.2.8/30"
    if not text:
        raise PoolError(f"the floating address pool is empty: {example}")
    first, dash, last = (part.strip() for part in text.partition("-"))
    try:
        if dash:
            low, high = IPAddress(first), IPAddress(last)
            if low.version != high.version:
                raise PoolError(f"{text!r} mixes IPv4 and IPv6: {example}")
            if low > high:
                raise PoolError(f"{text!r} is reversed: write it as {last}-{first}")
            return IPRange(low, high)
        if "/" in text:
            network = IPNetwork(text)
            return IPRange(
                IPAddress(network.first, network.version), IPAddress(network.last, network.version)
            )
        return IPRange(IPAddress(text), IPAddress(text))
    except (AddrFormatError, ValueError, TypeError) as error:
        if isinstance(error, PoolError):
            raise
        raise PoolError(f"{text!r} is not an address, a range or a CIDR: {example}") from error


def parse_pool(pool: str | Sequence[str]) -> list[IPRange]:
    """Read a site's floating pool.

    Args:
        pool: "a-b", one address, a CIDR, or a list of these. A CIDR stands for all of its addresses,
            as it does for MetalLB.

    Returns:
        One netaddr.IPRange for each entry, in the order given.

    Raises:
        PoolError: empty, malformed or reversed.
    """
    entries = [pool] if isinstance(pool, str) else pool
    if not isinstance(entries, (list, tuple)) or not all(isinstance(entry, str) for entry in entries):
        raise PoolError(f"{pool!r} is not text or a list of texts: write it as 192.0.2.10-192.0.2.12")
    if not entries:
        entries = [""]
    return [_parse_range(entry.strip()) for entry in entries]


def pool_addresses(ranges: Sequence[IPRange]) -> Iterator[str]:
    """Give the pool's addresses one by one, lowest of the first range first."""
    for entry in ranges:
        for address in entry:
            yield str(address)
