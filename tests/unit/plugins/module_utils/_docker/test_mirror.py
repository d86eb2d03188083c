# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Names, digests and the order of pulls, against a daemon and a mirror that really listen."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import itertools
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._docker.engine import (
    DockerEngine,
    EngineInfo,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._docker.mirror import (
    DockerMirrorError,
    Image,
    manifest_digest,
    missing_mirrors,
    parse_image,
    prove_pulls,
)
from docker_daemon import DockerDaemon, Mirror

HELLO = Image("library/hello-world", "latest")
PATH = "/v2/library/hello-world/manifests/latest"
DIGEST = f"sha256:{'a' * 64}"
OTHER = f"sha256:{'b' * 64}"


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    server = Mirror()
    yield server
    server.close()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[DockerDaemon]:
    server = DockerDaemon(tmp_path / "docker.sock", [])
    yield server
    server.close()


@pytest.mark.parametrize(
    ("text", "image"),
    [
        ("hello-world", HELLO),
        ("hello-world:latest", HELLO),
        ("library/hello-world", HELLO),
        ("docker.io/library/hello-world:latest", HELLO),
        ("docker.io/hello-world", HELLO),
        ("registry-1.docker.io/library/hello-world", HELLO),
        ("jupyter/minimal:x.1", Image("jupyter/minimal", "x.1")),
        (f"hello-world@{DIGEST}", Image("library/hello-world", DIGEST)),
        (f"docker.io/library/hello-world:v1@{DIGEST}", Image("library/hello-world", DIGEST)),
    ],
)
def test_image_names(text: str, image: Image) -> None:
    assert parse_image(text) == image


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("quay.io/x/y", "is on quay.io"),
        ("localhost/x", "is on localhost"),
        ("host:5000/x", "is on host:5000"),
        ("", "names no repository"),
        ("docker.io/", "names no repository"),
    ],
)
def test_images_that_no_mirror_serves(text: str, message: str) -> None:
    with pytest.raises(DockerMirrorError, match=message):
        parse_image(text)


def test_image_at_a_registry() -> None:
    assert HELLO.at("mirror:5000") == "mirror:5000/library/hello-world:latest"
    assert Image("a/b", DIGEST).at("docker.io") == f"docker.io/a/b@{DIGEST}"


@pytest.mark.parametrize(
    ("reported", "expected", "missing"),
    [
        ([], [], []),
        (["https://a"], ["https://a/"], []),
        (["https://a", "https://b"], ["https://b"], []),
        (["https://a"], ["https://a", "https://b/"], ["https://b"]),
        (["http://a"], ["https://a"], ["https://a"]),
    ],
)
def test_missing_mirrors(reported: list[str], expected: list[str], missing: list[str]) -> None:
    assert missing_mirrors(EngineInfo("20", tuple(reported)), expected) == missing


def test_digest_from_the_header(mirror: Mirror) -> None:
    mirror.manifests[PATH] = (200, {"Docker-Content-Digest": DIGEST}, b"{}")
    assert manifest_digest(f"{mirror.url}/", HELLO) == DIGEST
    method, path, accept = mirror.asked[0]
    assert (method, path) == ("HEAD", PATH)
    # Without these a registry turns an index into something else, with another digest.
    assert "application/vnd.oci.image.index.v1+json" in accept
    assert "application/vnd.docker.distribution.manifest.list.v2+json" in accept


def test_digest_from_the_bytes(mirror: Mirror) -> None:
    body = b'{"schemaVersion": 2}'
    mirror.manifests[PATH] = (200, {}, body)
    assert manifest_digest(mirror.url, HELLO) == f"sha256:{hashlib.sha256(body).hexdigest()}"


@pytest.mark.parametrize(
    ("status", "message"),
    [(404, "does not serve library/hello-world:latest"), (401, "asks for an account"), (502, "502")],
)
def test_a_mirror_that_refuses(mirror: Mirror, status: int, message: str) -> None:
    mirror.manifests[PATH] = (status, {}, b"")
    with pytest.raises(DockerMirrorError, match=message):
        manifest_digest(mirror.url, HELLO)


def test_a_mirror_that_is_down(mirror: Mirror) -> None:
    mirror.close()
    with pytest.raises(DockerMirrorError, match=r"cannot be reached from this machine.*refused"):
        manifest_digest(mirror.url, HELLO)


