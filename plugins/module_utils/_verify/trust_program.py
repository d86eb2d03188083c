# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The program that runs in a pod, a RUN step or on a node, and asks each peer of the site for a page, as programs there would.

Its argument is {"targets": [{"name": ..., "url": "https://registry.example.org:5000/v2/"}], "seconds": 4}. It trusts
whom the place trusts that it runs in (SSL_CERT_FILE, or OpenSSL's own), finds names as the place does, and goes by the proxy
that its environment names. It prints one line, as `fence_program` does.
  verified     an answer over TLS, of whom the certificate is for
  plain        an answer without TLS, which is what was asked for
  unverified   TLS, and nobody who is trusted vouches for the certificate, or it is for another name
  connected    a connection, and then no TLS or no HTTP
  refused, unreachable, silent, unresolved   as `fence_program` has them
  proxy        the environment's proxy fails
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._net.failure import HttpFailure
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpTransport
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_program import (
    end,
    say,
    try_all,
)

__all__ = ["ask", "main", "outcome_of"]

_PAGE_BYTES = 4096


def ask(target: dict[str, Any], seconds: float) -> tuple[str, str]:
    """Ask a peer for a page, twice where nothing came: a first packet may be lost, and a refusal may not."""
    found = ("silent", "")
    for _ in range(2):
        try:
            transport = HttpTransport(uses_proxies=True)
            reply = transport.request(
                "GET",
                target["url"],
                {"Accept": "*/*"},
                seconds,
                limit_bytes=_PAGE_BYTES,
                deadline_seconds=seconds,
            )
        except HttpFailure as failure:
            found = outcome_of(failure)
        else:
            words = "verified" if target["url"].startswith("https:") else "plain"
            return words, f"HTTP {reply.status}"
        if found[0] not in ("silent", "connected"):
            break
    return found


def outcome_of(failure: HttpFailure) -> tuple[str, str]:
    """Say in one word why there was no answer; the order matters, as most of these are OSErrors."""
    cause, text = failure.__cause__, str(failure)
    if failure.kind == "proxy":
        return "proxy", text
    if isinstance(cause, ssl.SSLCertVerificationError) or failure.kind == "request":
        # A request that cannot be sent: the place's own CAs cannot be read.
        return "unverified", text
    for kinds, word in (
        (ssl.SSLError, "connected"),
        (socket.gaierror, "unresolved"),
        ((socket.timeout, TimeoutError), "silent"),
        (ConnectionRefusedError, "refused"),
    ):
        if isinstance(cause, kinds):
            return word, text
    if failure.kind == "unreachable":
        return "unreachable", text
    return ("silent" if failure.kind == "silence" else "connected"), text


def main() -> None:
    """Do what the first argument asks for."""
    wanted = json.loads(sys.argv[1])
    say({"results": try_all(wanted["targets"], float(wanted.get("seconds", 4)), ask), "ipv6": []})
    end(wanted)
