# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about the packages that the site pins: whether the repositories have them, and what the machines have already."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from ansible_collections.ironbinder.platform.plugins.module_utils._base.versions import (
    is_exact_chart,
    numbers,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.package_lists import is_version
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.answers import some_hosts
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.artifacts import FOR_BUILDS, PACKAGES
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Host,
    Site,
    as_list,
    as_mapping,
    as_text,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.past import foreign_docker
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.versions import of_package

KUBERNETES, NODES = "site_kubernetes_version", "site_kubernetes_nodes_version"
MIRROR, REPOSITORIES = "artifact_mirror_url", "site_apt_repositories"
DOCKER, CNI, DIGEST = "site_docker_version", "site_kubernetes_cni_version", "site_pod_network_manifest_digest"
# Where upstream has them, behind https://.
HOMES = {
    "site_kubernetes_version": "pkgs.k8s.io",
    "site_kubernetes_cni_version": "pkgs.k8s.io",
    "site_containerd_version": "download.docker.com",
    "site_docker_version": "download.docker.com",
    "site_docker_buildx_version": "download.docker.com",
}
# Versions that roles change on a machine without pods, the package that tells, and what is restarted then.
REPLACED = {"site_containerd_version": ("containerd.io", "containerd"), DOCKER: ("docker-ce", "Docker")}


def _installed(host: Host, package: str) -> str:
    return as_text(as_mapping(host.probe.get("installed")).get(package))


def _offered(host: Host, package: str) -> tuple[str, ...]:
    told = as_list(as_mapping(host.probe.get("packages")).get(package))
    return tuple(str(entry) for entry in told)


def _wants(site: Site, host: Host, variable: str) -> bool:
    return variable not in FOR_BUILDS or site.builds_on(host)


def _asked(site: Site, host: Host, variable: str) -> tuple[str, str]:
    """Give the variable by which a host has its version of what `variable` names, and that version."""
    nodes = site.text(NODES)
    if variable == KUBERNETES and "head" not in host.groups and nodes and nodes != site.text(variable):
        return NODES, nodes
    return variable, site.text(variable)


def _is_due(site: Site, host: Host, variable: str, package: str) -> bool:
    """Whether somebody is going to ask apt for a package. A node keeps what it has until another version is wanted."""
    if not host.joined:
        return True
    if variable == CNI:
        return False
    told, wanted = as_mapping(host.probe.get("kubernetes")), _asked(site, host, variable)[1]
    if variable == KUBERNETES:
        running = [as_text(told.get("kubelet_version")), as_text(told.get("api_version"))]
    else:
        running = [_installed(host, package)]
    if variable in FOR_BUILDS and (not running[0] or "docker-version-changed" not in site.settled):
        # Under builds only an upgrade replaces it.
        return not running[0]
    return is_exact_chart(wanted) and any(has and numbers(has) != numbers(wanted) for has in running)


def _due(site: Site, host: Host, variable: str) -> list[str]:
    """Name the packages of a version that a host is going to have from apt."""
    wants = _wants(site, host, variable)
    return [package for package in PACKAGES[variable] if wants and _is_due(site, host, variable, package)]


@rule("package-version-unknown", ERROR, "The apt repositories do not have a wanted version.")
def package_version_unknown(site: Site) -> Iterator[Problem]:
    for variable in PACKAGES:
        lacking: dict[tuple[str, str, str, tuple[str, ...]], list[str]] = {}
        for host in site.seen("head", "workers"):
            asked, wanted = _asked(site, host, variable)
            # A list that could not be read may have it: apt has the last word then.
            if not is_exact_chart(wanted) or as_list(host.probe.get("unread_lists")):
                continue
            for package in _due(site, host, variable):
                versions = _offered(host, package)
                if versions and not any(is_version(version, wanted) for version in versions):
                    lacking.setdefault((asked, wanted, package, versions), []).append(host.name)
                    break
        for (asked, wanted, package, versions), names in lacking.items():
            newest = max(filter(None, map(of_package, versions)), default=versions[0])
            yield Problem(
                f"is {wanted[:40]}, and the repositories have no {package} of that version; the newest is {newest}",
                "set a version that the repository has, or mirror this one",
                asked,
                some_hosts(names),
            )


@rule("package-missing", ERROR, "The apt repositories do not have a package at all that the site needs.")
def package_missing(site: Site) -> Iterator[Problem]:
    for variable in PACKAGES:
        lacking: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
        for host in site.seen("head", "workers"):
            # Without a list that was read nobody has looked, and one that could not be read may have it.
            if not as_list(host.probe.get("read_lists")) or as_list(host.probe.get("unread_lists")):
                continue
            absent = tuple(
                package
                for package in _due(site, host, variable)
                if not _offered(host, package) and (host.joined or not _installed(host, package))
            )
            if absent:
                lacking.setdefault((*_asked(site, host, variable), absent), []).append(host.name)
        for (asked, wanted, absent), names in lacking.items():
            where = f"{site.text(MIRROR)}/{HOMES[variable]}" if site.uses_mirror else HOMES[variable]
            yield Problem(
                f"asks for {', '.join(absent)} {wanted[:40]}".rstrip()
                + ", and no repository of the site has any version of it",
                f"put it on {where}: upstream has it at https://{HOMES[variable]}"
                if site.uses_mirror
                else f"correct {REPOSITORIES}: upstream has it at https://{where}",
                asked,
                some_hosts(names),
            )


