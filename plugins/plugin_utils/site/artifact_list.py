# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Everything that a site fetches for its pins, each where upstream and a mirror have it. Files are those for Linux on x86-64."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.artifacts import (
    FOR_BUILDS,
    PACKAGES,
    artifact_urls,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import as_mapping, as_text

__all__ = [
    "KINDS",
    "Artifact",
    "Repository",
    "image_place",
    "render",
    "site_artifacts",
    "upstream_and_mirrored",
]

# In the order in which they are shown.
KINDS = {"image": "Images", "package": "Packages", "chart": "Charts", "file": "Files"}
DOCKER_HUB = "docker.io"
# Where Docker Hub's images are.
SERVERS = {DOCKER_HUB: "registry-1.docker.io"}
# What kubeadm of a version asks for besides its own four images, which have its version: CoreDNS, etcd and the pause image.
# `kubeadm config images list --kubernetes-version <version>` says it.
KUBEADM = {
    "1.36.3": ("coredns/coredns:v1.14.2", "etcd:3.6.8-0", "pause:3.10.2"),
    "1.35.4": ("coredns/coredns:v1.13.1", "etcd:3.6.6-0", "pause:3.10.1"),
}
KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")


@dataclass(frozen=True)
class Artifact:
    """One thing.

    `name` is name:tag of an image, name=version of a package whose own revision is left open. `upstream` is its URL, of a
    package its repository's, and `mirrored` the same on the site's mirror, `` where it has none.
    """

    kind: str
    name: str
    upstream: str
    mirrored: str
    used_for: str


@dataclass(frozen=True)
class Repository:
    """An apt repository of `site_apt_repositories`, as one or more machines have it."""

    name: str
    uri: str
    suite: str
    components: tuple[str, ...]
    key_url: str

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Repository:
        """Read an entry; what it lacks is empty."""
        words = {key: as_text(entry.get(key)) for key in ("name", "uri", "suite", "key_url")}
        components = tuple(str(part) for part in entry.get("components") or ())
        return cls(components=components, **words)

    def is_for(self, variable: str) -> bool:
        """Whether packages of a variable come from it, by the name that the contract gives it."""
        return (self.name == "kubernetes") == variable.startswith("site_kubernetes")


def image_place(image: str) -> tuple[str, str, str]:
    """Take an image's name apart: registry, repository and tag or digest, with what Docker's names leave out."""
    first, _, rest = image.partition("/")
    host, path = (first, rest) if rest and ("." in first or ":" in first) else (DOCKER_HUB, image)
    if "@" in path:
        path, _, reference = path.partition("@")
        path = path.partition(":")[0]
    else:
        path, _, reference = path.partition(":")
    if host == DOCKER_HUB and "/" not in path:
        path = f"library/{path}"
    return host, path, reference or "latest"


def upstream_and_mirrored(url: str, mirror: str) -> tuple[str, str]:
    """Give a URL as it is upstream and on the mirror, whichever of them it was."""
    if mirror and url.startswith(f"{mirror}/"):
        return f"https://{url.removeprefix(f'{mirror}/')}", url
    if not url.startswith(("http://", "https://")):
        return url, ""
    bare = url.partition("://")[2]
    return url, f"{mirror}/{bare}" if mirror else ""


def _image(image: str, mirror: str, used_for: str) -> Artifact:
    host, path, reference = image_place(image)
    upstream = f"https://{SERVERS.get(host, host)}/v2/{path}/manifests/{reference}"
    mirrored = f"{mirror}/v2/{host}/{path}/manifests/{reference}" if mirror else ""
    return Artifact("image", image, upstream, mirrored, used_for)


def _images(text: Callable[[str], str], hubs: Mapping[str, str]) -> dict[str, str]:
    version = text("site_kubernetes_version")
    used = "Kubernetes"
    found = {f"registry.k8s.io/{name}:v{version}": used for name in KUBERNETES if version}
    found |= {f"registry.k8s.io/{name}": used for name in KUBEADM.get(version, ())}
    found |= {image: "every pod" for image in (text("site_pause_image"),) if image}
    if metallb := text("site_metallb_version"):
        found |= {f"quay.io/metallb/{name}:v{metallb}": "MetalLB" for name in ("controller", "speaker")}
    found |= hubs
    for variable, used_for in (
        ("site_build_image", "builds"),
        ("site_base_image_from", "the base of people's images"),
        ("site_docker_probe_image", "the proof of Docker's mirrors"),
        ("site_fence_probe_image", "the proof of the fences"),
    ):
        if image := text(variable):
            found.setdefault(image, used_for)
    # The site's own registry is no project's, and no mirror's.
    own = text("site_registry_host")
    return {image: used_for for image, used_for in found.items() if image_place(image)[0] != own}


