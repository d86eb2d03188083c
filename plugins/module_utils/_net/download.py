# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Files of other servers, whole and as their digest says."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from ansible_collections.ironbinder.platform.plugins.module_utils._base.files import write_atomically
from ansible_collections.ironbinder.platform.plugins.module_utils._net.failure import HttpFailure
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpTransport
from ansible_collections.ironbinder.platform.plugins.module_utils._net.urls import shown

__all__ = ["Download", "DownloadError", "Wish"]

# Downloads of GitHub, pkgs.k8s.io and others lead to a server near by.
MOST_REDIRECTS = 5
# A file of digests is a line a file.
DIGEST_BYTES = 1 << 20
_SHA256 = re.compile(r"(?:[0-9a-f]{2}){32}")


class DownloadError(RuntimeError):
    """A file that could not be had. The text says which, what was seen, and what to do."""


@dataclass(frozen=True)
class Wish:
    """A file that shall be there. `checksum` is sha256:<hex> or sha256:<URL of a file that has it>."""

    url: str
    path: Path
    mode: int = 0o644
    checksum: str = ""
    force: bool = False


class Download:
    """Fetches by one transport; a file of more than `limit_bytes` is refused."""

    def __init__(self, transport: HttpTransport, timeout_seconds: float, limit_bytes: int) -> None:
        self._transport = transport
        self._timeout = timeout_seconds
        self._limit = limit_bytes

    def fetch(self, url: str, limit_bytes: Optional[int] = None) -> bytes:
        """Read what a URL has. Raises DownloadError."""
        limit = limit_bytes or self._limit
        try:
            reply = self._transport.request(
                "GET",
                url,
                {"User-Agent": "ironbinder", "Accept": "*/*"},
                self._timeout,
                limit_bytes=limit,
                # As slow as the slowest line on which waiting makes sense, 64 KiB a second.
                deadline_seconds=max(5 * self._timeout, limit / (1 << 16)),
                redirects=MOST_REDIRECTS,
            )
        except HttpFailure as error:
            raise DownloadError(
                f"{shown(url)} cannot be had: {error}. Ask for it on this machine (curl), and see site_http_proxy, "
                "site_no_proxy and site_ca_files"
            ) from error
        if reply.status != 200:
            raise DownloadError(
                f"{shown(url)} answers {reply.status}: is it the right server, and has it the file?"
            )
        if reply.truncated:
            raise DownloadError(f"{shown(url)} has more than {limit} bytes, which is not what was asked for")
        return reply.body

    def expected(self, wish: Wish) -> str:
        """Give the digest that a file has to have, empty where any will do. Raises DownloadError."""
        kind, _, told = wish.checksum.partition(":")
        if not wish.checksum:
            return ""
        if kind == "sha256" and _SHA256.fullmatch(told.lower()):
            return told.lower()
        if kind != "sha256" or "://" not in told:
            raise DownloadError(
                f"the checksum of {shown(wish.url)} is neither sha256:<digest> nor sha256:<URL>"
            )
        found = _SHA256.search(self.fetch(told, DIGEST_BYTES).decode("ascii", "replace").lower())
        if not found:
            raise DownloadError(f"{shown(told)} holds no SHA-256")
        return found.group()

    def is_needed(self, wish: Wish) -> bool:
        """Whether the file is missing, or known without a question not to be what is wanted."""
        if wish.force or not _holds_something(wish.path):
            return True
        told = wish.checksum.partition(":")[2].lower()
        return bool(_SHA256.fullmatch(told)) and _digest(wish.path.read_bytes()) != told

    def bring(self, wish: Wish) -> bool:
        """Have the file, and say whether it was written. Raises DownloadError, or OSError where it cannot be written."""
        there = wish.path.read_bytes() if _holds_something(wish.path) else None
        if there is not None and not wish.force and not wish.checksum:
            return _set_mode(wish.path, wish.mode)
        wanted = self.expected(wish)
        if there is not None and wanted and _digest(there) == wanted:
            return _set_mode(wish.path, wish.mode)
        data = self.fetch(wish.url)
        if wanted and _digest(data) != wanted:
            raise DownloadError(
                f"{shown(wish.url)} has the SHA-256 {_digest(data)}, and {wanted} was expected: something between changed it, "
                "or the mirror has another version. Nothing was written"
            )
        if data == there:
            return _set_mode(wish.path, wish.mode)
        return write_atomically(wish.path, data, mode=wish.mode)


def _holds_something(path: Path) -> bool:
    """Whether there is such a file. A disk that was full leaves an empty one, which is none."""
    return path.is_file() and path.stat().st_size > 0


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _set_mode(path: Path, mode: int) -> bool:
    if path.stat().st_mode & 0o7777 == mode:
        return False
    path.chmod(mode)
    return True
