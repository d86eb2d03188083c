# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a site fetches, where upstream and a mirror have it; and that the lab's mirror has what its list says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.artifact_list import (
    KUBEADM,
    Artifact,
    image_place,
    render,
    site_artifacts,
    upstream_and_mirrored,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.chart_files import find_chart
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.chart_images import hub_images

ROOT = Path(__file__).parents[5]
MIRROR = "https://192.0.2.41"
REPOSITORIES = [
    {
        "name": "kubernetes",
        "uri": f"{MIRROR}/pkgs.k8s.io/core:/stable:/v1.36/deb/",
        "suite": "/",
        "components": [],
        "key_url": f"{MIRROR}/pkgs.k8s.io/core:/stable:/v1.36/deb/Release.key",
    },
    {
        "name": "docker",
        "uri": f"{MIRROR}/download.docker.com/linux/debian",
        "suite": "bookworm",
        "components": ["stable"],
        "key_url": f"{MIRROR}/download.docker.com/linux/debian/gpg",
    },
]


def read(path: str) -> Any:
    """A YAML file of ours."""
    return yaml.safe_load((ROOT / path).read_text())


VALUES = {
    **read("roles/site/defaults/main/versions.yml"),
    "site_artifact_base": f"{MIRROR}/",
    "artifact_mirror_url": MIRROR,
    "site_pod_network_provider": "routed",
    "site_binderhub_chart": "binderhub",
    "site_binderhub_chart_repository": f"{MIRROR}/jupyterhub.github.io/helm-chart",
    "site_docker_probe_image": "docker.io/library/hello-world:latest",
}


def listed(**more: Any) -> tuple[list[Artifact], list[str]]:
    """The list of a site with these values."""
    values = {**VALUES, **more}
    return site_artifacts(
        lambda name: str(values.get(name) or ""),
        {"q.io/hub:1": "JupyterHub"},
        REPOSITORIES,
        ["1.0.0-0.dev.git.3983.h383374de", "2.0.0"],
    )


def names(kind: str, **more: Any) -> list[str]:
    """Names of one kind."""
    return [entry.name for entry in listed(**more)[0] if entry.kind == kind]


@pytest.mark.parametrize(
    ("image", "place"),
    [
        ("quay.io/x/y:1", ("quay.io", "x/y", "1")),
        ("traefik:v3", ("docker.io", "library/traefik", "v3")),
        ("jupyter/base", ("docker.io", "jupyter/base", "latest")),
        ("docker.io/library/z:1", ("docker.io", "library/z", "1")),
        ("r.org:5000/a/b:2", ("r.org:5000", "a/b", "2")),
        ("r.org/a@sha256:ab", ("r.org", "a", "sha256:ab")),
        ("r.org/a:1@sha256:ab", ("r.org", "a", "sha256:ab")),
    ],
)
def test_image_place(image: str, place: tuple[str, str, str]) -> None:
    assert image_place(image) == place


@pytest.mark.parametrize(
    ("url", "mirror", "places"),
    [
        (f"{MIRROR}/get.helm.sh/x", MIRROR, ("https://get.helm.sh/x", f"{MIRROR}/get.helm.sh/x")),
        ("https://get.helm.sh/x", MIRROR, ("https://get.helm.sh/x", f"{MIRROR}/get.helm.sh/x")),
        ("https://get.helm.sh/x", "", ("https://get.helm.sh/x", "")),
        ("/srv/chart", MIRROR, ("/srv/chart", "")),
    ],
)
def test_places(url: str, mirror: str, places: tuple[str, str]) -> None:
    assert upstream_and_mirrored(url, mirror) == places


