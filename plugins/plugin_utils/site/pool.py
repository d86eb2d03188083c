# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Floating address pools as a site writes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.ranges import (
    HAS_NETADDR,
    AddrFormatError,
    IPAddress,
    IPNetwork,
    IPRange,
    IPSet,
)

__all__ = [
    "POOL",
    "PoolError",
    "holds",
    "overlapping",
    "parse_pool",
    "pool_address",
    "pool_addresses",
    "pool_ranges",
    "pool_set",
]

POOL = "site_floating_pool"
EXAMPLE = "write it as 192.0.2.10-192.0.2.12, 192.0.2.10 or 192.0.2.8/30"


class PoolError(ValueError):
    """A floating pool that cannot be read. Its text says which part and what would be right."""


def _parse_range(text: str) -> IPRange:
    """Read one range: "a-b", a single address, or a CIDR."""
    if not text:
        raise PoolError(f"the floating address pool is empty: {EXAMPLE}")
    first, dash, last = (part.strip() for part in text.partition("-"))
    try:
        if dash:
            low, high = IPAddress(first), IPAddress(last)
            if low.version != high.version:
                raise PoolError(f"{text!r} mixes IPv4 and IPv6: {EXAMPLE}")
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
        raise PoolError(f"{text!r} is not an address, a range or a CIDR: {EXAMPLE}") from error


def parse_pool(pool: str | Sequence[str]) -> list[IPRange]:
    """Read a site's floating pool.

    Args:
        pool: "a-b", one address, a CIDR, or a list of these. A CIDR stands for all of its addresses,
            as it does for MetalLB.

    Returns:
        One netaddr.IPRange for each entry, in the order given.

    Raises:
        PoolError: empty, malformed or reversed; or netaddr is missing.
    """
    if not HAS_NETADDR:
        raise PoolError(
            "the Python package netaddr is missing on the controller: pip install -r requirements.txt"
        )
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


def pool_address(ranges: Sequence[IPRange], index: int) -> str:
    """Give the pool's address number `index`, counted from 0; `` where the pool has fewer."""
    for entry in ranges:
        if index < entry.size:
            return str(entry[index])
        index -= entry.size
    return ""


def pool_ranges(site: Site) -> list[IPRange]:
    """Give the ranges of the site's pool, none where it cannot be read."""
    try:
        return parse_pool(site.values.get(POOL, ""))
    except PoolError:  # the rule pool-malformed reports it
        return []


def pool_set(site: Site) -> IPSet:
    """Give the addresses of the site's pool, none where it cannot be read."""
    return IPSet(cidr for entry in pool_ranges(site) for cidr in entry.cidrs())


def overlapping(ranges: Sequence[IPRange]) -> list[IPRange]:
    """Give the ranges that share addresses with one before them."""
    before, found = IPSet(), []
    for entry in ranges:
        own = IPSet(entry.cidrs())
        if not before.isdisjoint(own):
            found.append(entry)
        before |= own
    return found


def holds(pool: IPSet, address: Any) -> bool:
    """Whether the pool has this address, as `parse_ip` gives it; None is in no pool."""
    return address is not None and IPAddress(str(address)) in pool