def _packages(text: Callable[[str], str], repositories: list[Repository], mirror: str) -> Iterator[Artifact]:
    for variable, names in PACKAGES.items():
        versions = [text(variable)]
        if variable == "site_kubernetes_version":
            versions.append(text("site_kubernetes_nodes_version"))
        for version in dict.fromkeys(filter(None, versions)):
            for name in names:
                used_for = "nodes that build" if variable in FOR_BUILDS else "nodes"
                for repository in [entry for entry in repositories if entry.is_for(variable)]:
                    where = " ".join([repository.suite, *repository.components])
                    upstream, mirrored = (
                        f"{url} {where}" if url else ""
                        for url in upstream_and_mirrored(repository.uri, mirror)
                    )
                    yield Artifact("package", f"{name}={version}", upstream, mirrored, used_for)


def _files(text: Callable[[str], str], repositories: list[Repository], mirror: str) -> Iterator[Artifact]:
    for variable, url in artifact_urls(text, "x86_64").items():
        upstream, mirrored = upstream_and_mirrored(url, mirror)
        used_for = variable.removeprefix("site_").removesuffix("_version").replace("_", " ")
        if variable == "site_helm_version":
            archive = [place.removesuffix(".sha256sum") for place in (upstream, mirrored)]
            yield Artifact("file", archive[0].rpartition("/")[2], archive[0], archive[1], used_for)
        yield Artifact("file", upstream.rpartition("/")[2], upstream, mirrored, used_for)
    for repository in repositories:
        if repository.key_url:
            upstream, mirrored = upstream_and_mirrored(repository.key_url, mirror)
            used_for = f"key of the packages of {repository.name}"
            yield Artifact("file", upstream.rpartition("/")[2], upstream, mirrored, used_for)


def _charts(text: Callable[[str], str], mirror: str, versions: Iterable[str]) -> Iterator[Artifact]:
    repository = text("site_binderhub_chart_repository")
    if not repository.startswith(("http://", "https://")):
        return
    upstream, mirrored = upstream_and_mirrored(repository, mirror)
    for version in versions:
        yield Artifact("chart", f"{text('site_binderhub_chart')}-{version}", upstream, mirrored, "hubs")


def site_artifacts(
    text: Callable[[str], str],
    hubs: Mapping[str, str],
    repositories: Iterable[Any],
    chart_versions: Iterable[str],
) -> tuple[list[Artifact], list[str]]:
    """List what a site fetches.

    Args:
        text: gives a variable of the site contract, or an empty text.
        hubs: images of its hubs, {name:tag: what it is for}, as `chart_images.hub_images` gives them.
        repositories: entries of `site_apt_repositories`, of all kinds of machines.
        chart_versions: those that its hubs have.

    Returns:
        The artifacts, and what this list cannot say, a sentence each.
    """
    mirror = text("artifact_mirror_url").rstrip("/")
    known = list(dict.fromkeys(Repository.of(as_mapping(entry)) for entry in repositories))
    found = [_image(image, mirror, used_for) for image, used_for in _images(text, hubs).items()]
    found += [
        *_packages(text, known, mirror),
        *_charts(text, mirror, chart_versions),
        *_files(text, known, mirror),
    ]
    notes = ["packages of the distribution come from where apt of each machine finds them already"]
    version = text("site_kubernetes_version")
    if version not in KUBEADM:
        command = f"kubeadm config images list --kubernetes-version v{version}"
        notes.append(f"CoreDNS, etcd and the pause image of Kubernetes {version}: `{command}` names them")
    if text("site_pod_network_provider") != "routed":
        notes.append("images of the pod network: those that its manifest names")
    notes.append("images that people's repositories start from: those of their Dockerfiles")
    return list(dict.fromkeys(found)), notes


def render(artifacts: Iterable[Artifact], notes: Iterable[str]) -> str:
    """Show the list as people read it."""
    told = list(artifacts)
    lines = []
    for kind, title in KINDS.items():
        entries = [entry for entry in told if entry.kind == kind]
        if not entries:
            continue
        lines += [title]
        width = max(len(entry.name) for entry in entries)
        for entry in entries:
            lines.append(f"  {entry.name.ljust(width)}  for {entry.used_for}")
            lines += [f"    {url}" for url in (entry.upstream, entry.mirrored) if url]
        lines.append("")
    return "\n".join([*lines, "Not in this list", *(f"  {note}" for note in notes)])
