# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Pools as people write them, and the hubs that take their addresses."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site import pool
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.hubs import (
    HubError,
    resolve_hubs,
    site_hubs,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site, parse_ip
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.pool import (
    PoolError,
    holds,
    parse_pool,
    pool_address,
    pool_addresses,
    pool_set,
)

POOLS: list[Any] = [
    "192.0.2.10",
    "192.0.2.10-192.0.2.12",
    "192.0.2.8/30",
    ["192.0.2.10", "192.0.2.20-192.0.2.21"],
    "192.0.2.8/29",
]


@pytest.mark.parametrize("text", POOLS)
def test_an_address_by_its_number_is_that_of_the_list(text: Any) -> None:
    """The two ways to an address agree, to the last one and beyond."""
    ranges = parse_pool(text)
    told = list(pool_addresses(ranges))
    assert [pool_address(ranges, index) for index in range(len(told) + 1)] == [*told, ""]


def test_a_huge_pool_costs_nothing() -> None:
    """Nobody counts to 2^64."""
    ranges = parse_pool(["2001:db8::/64", "192.0.2.1"])
    assert pool_address(ranges, 2**64) == "192.0.2.1"
    assert list(islice(pool_addresses(ranges), 2)) == ["2001:db8::", "2001:db8::1"]


def test_what_a_pool_holds() -> None:
    """Addresses of its family, from the first to the last."""
    found = pool_set(Site(values={"site_floating_pool": ["192.0.2.10-192.0.2.12", "192.0.2.20"]}))
    inside = [
        text
        for text in ("192.0.2.9", "192.0.2.10", "192.0.2.12", "192.0.2.13", "192.0.2.20")
        if holds(found, parse_ip(text))
    ]
    assert inside == ["192.0.2.10", "192.0.2.12", "192.0.2.20"]
    assert not holds(found, None)
    assert not holds(found, parse_ip("::c000:20a"))
    assert not pool_set(Site(values={"site_floating_pool": "x"}))


def test_without_netaddr_the_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A filter in the middle of a run does not blame the pool."""
    monkeypatch.setattr(pool, "HAS_NETADDR", False)
    with pytest.raises(PoolError, match=r"netaddr.*pip install"):
        parse_pool("192.0.2.10")


HUBS: dict[str, Any] = {
    "a": None,
    "b": {"namespace": None, "floating_ip": "192.0.2.20"},
    "c": {"node_port": 30700},
}


def test_preflight_and_stages_see_the_same_hubs() -> None:
    """Every default of a hub is filled in by one function, for the rules and for the roles."""
    url, pool_text = "https://binder.example.org", "192.0.2.10-192.0.2.12"
    values = {"site_hubs": HUBS, "site_floating_pool": pool_text, "site_public_url": url}
    seen, resolved = site_hubs(Site(values=values)), resolve_hubs(HUBS, url, pool_text)
    computed = ("name", "binder_url", "hub_url", "hub_url_local", "callback_url")
    told = {
        name: {key: value for key, value in hub.items() if key not in computed}
        for name, hub in resolved.items()
    }
    assert told == seen
    assert resolved["b"]["namespace"] == "b"
    assert resolved["c"]["floating_ip"] == "192.0.2.12"
    assert resolved["b"]["hub_base_url"] == "/b/jupyterhub/"


def test_a_hub_without_an_address() -> None:
    """The rules see that there is none; the stages refuse."""
    seen = site_hubs(Site(values={"site_hubs": HUBS, "site_floating_pool": "192.0.2.10"}))
    assert [hub["floating_ip"] for hub in seen.values()] == ["192.0.2.10", "192.0.2.20", ""]
    with pytest.raises(
        HubError, match=r"site_hubs\.c has no address left in site_floating_pool, which holds 1"
    ):
        resolve_hubs(HUBS, "https://binder.example.org", "192.0.2.10")
