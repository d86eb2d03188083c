# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Whom each place of a site has to trust, and whom it must not even reach: the trust matrix as a table. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional
from urllib.parse import unquote, urlsplit

from ansible_collections.ironbinder.platform.plugins.module_utils._net.urls import PORTS
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_facts import Facts
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_rules import (
    Origin,
    Target,
    expected,
)

__all__ = ["DAEMONS", "MISSING_IMAGE", "PLACES", "Peer", "daemon_outcome", "git_url", "peers", "wanted"]

# The columns, in the order in which an image comes to a session.
PLACES = ("node", "dockerd", "containerd", "binder", "build", "run", "hub", "session")
# They speak to registries only, and are asked by a name that no image has.
DAEMONS = ("dockerd", "containerd")
MISSING_IMAGE = "ironbinder/trust-check:none"
# Places that no fence holds, and that cannot do without.
_NEEDS = {
    "registry": {"node", "binder", *DAEMONS},
    "mirror": {"node", *DAEMONS},
    "git": {"binder", "build"},
    "public_url": {"binder", "hub"},
}
_HOSTED = {"gh": "https://github.com", "gist": "https://gist.github.com", "gl": "https://gitlab.com"}


@dataclass(frozen=True)
class Peer:
    """Somebody whom places of the site talk to: what it is, its URL as the contract has it, and one of its addresses."""

    name: str
    kind: str
    url: str
    address: str = ""

    @property
    def place(self) -> str:
        """Host and port, as images of a registry there begin."""
        return urlsplit(self.url).netloc

    @property
    def port(self) -> int:
        """The URL's port, or its scheme's."""
        parts = urlsplit(self.url)
        return parts.port or PORTS[parts.scheme]

    @property
    def is_plain(self) -> bool:
        """Whether the site wants no TLS there."""
        return self.url.startswith("http:")


def git_url(provider: str, spec: str) -> str:
    """Say whom a launch clones from, by the provider and the spec of a Binder link; empty where that is no web server."""
    if provider in _HOSTED:
        return _HOSTED[provider]
    url = unquote(spec.rpartition("/")[0]) if provider == "git" else ""
    parts = urlsplit(url)
    return (
        f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        if parts.scheme in PORTS and parts.hostname
        else ""
    )


def peers(facts: Facts, *, plain_registry: bool, git: str) -> list[Peer]:
    """Return whom a site talks to; each name has one.

    Args:
        facts: registry, mirror and public URL, and the addresses of names as the controller finds them.
        plain_registry: whether the registry speaks plain HTTP.
        git: see `git_url`.
    """
    found = []
    for name, kind, url in (
        (
            "registry",
            "registry",
            f"{'http' if plain_registry else 'https'}://{facts.registry}" if facts.registry else "",
        ),
        ("mirror", "mirror", facts.mirror_url),
        ("Git host", "git", git),
        ("public URL", "public_url", facts.public_url),
    ):
        parts = urlsplit(url)
        if not parts.hostname:
            continue
        address = next(iter(facts.addresses.get(parts.hostname) or [parts.hostname]))
        # A registry's page for anybody; of others the first.
        path = "/v2/" if kind == "registry" else "/"
        found.append(Peer(name, kind, f"{parts.scheme}://{parts.netloc}{path}", address))
    return found


def _kind(peer: Peer, known: Sequence[Peer]) -> str:
    """Say what a peer is to the fences: a Git host may be the mirror, a private server, or somewhere on the Internet."""
    if peer.kind != "git":
        return peer.kind
    for other in known:
        if other.kind != "git" and (other.address, other.port) == (peer.address, peer.port):
            return other.kind
    try:
        return "internet" if ipaddress.ip_address(peer.address).is_global else "private"
    except ValueError:
        return "internet"


def wanted(
    peer: Peer,
    origin: Origin,
    known: Sequence[Peer],
    *,
    enforced: Sequence[str],
    networks: Mapping[str, Sequence[Any]],
    resolved: Mapping[str, Sequence[str]],
) -> Optional[bool]:
    """Tell whether a place has to trust a peer (True), must not reach it (False), or is not judged (None).

    Args:
        peer: whom.
        origin: the place, one of PLACES.
        known: all peers of the site.
        enforced: roles whose fences are on.
        networks: what the site opened, by `session` and `build`.
        resolved: addresses of the names in `networks`.
    """
    needs = origin.role in _NEEDS[peer.kind]
    if origin.role in ("session", "build", "run"):
        target = Target(peer.name, _kind(peer, known), peer.address, peer.port)
        fenced = expected(target, origin, networks, resolved)
        # A campus may let nobody out but builds: what the fences do not forbid is no promise yet.
        if peer.kind == "git" and fenced:
            return True if needs else None
        if fenced is False and origin.role not in enforced:
            return True if needs else None
        return fenced
    return True if needs else None


_DAEMON_WORDS = (
    ("unverified", re.compile(r"x509:|certificate|tls: (?!first record)", re.IGNORECASE)),
    (
        "connected",
        re.compile(
            r"server gave HTTP response|first record does not look like|malformed HTTP", re.IGNORECASE
        ),
    ),
    ("unresolved", re.compile(r"\blookup \S+|no such host", re.IGNORECASE)),
    ("proxy", re.compile(r"proxyconnect|Proxy Authentication", re.IGNORECASE)),
    ("refused", re.compile(r"connection refused", re.IGNORECASE)),
    (
        "unreachable",
        re.compile(r"no route to host|network is unreachable|host is unreachable", re.IGNORECASE),
    ),
    ("silent", re.compile(r"timeout|deadline exceeded|was ended after", re.IGNORECASE)),
    # What a registry itself says of an image that it does not have, or does not give to nobody.
    (
        "answered",
        re.compile(
            r"manifest unknown|name unknown|not found|no basic auth|unauthorized|denied|authorization failed|40[134]\b",
            re.IGNORECASE,
        ),
    ),
)


def daemon_outcome(peer: Peer, said: str) -> tuple[str, str]:
    """Say in one word what a daemon found, from its own words about an image that nobody has; they are Go's.

    Returns:
        (outcome, detail), see `trust_program`; `missing` where the daemon itself did not answer.
    """
    text = " ".join(said.split())[-200:]
    for word, pattern in _DAEMON_WORDS:
        if pattern.search(said):
            return (("plain" if peer.is_plain else "verified") if word == "answered" else word), text
    return "missing", text
