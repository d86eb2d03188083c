# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a machine can reach. Runs on targets: Python 3.9, the standard library, no change."""

from __future__ import annotations

import base64
import errno
import gzip
import http.client
import re
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

__all__ = [
    "ask_neighbours",
    "ask_packages",
    "ask_peers",
    "ask_registry_login",
    "ask_url",
    "context_for",
    "neighbours",
    "package_versions",
]

TIMEOUT_SECONDS = 4.0
PEER_SECONDS = 1.5
# A longer list is cut, cannot be unpacked, and leaves the last word to apt.
INDEX_BYTES = 4_000_000
# A neighbour answers ARP within milliseconds; a silent address costs this once for all of them.
ARP_SECONDS = 0.6
# An entry of the kernel's table that has an answer, include/uapi/linux/if_arp.h.
ATF_COM = 0x2
NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH)


def context_for(ca_pem: str) -> ssl.SSLContext:
    """A context that trusts the machine's CAs and those in `ca_pem`."""
    context = ssl.create_default_context()
    if ca_pem.strip():
        context.load_verify_locations(cadata=ca_pem)
    return context


def _ask_peer(address: str, port: int, connect: Callable[..., Any]) -> str:
    try:
        connect((address, port), timeout=PEER_SECONDS).close()
    except ConnectionRefusedError:
        return "reachable"  # somebody was there to refuse
    except socket.timeout:
        return "timeout"
    except OSError as error:
        return f"unreachable: {error.strerror or error}" if error.errno in NO_ROUTE else f"other: {error}"
    return "reachable"


def ask_peers(
    addresses: Sequence[str], port: int, connect: Callable[..., Any] = socket.create_connection
) -> dict[str, str]:
    """Try a TCP connection to each address: `reachable`, `timeout`, `unreachable: why`, `other: why`."""
    if not addresses:
        return {}
    with ThreadPoolExecutor(max_workers=16) as pool:
        return dict(zip(addresses, pool.map(lambda address: _ask_peer(address, port, connect), addresses)))


def neighbours(table: str) -> dict[str, str]:
    """Read /proc/net/arp: {address: hardware address} of complete entries."""
    found = {}
    for line in table.splitlines()[1:]:
        parts = line.split()
        if len(parts) >= 4 and int(parts[2], 16) & ATF_COM and parts[3] != "00:00:00:00:00:00":
            found[parts[0]] = parts[3]
    return found


def ask_neighbours(
    addresses: Sequence[str], table: Path = Path("/proc/net/arp"), wait: Callable[[float], None] = time.sleep
) -> dict[str, str]:
    """Make the kernel ask for each address, and give the hardware addresses of those that answer."""
    if not addresses:
        return {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        for address in addresses:
            try:
                sender.sendto(b"", (address, 9))  # discard; the kernel has to ask by ARP first
            except OSError:  # no route: then nobody there is a neighbour
                continue
    wait(ARP_SECONDS)
    found = neighbours(table.read_text())
    return {address: found[address] for address in addresses if address in found}


def _kind(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return "untrusted"
    if isinstance(error, ssl.SSLError):
        return "not-tls" if "WRONG_VERSION_NUMBER" in str(error) or "RECORD_LAYER" in str(error) else "other"
    if isinstance(error, socket.gaierror):
        return "resolve"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    return "timeout" if isinstance(error, (socket.timeout, TimeoutError)) else "other"


def ask_url(url: str, context: ssl.SSLContext, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """GET a URL without following what it says.

    Returns:
        `url`, `seconds`, and either `status` with `challenge` (WWW-Authenticate), or `error`
        (resolve, refused, timeout, untrusted, not-tls, other) with `detail`.
    """
    started = time.monotonic()
    told: dict[str, Any] = {"url": url}
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
    try:
        request = urllib.request.Request(
            url, headers={"User-Agent": "ironbinder-site-probe", **(headers or {})}
        )
        with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
            told["status"] = answer.status
    except urllib.error.HTTPError as error:
        told["status"], told["challenge"] = error.code, error.headers.get("WWW-Authenticate") or ""
    except urllib.error.URLError as error:
        reason = error.reason if isinstance(error.reason, BaseException) else error
        told["error"], told["detail"] = _kind(reason), str(reason)
    except (OSError, ValueError) as error:
        told["error"], told["detail"] = _kind(error), str(error)
    except (
        Exception
    ) as error:  # http.client's own, such as BadStatusLine from something that is no web server
        told["error"], told["detail"] = "other", f"{type(error).__name__}: {error}"
    told["seconds"] = round(time.monotonic() - started, 3)
    return told


def ask_registry_login(url: str, username: str, password: str, context: ssl.SSLContext) -> dict[str, Any]:
    """Log in to the registry whose `/v2/` is `url`, by Basic or by token, as `docker login` does.

    Source: https://distribution.github.io/distribution/spec/auth/token/
    """
    first = ask_url(url, context)
    if first.get("status") != 401:
        return first
    pair = base64.b64encode(f"{username}:{password}".encode()).decode()
    basic = {"Authorization": f"Basic {pair}"}
    challenge = str(first.get("challenge") or "")
    if challenge.lower().startswith("bearer"):
        fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        query = {"service": fields.get("service", ""), "account": username}
        realm = fields.get("realm", "")
        # A password goes where the registry sends it, but never from TLS to plain HTTP.
        if not realm.startswith("https://") and not url.startswith("http://"):
            return {"url": url, "error": "other", "detail": "its token server does not speak TLS"}
        answer = ask_url(f"{realm}?{urllib.parse.urlencode(query)}", context, basic)
    else:
        answer = ask_url(url, context, basic)
    return {**answer, "url": url}


def package_versions(index: str, names: Sequence[str]) -> dict[str, list[str]]:
    """Read a repository's list of packages: {name: versions in its order} of those of `names` that it has."""
    found: dict[str, list[str]] = {}
    for paragraph in index.split("\n\n"):
        fields = dict(re.findall(r"(?m)^(Package|Version):[ \t]*(\S+)", paragraph))
        if fields.get("Package") in names and "Version" in fields:
            found.setdefault(fields["Package"], []).append(fields["Version"])
    return found


def ask_packages(url: str, names: Sequence[str], context: ssl.SSLContext) -> dict[str, list[str]]:
    """Read the list of packages at `url`, compressed by gzip; {} where it cannot be read, as apt may have a proxy."""
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "ironbinder-site-probe"})
        with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
            text = gzip.decompress(answer.read(INDEX_BYTES)).decode(errors="replace")
    except (OSError, ValueError, EOFError, zlib.error, http.client.HTTPException):
        return {}
    return package_versions(text, names)
