# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Proof that a Docker daemon knows its mirrors of Docker Hub and pulls through them."""

from __future__ import annotations

import hashlib
import http.client
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Optional
from urllib.parse import urlsplit

from ansible_collections.ironbinder.platform.plugins.module_utils._docker.engine import (
    DockerEngine,
    EngineInfo,
)

__all__ = [
    "DockerMirrorError",
    "Image",
    "Pull",
    "manifest_digest",
    "missing_mirrors",
    "parse_image",
    "prove_pulls",
]

MANIFEST_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


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
        if head not in ("docker.io", "index.docker.io", "registry-1.docker.io"):
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
    if urlsplit(url).scheme not in ("http", "https"):
        raise DockerMirrorError(f"mirror {mirror} is no http:// or https:// URL")
    try:
        context = ssl.create_default_context()
        if ca_file:
            context.load_verify_locations(ca_file)
        opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
        for method in ("HEAD", "GET"):
            request = urllib.request.Request(
                url, method=method, headers={"Accept": ", ".join(MANIFEST_TYPES)}
            )
            with opener.open(request, timeout=timeout_seconds) as response:
                digest = response.headers.get("Docker-Content-Digest")
                body = response.read()
            if digest:
                return str(digest)
        # A registry need not send the digest: it is that of the manifest's bytes.
        return f"sha256:{hashlib.sha256(body).hexdigest()}"
    except urllib.error.HTTPError as error:
        hints = {
            401: "it asks for an account, which Docker never sends to a mirror",
            404: f"it does not serve {image.repository}:{image.reference}; add the image, or probe with another",
        }
        raise DockerMirrorError(
            f"mirror {mirror} answered {error.code} to {url}: {hints.get(error.code, error.reason)}"
        ) from error
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise DockerMirrorError(
            f"mirror {mirror} cannot be reached from this machine ({url}): {reason}. Check its address, "
            "that it runs, and that its certificate is of a CA this machine trusts"
        ) from error


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
    clock: Callable[[], float] = time.monotonic,
) -> list[Pull]:
    """Let the daemon pull an image from every mirror, and then from Docker Hub by way of them.

    Docker falls back to Docker Hub without a word when a mirror fails. So each https:// mirror is
    also pulled from by its own name, with nothing to fall back to. A plain http:// mirror is no
    registry to Docker: for it there is only the last pull, which has to bring what it serves.

    Args:
        mirrors: in the daemon's order, may be empty.
        digest_at: tells what a mirror serves, without Docker: `manifest_digest`.

    Returns:
        One Pull for each https:// mirror, then the one for Docker Hub. No image is left behind.

    Raises:
        DockerEngineError: a pull failed.
        DockerMirrorError: a mirror fails, or a pull brought another digest than the mirror serves.
    """
    wanted = {mirror: digest_at(mirror, image) for mirror in mirrors}
    sources = [(mirror, urlsplit(mirror).netloc, wanted[mirror]) for mirror in mirrors]
    sources = [source for source in sources if source[0].startswith("https://")]
    sources.append(("docker.io", "docker.io", wanted[mirrors[0]] if mirrors else ""))
    pulls = []
    for source, registry, digest in sources:
        started = clock()
        with _left_as_found(engine, image, registry) as name:
            found = engine.pull(name)
        if digest and found != digest:
            mirror = mirrors[0] if source == registry else source
            raise DockerMirrorError(
                f"the Docker daemon pulled {name} and got {found}, but mirror {mirror} serves {digest}: "
                "the daemon went past the mirror. See `journalctl -u docker` for the reason, often a "
                "certificate: its CA belongs into /etc/docker/certs.d/<mirror's host>/ca.crt"
            )
        pulls.append(Pull(source, name, found, round(clock() - started, 3)))
    return pulls
