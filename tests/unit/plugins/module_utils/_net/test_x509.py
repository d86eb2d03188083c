# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""When certificates end and whose they are: beside a library that knows, on certificates of the machine and on what is none."""

from __future__ import annotations

import base64
import datetime
import ssl
from pathlib import Path

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._net.x509 import (
    CertificateError,
    common_name,
    first_certificate,
    in_kubeconfig,
    not_after,
)
from certificate_files import kubelet_certificate, make_certificate
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

BUNDLE = Path(ssl.get_default_verify_paths().openssl_cafile)


def ending(moment: datetime.datetime) -> bytes:
    """A certificate that ends then, in DER."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    begins = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    return (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(moment)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )


# Until 2049 with two digits for the year, and with four from then on.
@pytest.mark.parametrize("year", [2021, 2049, 2050, 2999])
def test_the_end_is_read(year: int) -> None:
    moment = datetime.datetime(year, 12, 31, 23, 59, 58, tzinfo=datetime.timezone.utc)
    assert not_after(ending(moment)) == moment.timestamp()


@pytest.mark.skipif(not BUNDLE.is_file(), reason="no bundle of CAs on this machine")
def test_all_cas_of_this_machine_are_read() -> None:
    """They come from many hands: of other versions, with keys of other kinds."""
    known = x509.load_pem_x509_certificates(BUNDLE.read_bytes())
    assert len(known) > 20
    for one in known:
        der = one.public_bytes(serialization.Encoding.DER)
        assert not_after(der) == one.not_valid_after_utc.timestamp()
        names = one.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        assert common_name(der) == (names[0].value if names else "")


@pytest.mark.parametrize("node", ["w", "worker2", "gpu-3." + "a" * 46])
def test_whose_it_is_is_read(node: str) -> None:
    assert common_name(first_certificate(kubelet_certificate(node))) == f"system:node:{node}"


def test_one_without_a_name_names_nobody() -> None:
    assert common_name(ending(datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc))) == ""


def test_the_first_certificate_counts(tmp_path: Path) -> None:
    """A kubelet's file has its key as well."""
    make_certificate(tmp_path)
    both, alone = ((tmp_path / name).read_text() for name in ("both.pem", "ca.pem"))
    assert (
        first_certificate(f"key first\n{both}") == first_certificate(alone) == ssl.PEM_cert_to_DER_cert(alone)
    )


def test_a_kubeconfig_holds_one(tmp_path: Path) -> None:
    make_certificate(tmp_path)
    pem = (tmp_path / "ca.pem").read_text()
    text = f"users:\n- user:\n    client-certificate-data: {base64.b64encode(pem.encode()).decode()}\n"
    assert in_kubeconfig(text) == pem
    # Without one, with what is no base64, and with what is not even ASCII, as a damaged file is read.
    for other in (
        "user: {token: abc}",
        "client-certificate-data: =x",
        "client-certificate-data: LS0\ufffdtLS0=",
    ):
        assert in_kubeconfig(f"users:\n- user:\n    {other}\n") == ""


@pytest.mark.parametrize("text", ["", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----", "MIIB"])
def test_a_text_without_one_is_refused(text: str) -> None:
    with pytest.raises(CertificateError):
        not_after(first_certificate(text))


def test_what_ends_early_is_refused() -> None:
    """Wherever it was cut."""
    whole = ending(datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc))
    for size in range(0, len(whole) - 1, 7):
        with pytest.raises(CertificateError):
            not_after(whole[:size])
