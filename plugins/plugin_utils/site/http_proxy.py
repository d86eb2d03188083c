# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The HTTP proxy of a site: its URL, what is reached without it, and in which form each program is told.

There is no standard for `no_proxy`. What Go (Docker, containerd, helm), libcurl (git, BinderHub), Python and apt understand
alike is a host's name and an IPv4 address; the end of a name behind a dot all but apt's configuration. Networks are understood
by Go, by libcurl since 7.86 and by Python's requests; so what is small is listed address by address.
https://pkg.go.dev/golang.org/x/net/http/httpproxy#Config https://curl.se/libcurl/c/CURLOPT_NOPROXY.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.pool import (
    PoolError,
    parse_pool,
    pool_addresses,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.registry import (
    RegistryAddressError,
    registry_address,
)

__all__ = [
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "PROXIES",
    "Fault",
    "ProxyUrl",
    "describe_proxy",
    "entry_fault",
    "environment",
    "no_proxy",
    "openings",
    "parse_proxy",
]

HTTP_PROXY, HTTPS_PROXY, NO_PROXY = "site_http_proxy", "site_https_proxy", "site_no_proxy"
PROXIES = (HTTP_PROXY, HTTPS_PROXY)
# A network of no more addresses is listed by them too: 64 of them are a kilobyte of an environment.
LISTED_ADDRESSES = 64
# Addresses of the floating pool that are listed; hubs have the first ones.
LISTED_FLOATING = 256
# What stands in a URL before the @ without harm to any file or shell that it passes through; all else is to be written as %XX.
_ACCOUNT = re.compile(r"(?:[A-Za-z0-9._~!&()*+,;=:-]|%[0-9A-Fa-f]{2})*")
_NAME = re.compile(r"(?=.{1,253}$)(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?\.)*[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?\.?")
_EXAMPLE = "write it as http://proxy.example.org:3128"


@dataclass(frozen=True)
class Fault:
    """What is wrong, for people, and never with the account in it. `refuses` is False where some programs cope."""

    observed: str
    remedy: str
    refuses: bool = True


@dataclass(frozen=True)
class ProxyUrl:
    """Where a proxy listens, and whether its URL holds an account."""

    host: str
    port: int
    has_account: bool


def _fault(observed: str, remedy: str = _EXAMPLE) -> Fault:
    return Fault(observed, remedy)


