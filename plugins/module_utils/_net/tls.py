# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Whom a connection trusts: what the machine trusts, and the site's own CAs."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Union

__all__ = ["BUNDLE_FILE", "BUNDLE_VARIABLES", "TlsError", "served_certificate", "trusting"]

# The bundle of Debian, Ubuntu and Alpine, on a machine and in images alike. libcurl, which BinderHub asks the registry with,
# reads this path and no variable.
BUNDLE_FILE = "/etc/ssl/certs/ca-certificates.crt"
# What programs that bring their own bundle take another from: OpenSSL's and Go's, Python's requests, Git.
BUNDLE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO")


class TlsError(ValueError):
    """CAs that cannot be used. The text names the file."""


def trusting(
    ca_files: Sequence[Union[str, Path]] = (), ca_pem: str = "", validate_certs: bool = True
) -> ssl.SSLContext:
    """Make a client's TLS context that verifies names and chains.

    Args:
        ca_files: PEM files with CAs to trust besides the machine's.
        ca_pem: the same as text.
        validate_certs: False trusts anybody.

    Raises:
        TlsError: a file is missing, or holds no certificate.
    """
    context = ssl.create_default_context()
    for file in ca_files:
        try:
            context.load_verify_locations(str(Path(file).expanduser()))
        except (OSError, ValueError, RuntimeError) as error:  # ssl.SSLError is an OSError
            raise TlsError(f"{file} holds no CA certificates that can be used: {error}") from error
    if ca_pem.strip():
        try:
            # Certificates are ASCII in PEM; what is said of them between may have an umlaut.
            context.load_verify_locations(cadata=ca_pem.encode("ascii", "ignore").decode("ascii"))
        except (ssl.SSLError, ValueError) as error:
            raise TlsError(f"the site's CA certificates cannot be used: {error}") from error
    if not validate_certs:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def served_certificate(address: str, port: int, timeout_seconds: float = 3.0) -> bytes:
    """Give the certificate that a port serves, in DER, whoever signed it. Nothing is sent over the connection.

    Raises:
        OSError: nobody answers, or not in TLS.
    """
    plain = socket.create_connection((address, port), timeout=timeout_seconds)
    with plain, trusting(validate_certs=False).wrap_socket(plain, server_hostname=address) as secured:
        return secured.getpeercert(binary_form=True) or b""
