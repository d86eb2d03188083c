# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a site says of its HTTP proxy, entry by entry: the form that every program understands, and what is wrong with others."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

__all__ = [
    "LISTED_ADDRESSES",
    "Fault",
    "ProxyUrl",
    "describe_proxy",
    "entry_fault",
    "parse_network",
    "parse_proxy",
    "url_host",
]

# A network of no more addresses is listed by them too: 64 of them are a kilobyte of an environment.
LISTED_ADDRESSES = 64
# What stands in a URL before the @ without harm to any file or shell that it passes through; all else is to be written as %XX.
_ACCOUNT = re.compile(r"(?:[A-Za-z0-9._~!&()*+,;=:-]|%[0-9A-Fa-f]{2})*")
_NAME = re.compile(
    r"(?=.{1,253}$)(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?\.)*[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?\.?"
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_EXAMPLE = "write it as http://proxy.example.org:3128"
_ENTRY = "write one host, .domain, address or network an entry"


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


def _ignored(observed: str, remedy: str) -> Fault:
    return Fault(observed, remedy, refuses=False)


def _of_scheme(scheme: str) -> Fault:
    if not _SCHEME.fullmatch(scheme):  # an account in the wrong place, for example
        return _fault("has something in front of :// that is no scheme (its value is not shown)")
    return _fault(
        f"begins with {scheme[:12]}://, and not every program speaks that to a proxy",
        "write http://; what is fetched by https stays encrypted through it",
    )


def parse_proxy(text: Any) -> ProxyUrl | Fault | None:
    """Read the URL of a proxy. None: there is none."""
    if text is None or text == "":
        return None
    if not isinstance(text, str):
        return _fault("is no text")
    scheme, there, rest = text.strip().partition("://")
    account, at, place = rest.rpartition("@")
    if not there:
        return _fault("has no scheme: apt and Python refuse it, and others guess")
    if scheme.lower() != "http":
        return _of_scheme(scheme)
    if at and not _ACCOUNT.fullmatch(account):
        return _fault(
            "has an account with a character that a URL cannot carry (its value is not shown)",
            "write each character but letters, digits and . _ - as % and its two hexadecimal digits: @ is %40, / is %2F",
        )
    return _parse_place(place, bool(at))


def _parse_place(text: str, has_account: bool) -> ProxyUrl | Fault:
    """Read host:port."""
    try:
        parts = urlsplit(f"http://{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return _fault("has no host and port that can be read (its value is not shown)")
    if not (_NAME.fullmatch(host) or _is_address(host)):
        return _fault("names no host (its value is not shown)")
    if not port:
        return _fault(f"names {host} without a port: curl and git take 1080 for it, and others 80")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        return _fault(f"has more behind {host}:{port}, which a proxy has not")
    return ProxyUrl(host, port, has_account)


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


def parse_network(text: str) -> IPv4Network | None:
    """Read an IPv4 network, also one written as an address of it; None where it is none."""
    try:
        found = ip_network(text, strict=False)
    except ValueError:
        return None
    return found if isinstance(found, IPv4Network) else None


def entry_fault(entry: Any) -> Fault | None:
    """Say what is wrong with an entry of `site_no_proxy`, or which programs ignore it. None: all understand it."""
    text = entry.strip().removeprefix("!") if isinstance(entry, str) else ""
    if not text or re.search(r"[\s,;\"'\\]", text):
        return _fault(f"is {str(entry)[:60]!r}", _ENTRY)
    if text == "*":
        return _fault("is *, everything", "leave site_http_proxy and site_https_proxy empty in place of it")
    if "://" in text:
        return _fault(f"is {text[:60]!r}, a URL", f"write {url_host(text) or 'its host'}")
    if "/" in text:
        return _network_fault(text)
    if _is_address(text):
        is_ipv6 = isinstance(ip_address(text), IPv6Address)
        return (
            _ignored(f"is {text}: apt's configuration cannot name an IPv6 address", "name its host")
            if is_ipv6
            else None
        )
    return _name_fault(text)


def _network_fault(text: str) -> Fault | None:
    network = parse_network(text)
    if network is None:
        return _fault(f"is {text[:60]!r}, no IPv4 network", "write it as 192.0.2.0/24")
    if network.num_addresses <= LISTED_ADDRESSES:
        return None
    return _ignored(
        f"is {network}: Go (Docker, containerd, helm) and curl from 7.86 understand networks; apt, older curl and git, and "
        "Python's urllib go to its addresses through the proxy",
        f"add the addresses and names that these ask for, or networks of at most {LISTED_ADDRESSES} addresses",
    )


def _name_fault(text: str) -> Fault | None:
    if text.startswith("*."):
        return _ignored(
            f"is {text[:60]}: apt, curl, git and Python take the asterisk for a letter", f"write {text[1:]}"
        )
    name, _, port = text.partition(":")
    if port.isdigit() and _NAME.fullmatch(name):
        return _ignored(
            f"is {text[:60]}, with a port: apt, curl and git ignore such an entry", f"write {name}"
        )
    if text.startswith("."):
        return None if _NAME.fullmatch(text[1:]) else _fault(f"is {text[:60]!r}", _ENTRY)
    return None if _NAME.fullmatch(text) else _fault(f"is {text[:60]!r}", _ENTRY)


def url_host(url: str) -> str:
    """Host of a URL, `` where there is none to read."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # a rule about that URL reports it
        return ""