def test_a_mirror_that_is_no_url() -> None:
    with pytest.raises(DockerMirrorError, match="no http:// or https:// URL"):
        manifest_digest("mirror.example.org", HELLO)


def certificate(folder: Path) -> Path:
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mirror")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    text = made.public_bytes(pem) + key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "both.pem").write_bytes(text)
    (folder / "ca.pem").write_bytes(made.public_bytes(pem))
    return folder / "ca.pem"


def test_a_mirror_with_a_ca_of_its_own(mirror: Mirror, tmp_path: Path) -> None:
    ca_file = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")
    mirror.server.socket = context.wrap_socket(mirror.server.socket, server_side=True)
    mirror.manifests[PATH] = (200, {"Docker-Content-Digest": DIGEST}, b"{}")
    url = mirror.url.replace("http:", "https:")
    assert manifest_digest(url, HELLO, str(ca_file)) == DIGEST
    with pytest.raises(DockerMirrorError, match="certificate is of a CA this machine trusts"):
        manifest_digest(url, HELLO)


def test_every_https_mirror_and_docker_hub_are_pulled_from(daemon: DockerDaemon) -> None:
    for registry in ("one.example", "two.example:5000", "docker.io"):
        daemon.remote[f"{registry}/library/hello-world:latest"] = ("sha256:1", DIGEST)
    ticks = itertools.count(start=100.0, step=0.5)
    pulls = prove_pulls(
        DockerEngine(daemon.path, 5),
        HELLO,
        ["https://one.example", "https://two.example:5000", "http://three.example"],
        lambda mirror, image: DIGEST,
        lambda: next(ticks),
    )
    assert [(pull.source, pull.image, pull.seconds) for pull in pulls] == [
        ("https://one.example", "one.example/library/hello-world:latest", 0.5),
        ("https://two.example:5000", "two.example:5000/library/hello-world:latest", 0.5),
        ("docker.io", "docker.io/library/hello-world:latest", 0.5),
    ]
    assert {pull.digest for pull in pulls} == {DIGEST}
    assert daemon.images == {}


def test_without_mirrors_docker_hub_is_pulled_from(daemon: DockerDaemon) -> None:
    daemon.remote["docker.io/library/hello-world:latest"] = ("sha256:1", DIGEST)
    (pull,) = prove_pulls(DockerEngine(daemon.path, 5), HELLO, [], lambda mirror, image: OTHER)
    assert (pull.source, pull.digest) == ("docker.io", DIGEST)


@pytest.mark.parametrize(
    ("before", "pulled"),
    [
        ({}, "sha256:1"),
        ({"docker.io/library/hello-world:latest": "sha256:1"}, "sha256:1"),
        ({"docker.io/library/hello-world:latest": "sha256:old", "mine:1": "sha256:2"}, "sha256:new"),
    ],
)
def test_images_stay_as_they_were(daemon: DockerDaemon, before: dict[str, str], pulled: str) -> None:
    daemon.images.update(before)
    daemon.remote["docker.io/library/hello-world:latest"] = (pulled, DIGEST)
    prove_pulls(DockerEngine(daemon.path, 5), HELLO, [], lambda mirror, image: DIGEST)
    assert daemon.images == before
    # The newer image must not stay behind without a name either.
    assert ("DELETE /images/sha256:new" in daemon.calls) is (pulled == "sha256:new")


def test_docker_hub_in_place_of_the_mirror_is_found_out(daemon: DockerDaemon) -> None:
    daemon.remote["docker.io/library/hello-world:latest"] = ("sha256:1", OTHER)
    with pytest.raises(DockerMirrorError, match=f"got {OTHER}, but mirror http://m serves {DIGEST}.*ca.crt"):
        prove_pulls(DockerEngine(daemon.path, 5), HELLO, ["http://m"], lambda mirror, image: DIGEST)
    assert daemon.images == {}


def test_nothing_is_pulled_where_a_mirror_fails(daemon: DockerDaemon) -> None:
    def fail(mirror: str, image: Image) -> str:
        raise DockerMirrorError(f"mirror {mirror} is down")

    with pytest.raises(DockerMirrorError, match="https://m is down"):
        prove_pulls(DockerEngine(daemon.path, 5), HELLO, ["https://m"], fail)
    assert daemon.calls == []
