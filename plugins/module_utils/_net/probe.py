# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a machine can reach. Runs on targets: Python 3.9, the standard library, no change."""

from __future__ import annotations

import base64
import errno
import gzip
import io
import re
import socket
import ssl
import urllib.parse
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Optional

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock, SystemClock
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import (
    HttpFailure,
    HttpTransport,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._net.registry_token import challenge_fields
from ansible_collections.ironbinder.platform.plugins.module_utils._net.urls import shown

__all__ = ["NetworkProbe", "ask_neighbours", "ask_peers", "package_versions"]

TIMEOUT_SECONDS = 4.0
# Of a list of packages over a slow line.
LIST_SECONDS = 30.0
# Answers of servers that do not have what they are asked for; storage services say 403.
GONE = {403, 404, 410}
PEER_SECONDS = 1.5
# As apt and Helm follow them; a registry's are never followed.
MOST_REDIRECTS = 5
# A longer list is cut, cannot be unpacked, and leaves the last word to apt.
INDEX_BYTES = 4_000_000
UNPACKED_BYTES = 40_000_000
# A neighbour answers ARP within milliseconds; a silent address costs this once for all of them.
ARP_SECONDS = 0.6
NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH)
AGENT = {"User-Agent": "ironbinder-site-probe"}


def _ask_peer(address: str, port: int, connect: Callable[..., Any]) -> str:
    if not 0 < port < 65536:  # getaddrinfo takes any number, and only its last bits
        return f"other: {port} is no port"
    try:
        connect((address, port), timeout=PEER_SECONDS).close()
    except ConnectionRefusedError:
        return "reachable"  # somebody was there to refuse
    except socket.timeout:
        return "timeout"
    except OSError as error:
        return f"unreachable: {error.strerror or error}" if error.errno in NO_ROUTE else f"other: {error}"
    except (ValueError, TypeError) as error:  # what cannot be a name, such as one with a NUL
        return f"other: {error}"
    return "reachable"


def ask_peers(
    addresses: Sequence[str], port: int, connect: Callable[..., Any] = socket.create_connection
) -> dict[str, str]:
    """Try a TCP connection to each address: `reachable`, `timeout`, `unreachable: why`, `other: why`."""
    if not addresses:
        return {}
    with ThreadPoolExecutor(max_workers=16) as pool:
        return dict(zip(addresses, pool.map(lambda address: _ask_peer(address, port, connect), addresses)))


