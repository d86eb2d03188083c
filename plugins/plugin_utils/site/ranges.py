# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""netaddr, imported in this one place: ranges and sets of addresses."""

from __future__ import annotations

try:
    from netaddr import AddrFormatError, IPAddress, IPNetwork, IPRange, IPSet, spanning_cidr

    HAS_NETADDR = True
except ImportError:  # whoever needs a range then says so, see pool.parse_pool and the action site_check
    HAS_NETADDR = False
    IPAddress = IPNetwork = IPRange = IPSet = spanning_cidr = None

    class AddrFormatError(Exception):  # type: ignore[no-redef]
        """Stands in for netaddr's error, so that this file can be imported without netaddr."""


__all__ = ["HAS_NETADDR", "AddrFormatError", "IPAddress", "IPNetwork", "IPRange", "IPSet", "spanning_cidr"]
