# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Proof that a Docker daemon knows its mirrors of Docker Hub and pulls through them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Optional
from urllib.parse import urlsplit

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock, SystemClock
from ansible_collections.ironbinder.platform.plugins.module_utils._docker.engine import (
    DockerEngine,
    EngineInfo,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._net.docker_hub import HUB_API, HUB_NAMES
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import (
    HttpFailure,
    HttpTransport,
)

__all__ = [
    "DockerMirrorError",
    "Image",
    "Pull",
    "manifest_digest",
    "missing_mirrors",
    "other_proxies",
    "parse_image",
    "prove_pulls",
]

MANIFEST_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
# https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests
MANIFEST_BYTES = 4 << 20
MOST_REDIRECTS = 5


class DockerMirrorError(RuntimeError):
    """A proof that failed. The text says what was asked, what was seen and what to do."""


@dataclass(frozen=True)
class Image:
    """An image on Docker Hub: `library/hello-world` and its tag or digest."""

    repository: str
    reference: str

    def at(self, registry: str) -> str:
        """Name the image as it is called at a registry, for a pull."""
        mark = "@" if ":" in self.reference else ":"
        return f"{registry}/{self.repository}{mark}{self.reference}"


@dataclass(frozen=True)
class Pull:
    """One pull by the daemon: where from, what, the digest that arrived and how long it took."""

    source: str
    image: str
    digest: str
    seconds: float


def _same(url: str) -> str:
    return url.strip().rstrip("/")


def parse_image(text: str) -> Image:
    """Split a name such as `hello-world`, `docker.io/library/hello-world:latest` or one with a digest.

    Raises:
        DockerMirrorError: the image is on another registry. Docker asks mirrors for Docker Hub alone.
    """
    name, _, digest = text.partition("@")
    head, slash, rest = name.partition("/")
    if slash and ("." in head or ":" in head or head == "localhost"):
        if head not in (*HUB_NAMES, HUB_API):
            raise DockerMirrorError(
                f"image {text} is on {head}, but Docker asks its mirrors for Docker Hub's images alone: "
                "name one of docker.io"
            )
        name = rest
    repository, _, tag = name.partition(":")
    if not repository:
        raise DockerMirrorError(f"image {text!r} names no repository: write docker.io/library/hello-world")
    if "/" not in repository:
        repository = f"library/{repository}"
    return Image(repository, digest or tag or "latest")


def other_proxies(info: EngineInfo, expected: Mapping[str, str]) -> list[str]:
    """Name the variables, such as http_proxy, of which the daemon uses another value than `expected`.

    It tells a proxy without its account, so places are compared; what is not expected may be an admin's.
    """

    def place(url: str) -> str:
        return url.rpartition("@")[2].rpartition("://")[2].rstrip("/")

    return [
        name
        for name in ("http_proxy", "https_proxy", "no_proxy")
        if expected.get(name) and place(info.proxies.get(name, "")) != place(expected[name])
    ]


def missing_mirrors(info: EngineInfo, expected: Sequence[str]) -> list[str]:
    """Name the expected mirrors that the daemon does not report, a trailing slash set aside."""
    return [mirror for mirror in map(_same, expected) if mirror not in info.mirrors]


def manifest_digest(
    mirror: str, image: Image, ca_file: Optional[str] = None, timeout_seconds: float = 30
) -> str:
    """Ask a mirror, without Docker, for the digest it serves for an image.

    Args:
        mirror: scheme://host[:port].
        ca_file: PEM file with CAs to trust besides the system's.

    Raises:
        DockerMirrorError: unreachable, untrusted, not a registry, or without the image.
    """
    url = f"{_same(mirror)}/v2/{image.repository}/manifests/{image.reference}"
    accept = {"Accept": ", ".join(MANIFEST_TYPES)}
    try:
        transport = HttpTransport([ca_file] if ca_file else [], uses_proxies=True)
        # No account is sent, so following redirects as the daemon does harms nobody.
        reply = transport.request(
            "HEAD", url, accept, timeout_seconds, limit_bytes=MANIFEST_BYTES, redirects=MOST_REDIRECTS
        )
        if reply.status == 200 and "docker-content-digest" not in reply.headers:
            reply = transport.request(
                "GET", url, accept, timeout_seconds, limit_bytes=MANIFEST_BYTES, redirects=MOST_REDIRECTS
            )
    except HttpFailure as error:
        raise DockerMirrorError(
            f"mirror {mirror} cannot be reached from this machine ({url}): {error}. Check its address, "
            "that it runs, and that its certificate is of a CA this machine trusts"
        ) from error
    if reply.status != 200:
        hints = {
            401: "it asks for an account, which Docker never sends to a mirror",
            404: f"it does not serve {image.repository}:{image.reference}; add the image, or probe with another",
        }
        hint = hints.get(reply.status, "a registry answers 200 here; see its log")
        raise DockerMirrorError(f"mirror {mirror} answered {reply.status} to {url}: {hint}")
    digest = reply.headers.get("docker-content-digest", "")
    if reply.truncated and not digest:
        raise DockerMirrorError(
            f"mirror {mirror} sent more than a manifest can be ({url}): is it a registry?"
        )
    # A registry need not send the digest: it is that of the manifest's bytes.
    return digest or f"sha256:{hashlib.sha256(reply.body).hexdigest()}"


@contextmanager
def _left_as_found(engine: DockerEngine, image: Image, registry: str) -> Iterator[str]:
    """Give the image's name for a pull; afterwards the daemon holds under it what it held before."""
    name = image.at(registry)
    before = engine.image_id(name)
    try:
        yield name
    finally:
        after = engine.image_id(name)
        if not before:
            if after:
                engine.remove(name)
        elif after != before:
            engine.tag(before, f"{registry}/{image.repository}", image.reference)
            engine.remove(after)


def prove_pulls(
    engine: DockerEngine,
    image: Image,
    mirrors: Sequence[str],
    digest_at: Callable[[str, Image], str],
    clock: Optional[Clock] = None,
) -> list[Pull]:
    """Let the daemon pull an image from every mirror, and then from Docker Hub by way of them.

    Docker falls back to Docker Hub without a word when a mirror fails. So each https:// mirror is
    also pulled from by its own name, with nothing to fall back to. A plain http:// mirror is no
    registry to Docker: for it there is only the last pull, which has to bring what it serves.

    Args:
        mirrors: in the daemon's order, may be empty.
        digest_at: tells what a mirror serves, without Docker: `manifest_digest`.
        clock: time.

    Returns:
        One Pull for each https:// mirror, then the one for Docker Hub. No image is left behind.

    Raises:
        DockerEngineError: a pull failed.
        DockerMirrorError: a mirror fails, or a pull brought another digest than the mirror serves.
    """
    time = clock or SystemClock()
    wanted = {mirror: digest_at(mirror, image) for mirror in mirrors}
    sources = [(mirror, urlsplit(mirror).netloc, wanted[mirror]) for mirror in mirrors]
    sources = [source for source in sources if source[0].startswith("https://")]
    sources.append(("docker.io", "docker.io", wanted[mirrors[0]] if mirrors else ""))
    pulls = []
    for source, registry, digest in sources:
        started = time.now()
        with _left_as_found(engine, image, registry) as name:
            found = engine.pull(name)
        if digest and found != digest:
            mirror = mirrors[0] if source == registry else source
            raise DockerMirrorError(
                f"the Docker daemon pulled {name} and got {found}, but mirror {mirror} serves {digest}: "
                "the daemon went past the mirror. See `journalctl -u docker` for the reason, often a "
                "certificate: its CA belongs into /etc/docker/certs.d/<mirror's host>/ca.crt"
            )
        pulls.append(Pull(source, name, found, round(time.now() - started, 3)))
    return pulls
