# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Whom a connection trusts."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._net.tls import TlsError, trusting
from certificate_files import make_certificate


def test_verifies_unless_told_otherwise() -> None:
    assert (trusting().verify_mode, trusting().check_hostname) == (ssl.CERT_REQUIRED, True)
    anybody = trusting(validate_certs=False)
    assert (anybody.verify_mode, anybody.check_hostname) == (ssl.CERT_NONE, False)


def known(**options: Any) -> int:
    return trusting(**options).cert_store_stats()["x509"]


def test_cas_of_the_site(tmp_path: Path) -> None:
    """From files and from text, beside the machine's own; people comment on their CAs in their language."""
    ca_file = make_certificate(tmp_path)
    before = known()
    assert known(ca_files=[ca_file]) == before + 1
    assert known(ca_pem="# Universit\u00e4t\n" + ca_file.read_text()) == before + 1
    assert known(ca_pem=" \n") == before


@pytest.mark.parametrize("path", ["/no/such", "/", "~nobody-here/x", "a\0b", "x" * 5000])
def test_files_that_are_none(path: str) -> None:
    with pytest.raises(TlsError, match="holds no CA certificates that can be used"):
        trusting([path])


@pytest.mark.parametrize(
    "text", ["no PEM", "\u2603", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"]
)
def test_text_that_is_none(text: str) -> None:
    with pytest.raises(TlsError, match="cannot be used"):
        trusting(ca_pem=text)
