# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Whom a connection trusts: what the machine trusts, and the site's own CAs."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Union

__all__ = ["TlsError", "trusting"]


class TlsError(ValueError):
    """CAs that cannot be used. The text names the file."""


def trusting(ca_files: Sequence[Union[str, Path]] = (), ca_pem: str = "") -> ssl.SSLContext:
    """Make a client's TLS context that verifies names and chains.

    Args:
        ca_files: PEM files with CAs to trust besides the machine's.
        ca_pem: the same as text.

    Raises:
        TlsError: a file is missing, or holds no certificate.
    """
    context = ssl.create_default_context()
    for file in ca_files:
        try:
            context.load_verify_locations(str(Path(file).expanduser()))
        except OSError as error:  # ssl.SSLError is one
            raise TlsError(f"{file} holds no CA certificates that can be used: {error}") from error
    if ca_pem.strip():
        try:
            context.load_verify_locations(cadata=ca_pem)
        except (ssl.SSLError, ValueError) as error:
            raise TlsError(f"the site's CA certificates cannot be used: {error}") from error
    return context