@rule("package-list-gone", ERROR, "The server of an apt repository does not have it.")
def package_list_gone(site: Site) -> Iterator[Problem]:
    told: dict[str, list[str]] = {}
    for host in site.seen("head", "workers"):
        # apt is not asked where everything is there.
        if any(_due(site, host, variable) for variable in PACKAGES):
            for said in as_mapping(host.probe.get("gone_lists")).values():
                names = told.setdefault(as_text(said), [])
                names.extend([] if host.name in names else [host.name])
    mirror = site.text(MIRROR).rstrip("/")
    for said, names in told.items():
        place = said.partition("/dists/")[0].removesuffix("/Release").partition(" answers ")[0]
        inside = site.uses_mirror and mirror and place.startswith(f"{mirror}/")
        yield Problem(
            f"{said[:200]}: apt finds no repository there",
            f"mirror https://{place.removeprefix(f'{mirror}/')} as {place}"
            if inside
            else f"correct {REPOSITORIES}",
            MIRROR if inside else REPOSITORIES,
            some_hosts(names),
        )


def _others(site: Site, variable: str, package: str, joined: bool) -> Mapping[str, Sequence[str]]:
    """Give the hosts by the version of a package that they have, where it is not the wanted one."""
    wanted, found = site.text(variable), dict[str, list[str]]()
    for host in site.seen("head", "workers"):
        version = _installed(host, package)
        if (
            version
            # What becomes of another's Docker is docker-foreign's, or docker-adopted's.
            and not (variable == DOCKER and foreign_docker(host))
            and is_exact_chart(wanted)
            and numbers(version) != numbers(wanted)
            and host.joined is joined
            and _wants(site, host, variable)
        ):
            found.setdefault(version, []).append(host.name)
    return found


@rule(
    "package-will-change", WARNING, "A machine has a newer or older containerd or Docker than the site pins."
)
def package_will_change(site: Site) -> Iterator[Problem]:
    for variable, (package, program) in REPLACED.items():
        for version, names in _others(site, variable, package, joined=False).items():
            wanted = site.text(variable)
            way = ("newer", "takes it back") if numbers(version) > numbers(wanted) else ("older", "raises it")
            yield Problem(
                f"is {wanted}, and {package} {version} is installed there, which is {way[0]}: the stage nodes {way[1]}, and "
                f"{program} is restarted",
                f'nothing, if nothing of yours runs there; else set {variable}: "{version}"',
                variable,
                some_hosts(list(names)),
            )


@rule("docker-version-changed", WARNING, "Nodes of the cluster run another Docker than the site asks for.")
def docker_version_changed(site: Site) -> Iterator[Problem]:
    wanted = site.text(DOCKER)
    for version, names in _others(site, DOCKER, "docker-ce", joined=True).items():
        yield Problem(
            f"is {wanted}, and docker-ce {version} runs there and stays: builds may be running",
            "nothing, if nodes may differ; else run playbooks/upgrade.yml, which empties nodes one after another",
            DOCKER,
            some_hosts(list(names)),
        )


@rule(
    "kubernetes-cni-version-changed", WARNING, "A machine has another kubernetes-cni than the site asks for."
)
def kubernetes_cni_version_changed(site: Site) -> Iterator[Problem]:
    wanted = site.text(CNI)
    both: dict[str, list[str]] = {}
    for joined in (False, True):
        for version, names in _others(site, CNI, "kubernetes-cni", joined).items():
            both.setdefault(version, []).extend(names)
    for version, names in both.items():
        yield Problem(
            f"is {wanted}, and kubernetes-cni {version} is installed there and stays",
            "nothing, if nodes may differ; else run apt-get install --allow-change-held-packages "
            f"kubernetes-cni={wanted}-* there: running pods do not notice",
            CNI,
            some_hosts(names),
        )


@rule("manifest-digest-malformed", ERROR, "The digest of the pod network's manifest is none.")
def manifest_digest_malformed(site: Site) -> Iterator[Problem]:
    text = site.text(DIGEST)
    if text and not re.fullmatch(r"sha256:[0-9a-fA-F]{64}", text):
        yield Problem(
            f"is {text[:80]!r}", "write sha256: and 64 digits, as `sha256sum FILE` prints them", DIGEST
        )
