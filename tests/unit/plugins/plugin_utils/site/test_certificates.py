# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Certificates made for each test."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.certificates import (
    describe_ca,
    describe_pair,
    pair_problem,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = datetime.datetime.now(datetime.timezone.utc)


class Authority:
    """A CA, or a server: a key with a certificate."""

    def __init__(
        self, name: str, issuer: Authority | None = None, names: tuple[str, ...] = (), days: int = 30
    ) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.certificate.subject if issuer else subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - datetime.timedelta(days=60))
            .not_valid_after(NOW + datetime.timedelta(days=days))
        )
        if names:
            alternatives: list[x509.GeneralName] = [x509.DNSName(entry) for entry in names]
            alternatives.append(x509.IPAddress(ipaddress.ip_address("192.0.2.31")))
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        self.certificate: x509.Certificate = builder.sign(issuer.key if issuer else self.key, hashes.SHA256())

    def pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self) -> bytes:
        """The key."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


@pytest.fixture(scope="module")
def pki() -> dict[str, Authority]:
    """A root, an intermediate, and a server."""
    root = Authority("root")
    middle = Authority("middle", root)
    return {"root": root, "middle": middle, "server": Authority("server", middle, ("binder.example.org",))}


def describe(folder: Path, chain: list[Authority], key: bytes, cas: list[Authority]) -> dict[str, Any]:
    """Write the files and describe them."""
    (folder / "chain.pem").write_bytes(b"".join(entry.pem() for entry in chain))
    (folder / "key.pem").write_bytes(key)
    (folder / "key.pem").chmod(0o600)
    (folder / "ca.pem").write_bytes(b"".join(entry.pem() for entry in cas))
    return describe_pair(
        str(folder / "chain.pem"), str(folder / "key.pem"), [str(folder / "ca.pem")] if cas else []
    )


def test_whole_chain(tmp_path: Path, pki: dict[str, Authority]) -> None:
    """A server with its intermediate, below a CA of the site."""
    told = describe(tmp_path, [pki["server"], pki["middle"]], pki["server"].key_pem(), [pki["root"]])
    assert told["names"] == ["binder.example.org", "192.0.2.31"]
    assert told["key_matches"] is True
    assert told["chain_missing"] == ""
    assert told["key_mode"] == 0o600
    assert told["not_before"] < NOW.timestamp() < told["not_after"]


@pytest.mark.parametrize(("cas", "missing"), [(["root"], "CN=middle"), ([], "CN=middle"), (["middle"], "")])
def test_missing_intermediate(
    tmp_path: Path, pki: dict[str, Authority], cas: list[str], missing: str
) -> None:
    """The server alone is not enough, unless its own issuer is a CA of the site."""
    told = describe(tmp_path, [pki["server"]], pki["server"].key_pem(), [pki[name] for name in cas])
    assert told["chain_missing"] == missing


def test_missing_root(tmp_path: Path, pki: dict[str, Authority]) -> None:
    """A chain that ends in an unknown CA says which."""
    told = describe(tmp_path, [pki["server"], pki["middle"]], pki["server"].key_pem(), [])
    assert told["chain_missing"] == "CN=root"


def test_another_key(tmp_path: Path, pki: dict[str, Authority]) -> None:
    """A key of another certificate is seen."""
    assert describe(tmp_path, [pki["server"]], pki["root"].key_pem(), [])["key_matches"] is False


def test_unreadable(tmp_path: Path, pki: dict[str, Authority]) -> None:
    """What is missing or no PEM is said with its path."""
    told = describe(tmp_path, [pki["server"]], b"no key", [])
    assert told["key_error"].startswith(str(tmp_path / "key.pem"))
    (tmp_path / "empty.pem").write_text("")
    assert "no readable PEM" in describe_pair(str(tmp_path / "empty.pem"), "", [])["certificate_error"]
    assert "No such file" in describe_pair(str(tmp_path / "missing"), "", [])["certificate_error"]


def test_ca(tmp_path: Path, pki: dict[str, Authority]) -> None:
    """A CA file says when its first certificate ends."""
    (tmp_path / "ca.pem").write_bytes(pki["root"].pem() + Authority("old", days=-10).pem())
    assert describe_ca(str(tmp_path / "ca.pem"))["not_after"] < NOW.timestamp()
    assert describe_ca(str(tmp_path / "missing")) == {"error": "No such file or directory"}
    assert not {"holds_key", "no_ca"} & set(describe_ca(str(tmp_path / "ca.pem")))


def test_a_ca_file_that_is_none(tmp_path: Path, pki: dict[str, Authority]) -> None:
    """A key is seen beside a certificate and alone, and a server's certificate by its name; a key's bytes are not told."""
    file = tmp_path / "ca.pem"
    file.write_bytes(pki["root"].pem() + pki["root"].key_pem())
    told = describe_ca(str(file))
    assert told["holds_key"] is True
    assert told["not_before"] <= NOW.timestamp() <= told["not_after"]
    for text in (
        pki["root"].key_pem(),
        b"-----BEGIN OPENSSH PRIVATE KEY-----\nx\n-----END OPENSSH PRIVATE KEY-----",
    ):
        file.write_bytes(text)
        assert describe_ca(str(file)) == {"holds_key": True}
    file.write_bytes(pki["server"].pem())
    assert describe_ca(str(file))["no_ca"] == ["CN=server"]


def test_a_pair_is_judged(pki: dict[str, Authority]) -> None:
    now = NOW.timestamp()
    own, other = pki["root"], Authority("other", names=("hub.example.org",), days=1)
    certificate, key = other.pem().decode(), other.key_pem().decode()
    chain = certificate + own.pem().decode()
    assert pair_problem(chain, key, now) == ""
    assert pair_problem(chain, own.key_pem().decode(), now) == (
        "the certificate (for hub.example.org, 192.0.2.31) belongs to another key; "
        "the leaf certificate has to be the first of its file"
    )
    assert "belongs to another key" in pair_problem(own.pem().decode() + certificate, key, now)
    assert pair_problem(chain, key, now + 86_300) == ""
    late = pair_problem(chain, key, now + 86_401)
    assert late.startswith("the certificate (for hub.example.org, 192.0.2.31) was valid until ")
    assert late.endswith(" UTC: renew it")
    assert pair_problem(key, key, now) == "the certificate file holds no readable PEM certificate"
    assert pair_problem("", "", now) == "the certificate file holds no readable PEM certificate"
    locked = other.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"passphrase"),
    ).decode()
    for text in ("", chain, locked):
        assert pair_problem(chain, text, now) == "the key file holds no readable PEM key without a passphrase"
