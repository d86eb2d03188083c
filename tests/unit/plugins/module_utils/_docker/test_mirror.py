# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Names, digests and the order of pulls, against a daemon and a mirror that really listen."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._docker.engine import (
    DockerEngine,
    DockerEngineError,
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
from certificate_files import make_certificate
from docker_daemon import DockerDaemon, Mirror
from ticking import Ticking

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


def test_half_a_manifest_has_no_digest(mirror: Mirror) -> None:
    mirror.manifests[PATH] = (200, {}, b'{"schemaVersion": 2}')
    mirror.cut_bytes = 5
    with pytest.raises(DockerMirrorError, match="closed 5 bytes before the end"):
        manifest_digest(mirror.url, HELLO)


def test_a_manifest_without_end(mirror: Mirror) -> None:
    mirror.manifests[PATH] = (200, {}, b" " * (5 << 20))
    with pytest.raises(DockerMirrorError, match="more than a manifest can be"):
        manifest_digest(mirror.url, HELLO)


def test_a_mirror_that_keeps_its_manifests_elsewhere(mirror: Mirror) -> None:
    mirror.manifests[PATH] = (307, {"Location": "/elsewhere"}, b"")
    mirror.manifests["/elsewhere"] = (200, {"Docker-Content-Digest": DIGEST}, b"{}")
    assert manifest_digest(mirror.url, HELLO) == DIGEST


@pytest.mark.parametrize("mirror_url", ["https://h:99999999", "http://[", "https://ä\x00"])
def test_a_mirror_that_cannot_be_asked(mirror_url: str) -> None:
    with pytest.raises(DockerMirrorError, match=r"mirror .* cannot be reached"):
        manifest_digest(mirror_url, HELLO)


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
    with pytest.raises(DockerMirrorError, match="not an http:// or https:// URL"):
        manifest_digest("mirror.example.org", HELLO)


def test_a_mirror_with_a_ca_of_its_own(mirror: Mirror, tmp_path: Path) -> None:
    ca_file = make_certificate(tmp_path)
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
    pulls = prove_pulls(
        DockerEngine(daemon.path, 5),
        HELLO,
        ["https://one.example", "https://two.example:5000", "http://three.example"],
        lambda mirror, image: DIGEST,
        Ticking(0.5),
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


@pytest.mark.parametrize(("failing", "asked"), [(1, []), (2, ["POST /images/create"])])
def test_a_daemon_that_stumbles_costs_nobody_an_image(
    daemon: DockerDaemon, monkeypatch: pytest.MonkeyPatch, failing: int, asked: list[str]
) -> None:
    """A 500 to the question whether an image is there says neither yes nor no."""
    name = "docker.io/library/hello-world:latest"
    daemon.images[name], daemon.remote[name] = "sha256:mine", ("sha256:mine", DIGEST)
    serve, looks = daemon.serve, []

    def stumble(method: str, path: str, query: dict[str, str]) -> tuple[object, ...]:
        if path.endswith("/json"):
            looks.append(path)
            if len(looks) == failing:
                return 500, {"message": "layer store is busy"}
        return serve(method, path, query)

    monkeypatch.setattr(daemon, "serve", stumble)
    with pytest.raises(DockerEngineError, match="layer store is busy"):
        prove_pulls(DockerEngine(daemon.path, 5), HELLO, [], lambda mirror, image: DIGEST)
    assert daemon.images == {name: "sha256:mine"}
    assert [call for call in daemon.calls if not call.startswith("GET")] == asked


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
