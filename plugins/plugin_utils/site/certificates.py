# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What PEM files on the controller say, as plain data."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._net.tls import trusting

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    HAS_CRYPTOGRAPHY = True
except ImportError:  # the rule tls-library-missing reports it
    HAS_CRYPTOGRAPHY = False

__all__ = ["HAS_CRYPTOGRAPHY", "describe_ca", "describe_pair", "is_usable", "pair_problem"]

# A bundle of all roots there are has a quarter of this.
MOST_BYTES = 1_000_000
# A chain of more certificates than this is a loop.
LONGEST_CHAIN = 10
# Of any kind: PKCS#8 with and without a passphrase, RSA, EC, OpenSSH's own.
_PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")


class _PemError(ValueError):
    """A PEM file that cannot be used. Its text says which and why."""


def _read(path: str) -> bytes:
    try:
        place = Path(path).expanduser()
        # What never ends, such as a pipe, is not waited for.
        if place.exists() and not place.is_file():
            raise _PemError(f"{path} is no file")
        with place.open("rb") as stream:
            text = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise _PemError(f"{path}: {error.strerror or error}") from error
    except (RuntimeError, ValueError) as error:  # a home that nobody has, a NUL in the path
        raise _PemError(f"{path!r} is no path: {error}") from error
    if len(text) > MOST_BYTES:
        raise _PemError(f"{path} is too long to be PEM")
    return text


def _certificates(path: str) -> list[x509.Certificate]:
    try:
        found = x509.load_pem_x509_certificates(_read(path))
    except _PemError:
        raise
    except ValueError as error:
        raise _PemError(f"{path} holds no readable PEM certificate") from error
    return list(found)


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    names = [str(name) for name in alternatives.get_values_for_type(x509.DNSName)]
    return names + [str(address) for address in alternatives.get_values_for_type(x509.IPAddress)]


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _known_issuers(ca_files: Sequence[str]) -> list[x509.Certificate]:
    """Certificates of the site's CAs and of those that the controller trusts."""
    found = []
    for path in ca_files:
        try:
            found += _certificates(path)
        except _PemError:  # the rule ca-file-unreadable reports it
            continue
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about serial numbers of old roots, which nobody here can change
        for encoded in trusting().get_ca_certs(binary_form=True):
            try:
                root = x509.load_der_x509_certificate(encoded)
                _ = root.subject  # which is only read now
            except ValueError:  # an old root that this library is too strict for
                continue
            found.append(root)
    return found


def _chain_missing(chain: Sequence[x509.Certificate], roots: Sequence[x509.Certificate]) -> str:
    """Name the first issuer that neither the file nor a known CA holds, `` when the chain is whole."""
    current = chain[0]
    for _ in range(LONGEST_CHAIN):
        if current.issuer == current.subject:
            return ""
        named = [entry for entry in (*chain[1:], *roots) if entry.subject == current.issuer]
        found = next((entry for entry in named if _issued(entry, current)), None)
        if found is None:
            return str(current.issuer.rfc4514_string())
        if any(found is entry for entry in roots):
            return ""
        current = found
    return str(current.issuer.rfc4514_string())


def describe_pair(certificate_file: str, key_file: str, ca_files: Sequence[str]) -> dict[str, Any]:
    """Describe a server's certificate file and its key.

    Returns:
        `names`, `not_before`, `not_after` (seconds), `chain_missing` (an issuer's name or ``),
        `key_matches`, `key_mode`; `certificate_error` and `key_error` where one cannot be read.
    """
    told: dict[str, Any] = {}
    chain: list[x509.Certificate] = []
    if certificate_file:
        try:
            chain = _certificates(certificate_file)
            told |= {
                "names": _names(chain[0]),
                "not_before": chain[0].not_valid_before_utc.timestamp(),
                "not_after": chain[0].not_valid_after_utc.timestamp(),
                "chain_missing": _chain_missing(chain, _known_issuers(ca_files)),
            }
        except _PemError as error:
            told["certificate_error"] = str(error)
        except (ValueError, OverflowError, UnsupportedAlgorithm):  # a date or a name that is none
            told["certificate_error"] = f"{certificate_file} holds a certificate that cannot be understood"
    if key_file:
        try:
            key = load_pem_private_key(_read(key_file), password=None)
            told["key_mode"] = Path(key_file).expanduser().stat().st_mode & 0o777
            if chain:
                told["key_matches"] = _belongs(key, chain[0])
        except _PemError as error:
            told["key_error"] = str(error)
        except (ValueError, TypeError, OSError, AttributeError, UnsupportedAlgorithm):
            told["key_error"] = f"{key_file} holds no readable PEM key without a passphrase"
    return told


