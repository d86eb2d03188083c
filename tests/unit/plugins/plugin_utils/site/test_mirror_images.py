# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a mirror is asked for, and what its answers mean."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpFailure
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.downloads import manifest_status
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.mirror_images import (
    AT_ONCE,
    MOST_IMAGES,
    AskImage,
    absent_images,
    hubs_by_chart,
    images_of_hubs,
    look_at_mirror,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.sign_in import KINDS, NONE
from web_server import Answer, WebServer

ROOT = Path(__file__).parents[5]
MIRROR = "https://192.0.2.41"
ENDPOINTS = {"quay.io": f"{MIRROR}/v2/quay.io", "docker.io": f"{MIRROR}/v2/docker.io/"}
VALUES = {
    "artifact_source": "mirror",
    "artifact_mirror_url": MIRROR,
    "site_artifact_base": f"{MIRROR}/",
    "site_image_mirrors": {**ENDPOINTS, "registry.k8s.io": f"{MIRROR}/v2/registry.k8s.io"},
    "site_kubernetes_version": "1.36.3",
    "site_kubernetes_client_host": "localhost",
    "site_binderhub_chart": "binderhub",
    "site_binderhub_chart_repository": str(ROOT / "lab/chart"),
    "site_hubs": {"binder": {}},
}


def no_download(url: str) -> bytes:
    """A controller that reaches nobody."""
    raise OSError(f"asked for {url}")


def noting(status: int) -> tuple[list[str], AskImage]:
    """A mirror with one answer to everything, and what it was asked for."""
    asked: list[str] = []

    def ask(url: str) -> int:
        asked.append(url)
        return status

    return asked, ask


def looked(answers: int | dict[str, int] = 200, **more: Any) -> tuple[dict[str, Any], list[str]]:
    """What is found of a site with these values, and what was asked for."""
    asked: list[str] = []

    def ask(url: str) -> int:
        asked.append(url)
        return answers if isinstance(answers, int) else answers.get(url, 200)

    values = {**VALUES, **more}
    return look_at_mirror(lambda name: values.get(name, ""), no_download, ask), asked


def test_names_become_the_urls_that_containerd_asks_for() -> None:
    asked, ask = noting(404)
    images = ["quay.io/x/y:1", "hello-world", "ghcr.io/a/b:2", "r.example.org:5000/own:1"]
    absent = absent_images(images, ENDPOINTS, ask)
    # Of registries that the mirror does not stand for nobody is asked.
    assert sorted(asked) == [
        f"{MIRROR}/v2/docker.io/library/hello-world/manifests/latest",
        f"{MIRROR}/v2/quay.io/x/y/manifests/1",
    ]
    assert set(absent) == {"quay.io/x/y:1", "hello-world"}


@pytest.mark.parametrize(("status", "is_absent"), [(200, False), (404, True), (401, False), (500, False)])
def test_only_one_answer_says_that_it_is_not_there(status: int, is_absent: bool) -> None:
    assert bool(absent_images(["quay.io/x/y:1"], ENDPOINTS, lambda _: status)) is is_absent


def test_a_mirror_that_is_away_is_not_asked_again_and_again() -> None:
    asked: list[str] = []

    def ask(url: str) -> int:
        asked.append(url)
        raise HttpFailure("refused", "refused")

    images = [f"quay.io/x/y:{number}" for number in range(90)]
    assert absent_images(images, ENDPOINTS, ask) == {}
    assert len(asked) <= AT_ONCE


def test_there_is_an_end_to_it() -> None:
    asked, ask = noting(200)
    images = [f"quay.io/x/y:{number}" for number in range(MOST_IMAGES + 50)]
    absent_images(images, ENDPOINTS, ask)
    assert len(asked) == MOST_IMAGES


def test_every_image_of_pins_and_hubs_is_asked_for() -> None:
    told, asked = looked()
    assert told == {"absent": {}}
    names = {url.removeprefix(f"{MIRROR}/v2/").partition("/manifests/")[0] for url in asked}
    assert {
        "registry.k8s.io/kube-apiserver",
        "registry.k8s.io/coredns/coredns",
        "quay.io/jupyterhub/k8s-hub",
        "quay.io/jupyterhub/k8s-binderhub",
    } <= names


def test_what_is_absent_is_told() -> None:
    url = f"{MIRROR}/v2/registry.k8s.io/etcd/manifests/3.6.8-0"
    told, _ = looked({url: 404})
    assert told == {"absent": {"registry.k8s.io/etcd:3.6.8-0": url}}


@pytest.mark.parametrize(
    "more",
    [
        {"artifact_source": "upstream"},
        {"artifact_mirror_url": ""},
        # The head talks to the cluster: this controller need not reach anything.
        {"site_kubernetes_client_host": "head1"},
    ],
)
def test_who_is_not_asked(more: dict[str, Any]) -> None:
    assert looked(404, **more) == ({"absent": {}}, [])


@pytest.mark.parametrize(
    "more",
    [
        {"site_hubs": "text"},
        {"site_hubs": {"binder": {"values": "text"}}},
        {"site_image_mirrors": "text"},
        {"site_binderhub_chart_repository": "https://192.0.2.41/charts"},
        {"site_kubernetes_version": 1.36},
    ],
)
def test_odd_values_do_not_end_the_check(more: dict[str, Any]) -> None:
    told, _ = looked(**more)
    assert told["absent"] == {}


def test_the_chart_is_read_upstream_where_the_mirror_has_none() -> None:
    asked: list[str] = []

    def get(url: str) -> bytes:
        asked.append(url)
        raise OSError("no such file")

    values = {
        **VALUES,
        "site_binderhub_chart_repository": f"{MIRROR}/jupyterhub.github.io/helm-chart",
        "site_binderhub_chart_version": "1.0.0",
    }
    for upstream_too in (False, True):
        found, notes = images_of_hubs(lambda name: values.get(name, ""), get, upstream_too=upstream_too)
        assert found == {}
        assert MIRROR in notes[0]
    assert asked == [
        f"{MIRROR}/jupyterhub.github.io/helm-chart/binderhub-1.0.0.tgz",
        f"{MIRROR}/jupyterhub.github.io/helm-chart/binderhub-1.0.0.tgz",
        "https://jupyterhub.github.io/helm-chart/binderhub-1.0.0.tgz",
    ]


def test_a_hub_with_its_own_chart_is_asked_about_by_that_one() -> None:
    """What is not read of one version is told, and takes nothing from the others."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(ROOT / "lab/chart", "binderhub")
    values: dict[str, Any] = {
        **VALUES,
        "site_binderhub_chart_repository": f"{MIRROR}/charts",
        "site_binderhub_chart_version": "1.0.0",
        "site_hubs": {"binder": {}, "course": {"chart_version": "2.0.0"}, "third": {"chart_version": ""}},
    }
    assert {version: len(hubs) for version, hubs in hubs_by_chart(values.__getitem__).items()} == {
        "1.0.0": 2,
        "2.0.0": 1,
    }
    asked: list[str] = []

    def get(url: str) -> bytes:
        asked.append(url)
        if "2.0.0" in url:
            raise OSError("no such file")
        return packed.getvalue()

    found, notes = images_of_hubs(lambda name: values.get(name, ""), get, upstream_too=False)
    assert len(asked) == 2
    assert any("k8s-hub" in image for image in found)
    assert len(notes) == 1 and "2.0.0" in notes[0]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != NONE])
def test_how_people_sign_in_brings_no_image(kind: str) -> None:
    """What signing in takes is secret, and nothing that a list of images needs."""
    auth = {"kind": kind, "client_id": "x", "issuer": "https://login.example.org"}
    plain, notes = images_of_hubs(VALUES.get, no_download, upstream_too=True)
    assert plain and not notes
    values = {**VALUES, "site_hubs": {"private": {"auth": auth}}}
    assert images_of_hubs(values.get, no_download, upstream_too=True) == (plain, [])
    # Preflight asks the mirror for them.
    assert set(plain) <= set(looked(404, site_hubs=values["site_hubs"])[0]["absent"])


@pytest.mark.parametrize(
    ("odd", "told"),
    [
        ({"values": [1]}, "they cannot be computed (AttributeError)"),
        ({"values": "x"}, "they cannot be computed (AttributeError)"),
        ({"node_port": "hunter2"}, "they cannot be computed (ValueError)"),
        ({"colour": {}}, "site_hubs.odd has unknown keys colour"),
    ],
)
def test_a_hub_that_cannot_be_read_takes_nothing_from_the_others(odd: dict[str, Any], told: str) -> None:
    plain, _ = images_of_hubs(VALUES.get, no_download, upstream_too=False)
    values = {**VALUES, "site_hubs": {"odd": odd, "binder": {}}}
    found, [note] = images_of_hubs(values.get, no_download, upstream_too=False)
    assert found == plain
    assert note.startswith(f"images of the hub odd: its values were not read, as {told}")
    assert "hunter2" not in note


def test_a_registry_is_told_which_forms_are_taken() -> None:
    """One that has an image as OCI only says 404 to whoever does not ask for that."""
    there = "/v2/quay.io/x/y/manifests/1"
    with WebServer({there: Answer(200, {"content-length": "1000"})}) as registry:
        assert manifest_status(f"{registry.url}{there}", []) == 200
        assert manifest_status(f"{registry.url}/v2/quay.io/x/z/manifests/1", []) == 404
    assert {asked.method for asked in registry.asked} == {"HEAD"}
    for asked in registry.asked:
        assert "application/vnd.oci.image.index.v1+json" in asked.headers["accept"]
        assert "application/vnd.docker.distribution.manifest.v2+json" in asked.headers["accept"]


def test_the_images_of_volumes_are_of_the_hubs() -> None:
    told = {
        **VALUES,
        "site_local_path_version": "0.0.30",
        "site_local_path_helper_image": "docker.io/library/busybox:1.37.0",
        "site_storage": {"kind": "local"},
    }
    found, _ = images_of_hubs(lambda name: told.get(name, ""), no_download, upstream_too=False)
    assert found["docker.io/rancher/local-path-provisioner:v0.0.30"] == "volumes"
    assert found["docker.io/library/busybox:1.37.0"] == "folders of volumes"
    told["site_storage"] = {"kind": "local", "helper_image": "registry.example.org/helper:1"}
    found, _ = images_of_hubs(lambda name: told.get(name, ""), no_download, upstream_too=False)
    assert "registry.example.org/helper:1" in found and "docker.io/library/busybox:1.37.0" not in found
