# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The HTTP proxy of a site: its URL, what is reached without it, and in which form each program is told.

There is no standard for `no_proxy`. What Go (Docker, containerd, helm), libcurl (git, BinderHub), Python and apt understand
alike is a host's name and an IPv4 address; the end of a name behind a dot all but apt's configuration. Networks are understood
by Go, by libcurl since 7.86 and by Python's requests; so what is small is listed address by address.
https://pkg.go.dev/golang.org/x/net/http/httpproxy#Config https://curl.se/libcurl/c/CURLOPT_NOPROXY.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import parse_ip
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.pool import (
    PoolError,
    parse_pool,
    pool_addresses,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.proxy_forms import (
    LISTED_ADDRESSES,
    ProxyUrl,
    parse_network,
    parse_proxy,
    url_host,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.registry import (
    RegistryAddressError,
    registry_address,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.registry_kinds import OTHER, kind_of
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.secret_facts import URLS

__all__ = ["NO_PROXY", "PROXIES", "environment", "no_proxy", "openings"]

# http:// first.
PROXIES, NO_PROXY = URLS, "site_no_proxy"
# Addresses of the floating pool that are listed; hubs have the first ones.
LISTED_FLOATING = 256


def _listed(entry: str) -> list[str]:
    """Give an entry, and the addresses of a network that is small enough."""
    network = parse_network(entry) if "/" in entry else None
    if network is None:
        return [entry]
    few = network.num_addresses <= LISTED_ADDRESSES
    return [str(network), *(map(str, network) if few else ())]


def _registry_host(registry: str) -> str:
    if kind_of(registry) != OTHER:  # on the Internet, and so beyond the proxy
        return ""
    try:
        return registry_address(registry, plain_http=False)[0] if registry else ""
    except RegistryAddressError:  # registry-malformed reports it
        return ""


def _pool(pool: Any) -> list[str]:
    try:
        ranges = parse_pool(pool)
    except PoolError:  # pool-malformed reports it
        return []
    if sum(entry.size for entry in ranges) <= LISTED_FLOATING:
        return list(pool_addresses(ranges))
    first = [address for address, _ in zip(pool_addresses(ranges), range(LISTED_FLOATING), strict=False)]
    return first + [str(cidr) for entry in ranges for cidr in entry.cidrs()]


def _subnets(text: str) -> list[str]:
    return [part.strip() for part in str(text).split(",") if part.strip()]


def _first_services(subnet: str) -> list[str]:
    """The address of the service `kubernetes`: the first of each range. Pods know the API server by it, and by no name."""
    networks = []
    for part in _subnets(subnet):
        try:
            networks.append(ip_network(part))
        except ValueError:  # subnet-malformed reports it
            continue
    return [str(network[1]) for network in networks if network.num_addresses > 1]


def no_proxy(
    extra: Sequence[Any],
    *,
    machines: Mapping[str, str],
    pod_subnet: str,
    service_subnet: str,
    api_address: str,
    floating_pool: Any,
    hubs: Mapping[str, Mapping[str, Any]],
    registry_host: str,
    mirror_url: str,
    public_url: str,
    extra_hosts: Mapping[str, Any],
) -> list[str]:
    """List what a site reaches without its proxy.

    Args:
        extra: `site_no_proxy`. An entry behind `!` is taken out of the list instead: `!ghcr.io`.
        machines: addresses of the site's machines by name. As the inventory has them: those of facts come and go with the run.
        pod_subnet: one range, or several with commas.
        service_subnet: likewise. The first address of each is the API server's for pods.
        api_address: where nodes and controller find the API server.
        floating_pool: `site_floating_pool`.
        hubs: `site_resolved_hubs`, for floating addresses outside of the pool, and hubs with a name of their own.
        registry_host: host or host:port.
        mirror_url: of the mirror, empty where there is none.
        public_url: where people reach the hubs.
        extra_hosts: `site_extra_hosts`, whose names the proxy cannot look up either.

    Returns:
        Hosts, addresses, ends of names with a leading dot, and networks, each once. What cannot be read is left out, as
        preflight reports it.
    """
    given = [entry.strip() for entry in extra if isinstance(entry, str) and entry.strip()]
    taken_out = {entry[1:] for entry in given if entry.startswith("!")}
    found = ["localhost", "127.0.0.1", "::1", *machines.values(), *machines, api_address]
    found += _first_services(service_subnet) + _subnets(pod_subnet) + _subnets(service_subnet)
    found += [".svc", ".cluster.local", *_pool(floating_pool)]
    found += [str(hub.get("floating_ip") or "") for hub in hubs.values()]
    found += [_registry_host(registry_host), url_host(mirror_url), url_host(public_url)]
    found += [url_host(str(hub.get(url) or "")) for hub in hubs.values() for url in ("binder_url", "hub_url")]
    # What is no list of names, extra-hosts-malformed reports.
    named = (names for names in extra_hosts.values() if isinstance(names, (list, tuple)))
    found += [name for names in named for name in names if isinstance(name, str)]
    found += [one for entry in given if not entry.startswith("!") for one in _listed(entry)]
    return [entry for entry in dict.fromkeys(found) if entry and entry not in taken_out]


def environment(http: str, https: str, direct: Iterable[str]) -> dict[str, str]:
    """Give the variables of the environment that programs read, none where there is no proxy.

    In lower case for libcurl, which does not read HTTP_PROXY, and in upper case for who knows nothing else.
    """
    told = {"http_proxy": http, "https_proxy": https, "no_proxy": ",".join(direct)}
    if not (http or https):
        return {}
    return {name: value for key, value in told.items() if value for name in (key, key.upper())}


def openings(*proxies: Any) -> list[dict[str, Any]]:
    """Give what the guard has to open so that builds reach the proxies, as entries of `site_build_allowed_networks`."""
    found: list[dict[str, Any]] = []
    for text in proxies:
        read = parse_proxy(text)
        if not isinstance(read, ProxyUrl):
            continue
        address = parse_ip(read.host)
        if isinstance(address, IPv6Address):  # builds have none
            continue
        place = {"network": read.host} if isinstance(address, IPv4Address) else {"host": read.host}
        entry = {**place, "ports": [read.port]}
        if entry not in found:
            found.append(entry)
    return found