def parse_proxy(text: Any) -> ProxyUrl | Fault | None:
    """Read the URL of a proxy. None: there is none."""
    if text is None or text == "":
        return None
    if not isinstance(text, str):
        return _fault("is no text")
    scheme, there, rest = text.strip().partition("://")
    if not there:
        return _fault("has no scheme: apt and Python refuse it, and others guess")
    if scheme.lower() != "http":
        return _fault(
            f"begins with {scheme[:12]}://, and not every program speaks that to a proxy",
            "write http://; what is fetched by https stays encrypted through it",
        )
    account, at, place = rest.rpartition("@")
    if at and not _ACCOUNT.fullmatch(account):
        return _fault(
            "has an account with a character that a URL cannot carry (its value is not shown)",
            "write each character but letters, digits and . _ - as %XX: python3 -c 'import urllib.parse as u; print(u.quote(input(), safe=\"\"))'",
        )
    try:
        parts = urlsplit(f"http://{place}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return _fault("has no host and port that can be read (its value is not shown)")
    if not (_NAME.fullmatch(host) or _is_address(host)):
        return _fault("names no host (its value is not shown)")
    if not port:
        return _fault(f"names {host} without a port: curl and git take 1080 for it, and others 80")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        return _fault(f"has more behind {host}:{port}, which a proxy has not")
    return ProxyUrl(host, port, bool(at))


def describe_proxy(text: Any) -> dict[str, Any]:
    """Say what may be said of a proxy's URL: `set`, `host`, `port` and `account`, or `observed` and `remedy`."""
    read = parse_proxy(text)
    if isinstance(read, Fault):
        return {"set": True, "observed": read.observed, "remedy": read.remedy}
    if read is None:
        return {"set": False}
    return {"set": True, "host": read.host, "port": read.port, "account": read.has_account}


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _network(text: str) -> IPv4Network | None:
    try:
        found = ip_network(text, strict=False)
    except ValueError:
        return None
    return found if isinstance(found, IPv4Network) else None


def entry_fault(entry: Any) -> Fault | None:
    """Say what is wrong with an entry of `site_no_proxy`, or which programs ignore it. None: all understand it."""
    text = entry.strip().removeprefix("!") if isinstance(entry, str) else ""
    if not text or re.search(r"[\s,;\"'\\]", text):
        return _fault(f"is {str(entry)[:60]!r}", "write one host, .domain, address or network an entry")
    if "://" in text:
        return _fault(f"is {text[:60]!r}, a URL", f"write {urlsplit(text).hostname or 'its host'}")
    if text == "*":
        return _fault("is *, everything", "leave site_http_proxy and site_https_proxy empty in place of it")
    if text.startswith("*."):
        return Fault(
            f"is {text[:60]}: apt, curl, git and Python take the asterisk for a letter",
            f"write {text[1:]}",
            refuses=False,
        )
    if _is_address(text):
        if isinstance(ip_address(text), IPv6Address):
            return Fault(f"is {text}: apt's configuration cannot name an IPv6 address", "name its host", refuses=False)
        return None
    if "/" in text:
        network = _network(text)
        if network is None:
            return _fault(f"is {text[:60]!r}, no IPv4 network", "write it as 192.0.2.0/24")
        if network.num_addresses > LISTED_ADDRESSES:
            return Fault(
                f"is {network}: Go (Docker, containerd, helm) and curl from 7.86 understand networks; apt, older curl and git, "
                "and Python's urllib go to its addresses through the proxy",
                f"add the addresses and names that these ask for, or networks of at most {LISTED_ADDRESSES} addresses",
                refuses=False,
            )
        return None
    name, _, port = text.partition(":")
    if port.isdigit() and _NAME.fullmatch(name):
        return Fault(
            f"is {text[:60]}, with a port: apt, curl and git ignore such an entry", f"write {name}", refuses=False
        )
    if not _NAME.fullmatch(text.removeprefix(".")):
        return _fault(f"is {text[:60]!r}", "write one host, .domain, address or network an entry")
    return None


def _listed(entry: str) -> list[str]:
    """Give an entry, and the addresses of a network that is small enough."""
    network = _network(entry) if "/" in entry else None
    if network is None:
        return [entry]
    few = network.num_addresses <= LISTED_ADDRESSES
    return [str(network), *(map(str, network) if few else ())]


def _url_host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # a rule about that URL reports it
        return ""


def _registry_host(registry: str) -> str:
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
) -> list[str]:
    """List what a site reaches without its proxy.

    Args:
        extra: `site_no_proxy`. An entry behind `!` is taken out of the list instead: `!ghcr.io`.
        machines: addresses of the site's machines by name. As the inventory has them: those of facts come and go with the run.
        pod_subnet: one range, or several with commas.
        service_subnet: likewise. The first address of each is the API server's for pods.
        api_address: where nodes and controller find the API server.
        floating_pool: `site_floating_pool`.
        hubs: `site_resolved_hubs`, for floating addresses outside of the pool.
        registry_host: host or host:port.
        mirror_url: of the mirror, empty where there is none.
        public_url: where people reach the hubs.

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
    found += [_registry_host(registry_host), _url_host(mirror_url), _url_host(public_url)]
    found += [one for entry in given if not entry.startswith("!") for one in _listed(entry)]
    return [entry for entry in dict.fromkeys(found) if entry and entry not in taken_out]


def environment(http: str, https: str, direct: Iterable[str]) -> dict[str, str]:
    """Give the variables of the environment that programs read, none where there is no proxy.

    In lower case for libcurl, which does not read HTTP_PROXY, and in upper case for who knows nothing else.
    """
    told = {"http_proxy": http, "https_proxy": https, "no_proxy": ",".join(direct)}
    if not (http or https):
        return {}
    return {
        name: value for key, value in told.items() if value for name in (key, key.upper())
    }


def openings(*proxies: Any) -> list[dict[str, Any]]:
    """Give what the guard has to open so that builds reach the proxies, as entries of `site_build_allowed_networks`."""
    found: list[dict[str, Any]] = []
    for text in proxies:
        read = parse_proxy(text)
        if not isinstance(read, ProxyUrl):
            continue
        address = ip_address(read.host) if _is_address(read.host) else None
        if isinstance(address, IPv6Address):  # builds have none
            continue
        place = {"network": read.host} if isinstance(address, IPv4Address) else {"host": read.host}
        entry = {**place, "ports": [read.port]}
        if entry not in found:
            found.append(entry)
    return found