def test_a_mirrored_site() -> None:
    found, notes = listed()
    by_name = {entry.name: entry for entry in found}
    kubelet = by_name["kubelet=1.36.3"]
    assert kubelet.upstream == "https://pkgs.k8s.io/core:/stable:/v1.36/deb/ /"
    assert kubelet.mirrored == f"{MIRROR}/pkgs.k8s.io/core:/stable:/v1.36/deb/ /"
    assert by_name["docker-ce=29.8.1"].mirrored.endswith("/linux/debian bookworm stable")
    assert by_name["docker-ce=29.8.1"].used_for == "nodes that build"
    assert by_name["q.io/hub:1"].mirrored == f"{MIRROR}/v2/q.io/hub/manifests/1"
    hello = by_name["docker.io/library/hello-world:latest"]
    assert hello.upstream == "https://registry-1.docker.io/v2/library/hello-world/manifests/latest"
    assert hello.mirrored == f"{MIRROR}/v2/docker.io/library/hello-world/manifests/latest"
    assert "binderhub-2.0.0" in by_name
    assert by_name["binderhub-1.0.0-0.dev.git.3983.h383374de"].upstream == (
        "https://jupyterhub.github.io/helm-chart"
    )
    assert by_name["helm-v3.22.0-linux-amd64.tar.gz"].mirrored.startswith(f"{MIRROR}/get.helm.sh/")
    assert {"Release.key", "gpg", "metallb-native.yaml"} <= set(by_name)
    assert not [note for note in notes if "CoreDNS" in note or "pod network" in note]


def test_each_thing_once() -> None:
    found, _ = listed(
        site_fence_probe_image=VALUES["site_build_image"], site_kubernetes_nodes_version="1.36.3"
    )
    assert len(found) == len(set(found))
    assert (
        names("image", site_fence_probe_image=VALUES["site_build_image"]).count(VALUES["site_build_image"])
        == 1
    )


def test_workers_that_follow_later() -> None:
    assert {"kubelet=1.35.4", "kubelet=1.36.3"} <= set(
        names("package", site_kubernetes_nodes_version="1.35.4")
    )


def test_what_it_cannot_say_is_said() -> None:
    _, notes = listed(site_kubernetes_version="1.36.9", site_pod_network_provider="calico")
    assert any("kubeadm config images list --kubernetes-version v1.36.9" in note for note in notes)
    assert any("its manifest names" in note for note in notes)


def test_what_is_in_the_sites_own_registry_is_its_own() -> None:
    assert "r.org:5000/base:1" not in names(
        "image", site_base_image_from="r.org:5000/base:1", site_registry_host="r.org:5000"
    )


def test_an_upstream_site_has_no_second_column() -> None:
    found, _ = listed(artifact_mirror_url="", site_artifact_base="https://")
    # Its repositories come from the contract, where they would be upstream's.
    assert not [entry for entry in found if entry.mirrored and entry.kind != "package"]


def test_what_people_read() -> None:
    text = render(*listed())
    assert "Images\n  registry.k8s.io/kube-apiserver:v1.36.3" in text
    assert (
        text.splitlines()[-1] == "  images that people's repositories start from: those of their Dockerfiles"
    )


def test_the_labs_mirror_has_all_that_the_list_of_the_lab_says() -> None:
    """Image by image: what is built under these names is what a site of these pins asks for."""
    lab = read("inventories/lab/group_vars/all/site.yml")
    chart = find_chart(str(ROOT / "lab/chart"), "binderhub", "")
    hubs = hub_images(chart, "binder", {}, user_scheduler_replicas=2, hub_image="")
    values = {
        **VALUES,
        "site_base_image_from": lab["site_base_image_from"],
        "site_fence_probe_image": read("inventories/lab/group_vars/all/fences.yml")["site_fence_probe_image"],
    }
    found, _ = site_artifacts(lambda name: str(values.get(name) or ""), hubs, REPOSITORIES, ["1.0.0"])
    built = {entry["name"] for entry in read("lab/images/images.yml")["images"]}
    for entry in read("lab/artifacts/images.yml"):
        version = values["site_kubernetes_version"]
        names = {"kubernetes": version, "coredns": "1.14.2", "metallb": values["site_metallb_version"]}
        names["local_path"] = values["site_local_path_version"]
        before = {"kubernetes_before": "1.35.4", "coredns_before": "1.13.1", "etcd_before": "3.6.6"}
        built.add(entry["name"].format(**names, **before))
    assert {entry.name for entry in found if entry.kind == "image"} <= built
    # And what kubeadm of each version asks for, by the images that were seen to work with it.
    assert {f"registry.k8s.io/{name}" for names in KUBEADM.values() for name in names} <= built
    packages = set(read("lab/artifacts/packages.yml")["built"])
    asked = {entry.name.partition("=")[0] for entry in found if entry.kind == "package"}
    assert asked <= packages
