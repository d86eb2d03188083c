# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""When a certificate ends, and whose it is. The standard library reads those of connections only, and machines may have no other.

Form: https://www.rfc-editor.org/rfc/rfc5280#section-4.1, in the encoding of ITU-T X.690.
"""

from __future__ import annotations

import base64
import re
import ssl
from calendar import timegm
from collections.abc import Iterator
from time import strptime

__all__ = ["CertificateError", "common_name", "first_certificate", "in_kubeconfig", "not_after"]

SEQUENCE, UTC_TIME, VERSION = 0x30, 0x17, 0xA0
COMMON_NAME = bytes((0x55, 4, 3))
PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class CertificateError(ValueError):
    """What is no certificate."""


def first_certificate(pem: str) -> bytes:
    """Give the first certificate of a PEM text, whatever else it holds, in DER. Raises CertificateError."""
    found = PEM.search(pem)
    if found is None:
        raise CertificateError("it holds no certificate")
    try:
        return ssl.PEM_cert_to_DER_cert(found.group())
    except ValueError as error:  # binascii's is one
        raise CertificateError(f"what it has is not base64: {error}") from error


def in_kubeconfig(text: str) -> str:
    """Give the client's certificate of a kubeconfig, which kubeadm writes in one line of base64, as PEM; `` where it has none."""
    found = re.search(r"^\s*client-certificate-data: *(\S+)$", text, re.MULTILINE)
    try:
        return base64.b64decode(found.group(1)).decode("ascii", "replace") if found else ""
    except ValueError:  # binascii's is one; a character beyond ASCII gives a plain one
        return ""


def not_after(der: bytes) -> float:
    """Tell when a certificate ends, in seconds since the epoch. Raises CertificateError."""
    try:
        # serialNumber, signature, issuer, validity
        tag, text = list(_parts(_fields(der)[3]))[1]
        form = "%y%m%d%H%M%SZ" if tag == UTC_TIME else "%Y%m%d%H%M%SZ"
        return float(timegm(strptime(text.decode("ascii"), form)))
    except (StopIteration, IndexError, ValueError) as error:
        raise CertificateError(f"it is no certificate: {error or 'it ends early'}") from error


def common_name(der: bytes) -> str:
    """Tell whose a certificate is: the common name of its subject, `` where it has none. Raises CertificateError."""
    try:
        # ..., validity, subject: sets of pairs of an identifier and a text
        pairs = [list(_parts(pair)) for _, one in _parts(_fields(der)[4]) for _, pair in _parts(one)]
        return next((text.decode() for (_, what), (_, text) in pairs if what == COMMON_NAME), "")
    except (StopIteration, IndexError, ValueError) as error:
        raise CertificateError(f"it is no certificate: {error or 'it ends early'}") from error


def _fields(der: bytes) -> list[bytes]:
    """Give what a certificate says, without its version and its signature."""
    certificate = next(_parts(der))[1]
    return [content for tag, content in _parts(next(_parts(certificate))[1]) if tag != VERSION]


def _parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Give (tag, content) of each value in a row."""
    at = 0
    while at < len(data):
        tag, size, at = data[at], data[at + 1], at + 2
        if size & 0x80:
            many = size & 0x7F
            size, at = int.from_bytes(data[at : at + many], "big"), at + many
        if at + size > len(data):
            raise CertificateError("a value is longer than what holds it")
        yield tag, data[at : at + size]
        at += size
