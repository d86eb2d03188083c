# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Whom each place has to trust, and what daemons say of an image that nobody has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_rules import FENCED, Origin
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.trust_rules import (
    PLACES,
    Peer,
    daemon_outcome,
    git_url,
    peers,
    wanted,
)
from fence_cluster import LAB

REGISTRY = Peer("registry", "registry", "https://172.30.77.41:5000/v2/", "172.30.77.41")


@pytest.mark.parametrize(
    ("provider", "spec", "url"),
    [
        ("gh", "binder-examples/requirements/HEAD", "https://github.com"),
        ("gl", "a%2Fb/main", "https://gitlab.com"),
        ("git", "https%3A%2F%2Fgit.example.org%3A8443%2Fhello.git/main", "https://git.example.org:8443"),
        ("git", "https%3A%2F%2Fme%3Asecret%40git.example.org%2Fhello.git/main", "https://git.example.org"),
        ("git", "http%3A%2F%2F172.30.77.41%2Fgit%2Fhello.git/main", "http://172.30.77.41"),
        ("git", "git%40git.example.org%3Ahello.git/main", ""),
        ("git", "ssh%3A%2F%2Fgit.example.org%2Fhello.git/main", ""),
        ("zenodo", "10.5281/zenodo.1", ""),
        ("", "", ""),
    ],
)
def test_whom_a_launch_clones_from(provider: str, spec: str, url: str) -> None:
    assert git_url(provider, spec) == url


def test_peers_of_the_lab() -> None:
    found = peers(LAB, plain_registry=False, git="https://172.30.77.41")
    assert [(peer.name, peer.url, peer.place, peer.port, peer.is_plain) for peer in found] == [
        ("registry", "https://172.30.77.41:5000/v2/", "172.30.77.41:5000", 5000, False),
        ("mirror", "https://172.30.77.41/", "172.30.77.41", 443, False),
        ("Git host", "https://172.30.77.41/", "172.30.77.41", 443, False),
        ("public URL", "http://172.30.77.31/", "172.30.77.31", 80, True),
    ]
    [plain] = peers(replace(LAB, mirror_url="", public_url=""), plain_registry=True, git="")
    assert plain.url.startswith("http://")


def table(git: str, enforced: Any = FENCED, **networks: Any) -> dict[str, list[Any]]:
    """Whom each of PLACES has to trust, by peer."""
    facts = replace(LAB, addresses={**LAB.addresses, "github.com": ["140.82.121.4"], "git.lab": ["10.1.2.3"]})
    known = peers(facts, plain_registry=False, git=git)
    return {
        peer.name: [
            wanted(
                peer,
                Origin(place, "binder", "worker1"),
                known,
                enforced=enforced,
                networks=networks,
                resolved=facts.addresses,
            )
            for place in PLACES
        ]
        for peer in known
    }


# node, dockerd, containerd, BinderHub, build pod, RUN step, hub, session
NO, YES, ANY = False, True, None
MIRROR = [YES, YES, YES, ANY, YES, YES, ANY, NO]
PUBLIC = [ANY, ANY, ANY, YES, YES, YES, YES, YES]


def test_the_table() -> None:
    assert table("https://172.30.77.41") == {
        "registry": [YES, YES, YES, YES, NO, NO, ANY, NO],
        "mirror": MIRROR,
        # By the mirror's own address builds reach it, and sessions do not.
        "Git host": [ANY, ANY, ANY, YES, YES, ANY, ANY, NO],
        "public URL": PUBLIC,
    }


def test_git_hosts_elsewhere() -> None:
    # What lets nobody out but builds is a campus, and no fault of a fence.
    assert table("https://github.com")["Git host"] == [ANY, ANY, ANY, YES, YES, ANY, ANY, ANY]
    assert table("https://git.lab")["Git host"] == [ANY, ANY, ANY, YES, NO, NO, ANY, NO]
    opened = table("https://git.lab", build=[{"network": "10.1.2.3", "ports": [443]}])["Git host"]
    assert opened == [ANY, ANY, ANY, YES, YES, ANY, ANY, NO]


def test_where_nothing_fences_nothing_is_forbidden() -> None:
    found = table("https://172.30.77.41", enforced=["session"])
    assert found["registry"] == [YES, YES, YES, YES, ANY, ANY, ANY, NO]
    assert found["mirror"] == MIRROR
    assert NO not in [cell for row in table("https://git.lab", enforced=[]).values() for cell in row]


# As dockerd 20.10.24 and containerd 2.4.2 said it.
@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ("manifest unknown: manifest unknown", "verified"),
        ('Head "https://172.30.77.41:5000/v2/b/none/manifests/x": no basic auth credentials', "verified"),
        ("ctr: failed to resolve image: 172.30.77.41/ironbinder/none:x: not found", "verified"),
        (
            "pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth "
            "credentials",
            "verified",
        ),
        ('Get "https://r/v2/": x509: certificate signed by unknown authority', "unverified"),
        (
            'Get "https://r/v2/": tls: failed to verify certificate: x509: certificate is valid for a, not b',
            "unverified",
        ),
        ('Get "https://172.30.77.31/v2/": dial tcp 172.30.77.31:443: connect: connection refused', "refused"),
        (
            'Get "https://172.30.77.99/v2/": dial tcp 172.30.77.99:443: connect: no route to host',
            "unreachable",
        ),
        (
            'Get "https://nowhere.invalid/v2/": dial tcp: lookup nowhere.invalid on 172.30.77.41:53: server misbehaving',
            "unresolved",
        ),
        ("http: server gave HTTP response to HTTPS client", "connected"),
        ("tls: first record does not look like a TLS handshake", "connected"),
        ("proxyconnect tcp: dial tcp 10.0.0.1:3128: connect: connection refused", "proxy"),
        ("net/http: request canceled (Client.Timeout exceeded while awaiting headers)", "silent"),
        ("the Docker daemon does not answer at /var/run/docker.sock", "missing"),
    ],
)
def test_what_daemons_say(said: str, outcome: str) -> None:
    assert daemon_outcome(REGISTRY, said)[0] == outcome


def test_a_registry_without_tls_is_plain() -> None:
    plain = replace(REGISTRY, url="http://172.30.77.41:5000/v2/")
    assert daemon_outcome(plain, "manifest unknown")[0] == "plain"
