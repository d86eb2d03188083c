# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the controller reads of other servers to judge a site: without an account, and not without end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ansible_collections.ironbinder.platform.plugins.module_utils._docker.mirror import MANIFEST_TYPES
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpTransport, Reply

__all__ = ["CHART_BYTES", "INDEX_BYTES", "download", "fetch", "manifest_status"]

AGENT = "ironbinder-site-check"
TIMEOUT_SECONDS = 5.0
# Of an index over a slow line.
WHOLE_SECONDS = 30.0
# GitHub's pages and downloads lead elsewhere, as Helm and Ansible follow them. No password is ever sent here.
MOST_REDIRECTS = 5
# The official repository's index is larger than this; it is then only known to be there.
INDEX_BYTES = 1_000_000
# A chart has a tenth of this, unpacked. A larger one is only known to be there.
CHART_BYTES = 20_000_000


def fetch(
    url: str,
    ca_files: Sequence[str],
    limit_bytes: int = INDEX_BYTES,
    environment: Mapping[str, str] | None = None,
) -> Reply:
    """Read a URL's first bytes, trusting the site's CAs too, and by the site's proxy (`environment`) if it has one.

    Raises HttpFailure.
    """
    return HttpTransport(ca_files, uses_proxies=True, environment=environment).request(
        "GET",
        url,
        {"User-Agent": AGENT},
        TIMEOUT_SECONDS,
        limit_bytes=limit_bytes,
        deadline_seconds=WHOLE_SECONDS,
        redirects=MOST_REDIRECTS,
    )


def download(url: str, ca_files: Sequence[str], environment: Mapping[str, str] | None = None) -> bytes:
    """Read a chart's archive, trusting the site's CAs too. Raises HttpFailure, or OSError for another answer than 200."""
    reply = fetch(url, ca_files, CHART_BYTES, environment)
    if reply.status != 200:
        raise OSError(f"it answers {reply.status}")
    return reply.body


def manifest_status(url: str, ca_files: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Ask a registry whether it has an image, by the URL of its manifest, and give the status. Raises HttpFailure."""
    return (
        HttpTransport(ca_files, uses_proxies=True, environment=environment)
        .request(
            "HEAD",
            url,
            # A registry that has an image in a form that is not named here says that it does not.
            {"User-Agent": AGENT, "Accept": ", ".join(MANIFEST_TYPES)},
            TIMEOUT_SECONDS,
            redirects=MOST_REDIRECTS,
        )
        .status
    )
