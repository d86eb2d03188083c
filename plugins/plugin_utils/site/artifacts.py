# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Where the pinned artefacts are: the places that the roles fetch them from, so that preflight can ask for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

__all__ = ["FOR_BUILDS", "PACKAGES", "apt_architecture", "artifact_urls", "package_indexes"]

# The packages that have each version.
PACKAGES = {
    "site_kubernetes_version": ("kubelet", "kubeadm", "kubectl"),
    "site_kubernetes_cni_version": ("kubernetes-cni",),
    "site_containerd_version": ("containerd.io",),
    "site_docker_version": ("docker-ce", "docker-ce-cli"),
    "site_docker_buildx_version": ("docker-buildx-plugin",),
}
# Those of a machine that builds.
FOR_BUILDS = frozenset({"site_docker_version", "site_docker_buildx_version"})
# Names of machines as Linux, or macOS, and as Debian and Go have them.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def apt_architecture(machine: str) -> str:
    """Give Debian's and Go's name of an architecture, `amd64` for `x86_64`; empty where Ironbinder knows none."""
    return _ARCHITECTURES.get(machine, "")


def artifact_urls(text: Callable[[str], str], machine: str, system: str = "Linux") -> dict[str, str]:
    """Give the URL of each single file that a site's variables ask for.

    Args:
        text: gives a variable of the site contract, or an empty text.
        machine: architecture of the machine that fetches, such as x86_64.
        system: of that machine, as Python's `platform.system` names it.

    Returns:
        {the variable that is wrong where the URL is not there: URL}. For helm the URL of its checksum, which is short.
    """
    base, provider = text("site_artifact_base"), text("site_pod_network_provider")
    manifest = text("site_pod_network_manifest")
    architecture = apt_architecture(machine)
    github = f"{base}raw.githubusercontent.com"
    found = {}
    if version := text("site_metallb_version"):
        found["site_metallb_version"] = (
            f"{github}/metallb/metallb/v{version}/config/manifests/metallb-native.yaml"
        )
    if (version := text("site_helm_version")) and architecture:
        found["site_helm_version"] = (
            f"{base}get.helm.sh/helm-v{version}-{system.lower()}-{architecture}.tar.gz.sha256sum"
        )
    if provider != "routed" and manifest:
        found["site_pod_network_manifest"] = manifest
    elif provider == "calico" and (version := text("site_calico_version")):
        found["site_calico_version"] = f"{github}/projectcalico/calico/v{version}/manifests/calico.yaml"
    return {name: url for name, url in found.items() if url.startswith(("http://", "https://"))}


def package_indexes(repositories: Iterable[Any], machine: str) -> list[dict[str, str]]:
    """Give the lists of packages of apt repositories, and the releases that vouch for them.

    Args:
        repositories: {uri, suite, components}, as in `site_apt_repositories`; others are passed over.
        machine: architecture, such as x86_64.

    Returns:
        For each list `list`, the URL of its Packages.gz, and `release`, that of the repository's InRelease.

    Source: https://wiki.debian.org/DebianRepository/Format.
    """
    architecture = apt_architecture(machine)
    found = []
    for entry in repositories:
        if not isinstance(entry, Mapping):
            continue
        uri, suite = str(entry.get("uri") or "").rstrip("/"), str(entry.get("suite") or "")
        components = entry.get("components") or []
        if not uri.startswith(("http://", "https://")) or not suite:
            continue
        if suite.endswith("/"):
            place = f"{uri}/{suite.lstrip('/')}"
            found.append({"list": f"{place}Packages.gz", "release": f"{place}InRelease"})
        elif architecture and isinstance(components, list):
            place = f"{uri}/dists/{suite}"
            found += [
                {
                    "list": f"{place}/{component}/binary-{architecture}/Packages.gz",
                    "release": f"{place}/InRelease",
                }
                for component in components
            ]
    return found
