# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the controller reads of other servers to judge a site: without an account, and not without end."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpFailure, HttpTransport

__all__ = ["INDEX_BYTES", "BadStatus", "fetch"]

TIMEOUT_SECONDS = 5.0
# Of an index over a slow line.
WHOLE_SECONDS = 30.0
# GitHub's pages and downloads lead elsewhere, as Helm and Ansible follow them. No password is ever sent here.
MOST_REDIRECTS = 5
# The official repository's index is larger than this; it is then only known to be there.
INDEX_BYTES = 1_000_000


class BadStatus(HttpFailure):
    """An answer that is not what was asked for, such as 404."""

    def __init__(self, status: int) -> None:
        super().__init__("status", f"answers {status}")
        self.status = status


def fetch(url: str, ca_files: Sequence[str]) -> bytes:
    """Read a URL, one byte more than INDEX_BYTES at most, trusting the site's CAs too.

    Raises:
        BadStatus: it answers with another status than 200.
        HttpFailure: it does not answer.
    """
    reply = HttpTransport(ca_files, uses_proxies=True).request(
        "GET",
        url,
        {"User-Agent": "ironbinder-site-check"},
        TIMEOUT_SECONDS,
        limit_bytes=INDEX_BYTES + 1,
        deadline_seconds=WHOLE_SECONDS,
        redirects=MOST_REDIRECTS,
    )
    if reply.status != 200:
        raise BadStatus(reply.status)
    return reply.body