def _belongs(key: Any, certificate: x509.Certificate) -> bool:
    encodings = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    public: bytes = key.public_key().public_bytes(*encodings)
    return public == certificate.public_key().public_bytes(*encodings)


def pair_problem(certificate: str, key: str, now: float) -> str:
    """Say why a server could not use this certificate with this key.

    Args:
        certificate: PEM text with the certificate and its chain, leaf first.
        key: PEM text of the key.
        now: seconds since 1970.

    Returns:
        One sentence without a full stop, or `` where all is well.

    Raises:
        ImportError: the library cryptography is missing.
    """
    if not HAS_CRYPTOGRAPHY:
        raise ImportError("the Python library cryptography is missing on the controller")
    try:
        leaf = x509.load_pem_x509_certificates(certificate.encode())[0]
    except ValueError:
        return "the certificate file holds no readable PEM certificate"
    try:
        matches = _belongs(load_pem_private_key(key.encode(), password=None), leaf)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return "the key file holds no readable PEM key without a passphrase"
    known = f"the certificate (for {', '.join(_names(leaf)) or 'no name'}"
    if not matches:
        return f"{known}) belongs to another key; the leaf certificate has to be the first of its file"
    if now >= leaf.not_valid_after_utc.timestamp():
        return f"{known}) was valid until {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC: renew it"
    return ""


def describe_ca(path: str) -> dict[str, Any]:
    """Describe a CA file.

    Returns:
        `not_after` of the certificate that ends first and `not_before` of the one that begins last, both in seconds; `no_ca`,
        the names of those that may not sign others; or `error`. `holds_key` where there is a private key in the file, whatever
        else is.
    """
    told: dict[str, Any] = {}
    try:
        text = _read(path)
        if _PRIVATE_KEY.search(text):
            told["holds_key"] = True
        if not HAS_CRYPTOGRAPHY:
            fine = b"-----BEGIN CERTIFICATE-----" in text
            return told if fine or told else {"error": "holds no PEM certificate"}
        found = _certificates(path)
        told |= {
            "not_before": max(entry.not_valid_before_utc.timestamp() for entry in found),
            "not_after": min(entry.not_valid_after_utc.timestamp() for entry in found),
        }
        leaves = [str(entry.subject.rfc4514_string()) for entry in found if _is_leaf(entry)]
        return {**told, "no_ca": leaves} if leaves else told
    except _PemError as error:
        # That there is nothing but a key says it all.
        return told or {"error": str(error).removeprefix(f"{path}: ")}
    except (ValueError, OverflowError):
        return {**told, "error": "holds a certificate that cannot be understood"}


def is_usable(told: Mapping[str, Any]) -> bool:
    """Whether a file that `describe_ca` described can be used to trust somebody."""
    return "error" not in told and dict(told) != {"holds_key": True}


def _is_leaf(certificate: x509.Certificate) -> bool:
    """Whether somebody else signed a certificate, and did not say that it may sign others."""
    if certificate.issuer == certificate.subject:
        return False  # a server that vouches for itself is trusted where it is named
    try:
        return not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return True
    except ValueError:  # an extension that this library is too strict for says nothing
        return False