def ask_neighbours(
    addresses: Sequence[str], table: Callable[[], Mapping[str, str]], clock: Optional[Clock] = None
) -> dict[str, str]:
    """Make the kernel ask for each address, and give the hardware addresses of those that answer.

    Args:
        addresses: IPv4 addresses; others have no neighbour.
        table: gives the kernel's table of neighbours, {address: hardware address}.
        clock: time.
    """
    if not addresses:
        return {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        for address in addresses:
            try:
                sender.sendto(b"", (address, 9))  # discard; the kernel has to ask by ARP first
            except (OSError, ValueError, TypeError):  # no route, or no address: nobody there is a neighbour
                continue
    (clock or SystemClock()).sleep(ARP_SECONDS)
    found = table()
    return {address: found[address] for address in addresses if address in found}


def _kind(failure: HttpFailure) -> str:
    cause = failure.__cause__
    if failure.kind == "silence" or isinstance(cause, (TimeoutError, socket.timeout)):
        return "timeout"
    if failure.kind == "tls":
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "untrusted"
        return "not-tls" if "WRONG_VERSION_NUMBER" in str(cause) or "RECORD_LAYER" in str(cause) else "other"
    if failure.kind == "unreachable" and isinstance(cause, socket.gaierror):
        return "resolve"
    return (
        "refused" if failure.kind == "unreachable" and isinstance(cause, ConnectionRefusedError) else "other"
    )


def package_versions(index: str, names: Sequence[str]) -> dict[str, list[str]]:
    """Read a repository's list of packages: {name: versions in its order} of those of `names` that it has."""
    found: dict[str, list[str]] = {}
    for paragraph in index.split("\n\n"):
        fields = dict(re.findall(r"(?m)^(Package|Version):[ \t]*(\S+)", paragraph))
        if fields.get("Package") in names and "Version" in fields:
            found.setdefault(fields["Package"], []).append(fields["Version"])
    return found


class NetworkProbe:
    """Asks servers, and changes nothing there.

    Args:
        transport: the connection to them.
        clock: time.
    """

    def __init__(self, transport: HttpTransport, clock: Optional[Clock] = None) -> None:
        self._transport = transport
        self._clock = clock or SystemClock()

    def url(
        self, url: str, headers: Optional[Mapping[str, str]] = None, redirects: int = MOST_REDIRECTS
    ) -> dict[str, Any]:
        """GET a URL.

        Returns:
            `url`, `seconds`, and either `status` with `challenge` (WWW-Authenticate) and, where it is
            3xx, `redirect` (where it leads, without query), or `error` (resolve, refused, timeout,
            untrusted, not-tls, other) with `detail`.
        """
        started = self._clock.now()
        told: dict[str, Any] = {"url": url}
        try:
            reply = self._transport.request(
                "GET", url, {**AGENT, **(headers or {})}, TIMEOUT_SECONDS, redirects=redirects
            )
        except HttpFailure as failure:
            told["error"], told["detail"] = _kind(failure), str(failure)
        else:
            told["status"] = reply.status
            if reply.status >= 300:
                told["challenge"] = reply.headers.get("www-authenticate", "")
            if 300 <= reply.status < 400:
                told["redirect"] = shown(reply.headers.get("location", ""), url)
        told["seconds"] = round(self._clock.now() - started, 3)
        return told

    def registry(self, url: str) -> dict[str, Any]:
        """GET a registry's `/v2/`, and do not follow where it redirects: no password may go there later."""
        return self.url(url, redirects=0)

    def registry_login(self, url: str, username: str, password: str) -> dict[str, Any]:
        """Log in to the registry whose `/v2/` is `url`, by Basic or by token, as `docker login` does.

        Returns:
            As `url`, and `login`: the URL that was told the password, `` where none was.

        Source: https://distribution.github.io/distribution/spec/auth/token/
        """
        first = self.registry(url)
        if first.get("status") != 401:
            return {**first, "login": ""}
        pair = base64.b64encode(f"{username}:{password}".encode()).decode()
        target, challenge = url, str(first.get("challenge") or "")
        if challenge.lower().startswith("bearer"):
            fields = challenge_fields(challenge)
            query = urllib.parse.urlencode({"service": fields.get("service", ""), "account": username})
            realm = fields.get("realm", "")
            # A password goes where the registry sends it, but never from TLS to plain HTTP.
            if not realm.startswith("https://") and not url.startswith("http://"):
                detail = f"its token server {shown(realm)} does not speak TLS, so no password is sent there"
                return {"url": url, "login": shown(realm), "error": "other", "detail": detail}
            target = f"{realm}{'&' if '?' in realm else '?'}{query}"
        answer = self.url(target, {"Authorization": f"Basic {pair}"}, redirects=0)
        return {**answer, "url": url, "login": shown(target)}

    def packages(self, index: Mapping[str, str], names: Sequence[str]) -> Optional[dict[str, list[str]]]:
        """Read a repository's list of packages.

        Args:
            index: `list`, the URL of the list, compressed by gzip, and `release`, that of the signed
                InRelease that makes apt trust it.
            names: packages to look for.

        Returns:
            {name: versions}; None where apt may see something else, because there is no InRelease, or
            because the list cannot be had or read: apt may have a proxy of its own.
        """
        try:
            release = self._get(str(index["release"]), 1)
            reply = self._get(str(index["list"]), INDEX_BYTES)
            if release.status != 200 or reply.status != 200 or reply.truncated or not reply.body:
                return None
            unpacked = gzip.GzipFile(fileobj=io.BytesIO(reply.body)).read(UNPACKED_BYTES + 1)
        except (HttpFailure, KeyError, OSError, EOFError, zlib.error):
            return None
        if len(unpacked) > UNPACKED_BYTES:
            return None
        return package_versions(unpacked.decode(errors="replace"), names)

    def refusal(self, index: Mapping[str, str]) -> str:
        """Say that a repository's server does not have it, as apt would find too; `` where it may.

        Args:
            index: as for `packages`. Without InRelease apt asks for Release, so both have to be gone.
        """
        release = str(index.get("release"))
        if not release.endswith("/InRelease"):
            return ""
        asked = [release, f"{release.removesuffix('InRelease')}Release"]
        try:
            statuses = [self._get(url, 1).status for url in asked]
        except (HttpFailure, OSError):
            return ""
        return f"{asked[1]} answers {statuses[1]}" if set(statuses) <= GONE else ""

    def _get(self, url: str, limit_bytes: int) -> Any:
        return self._transport.request(
            "GET",
            url,
            AGENT,
            TIMEOUT_SECONDS,
            limit_bytes=limit_bytes,
            deadline_seconds=LIST_SECONDS,
            redirects=MOST_REDIRECTS,
        )
