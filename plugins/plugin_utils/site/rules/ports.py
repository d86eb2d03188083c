# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about ports and what already runs on a machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Host,
    Site,
    as_int,
    as_mapping,
    as_text,
    split_url,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule

# Who may hold a port: what an earlier run of Ironbinder started there. The kernel keeps 15
# characters of a process's name.
HEAD_PORTS = {
    2379: ("etcd",),
    2380: ("etcd",),
    10257: ("kube-controller",),
    10259: ("kube-scheduler",),
}
NODE_PORTS = {10250: ("kubelet",), 10256: ("kube-proxy",)}
PROXY_PROCESSES = ("nginx",)
REGISTRY_PROCESSES = ("registry", "docker-proxy", "docker-registry", "nginx", "zot")


def registry_port(site: Site) -> int:
    """Port of the site's registry: the number after the colon, else that of the scheme."""
    _, colon, port = site.text("site_registry_host").rpartition(":")
    fallback = 80 if site.flag("site_registry_plain_http_enabled") else 443
    return as_int(port, fallback) if colon else fallback


def registry_is_ours(site: Site) -> bool:
    """Whether this site deploys its registry itself."""
    return bool(site.groups.get("registry"))


def registry_runs(site: Site) -> bool:
    """Whether the registry is expected to answer now: not ours to start, or started already."""
    port = registry_port(site)
    return not registry_is_ours(site) or any(
        host.listening.get(port) in REGISTRY_PROCESSES for host in site.seen("registry")
    )


def _wanted(site: Site) -> Iterator[tuple[Host, int, tuple[str, ...]]]:
    """Give every (host, port, processes that may hold it)."""
    api_port = as_int(site.values.get("site_api_port"), 6443)
    for host in site.seen("head"):
        for port, names in {api_port: ("kube-apiserver",), **HEAD_PORTS}.items():
            yield host, port, names
    for host in site.seen("head", "workers"):
        for port, names in NODE_PORTS.items():
            yield host, port, names
    parts = split_url(site.text("site_public_url"))
    public = (parts.port if parts else None) or (443 if parts and parts.scheme == "https" else 80)
    for host in site.seen("proxy"):
        for port in sorted({80, public}):
            yield host, port, PROXY_PROCESSES
    for host in site.seen("registry"):
        yield host, registry_port(site), REGISTRY_PROCESSES


@rule("port-taken", ERROR, "A port that a stage needs is held by something else.")
def port_taken(site: Site) -> Iterator[Problem]:
    told = set()
    for host, port, names in _wanted(site):
        holder = host.listening.get(port)
        if holder is None or holder in names or (host.name, port) in told:
            continue
        told.add((host.name, port))
        yield Problem(
            f"port {port} is held by {holder or 'a process that could not be seen'}",
            f"stop it, or move it; {names[0]} needs this port",
            "",
            host.name,
        )


def _version(text: object) -> tuple[int, ...]:
    parts = as_text(text).lstrip("v").split(".")
    return tuple(int(part) for part in parts) if parts and all(part.isdigit() for part in parts) else ()


def _kubernetes(host: Host) -> Mapping[str, object]:
    return as_mapping(host.probe.get("kubernetes"))


@rule("kubelet-newer-than-api", ERROR, "A node's kubelet is newer than the cluster's API.")
def kubelet_newer_than_api(site: Site) -> Iterator[Problem]:
    for head in site.seen("head"):
        api = _version(_kubernetes(head).get("api_version"))
        for host in site.seen("head", "workers"):
            kubelet = _version(_kubernetes(host).get("kubelet_version"))
            if api and kubelet[:2] > api[:2]:
                yield Problem(
                    f"runs kubelet {'.'.join(map(str, kubelet))}, and the API is {'.'.join(map(str, api))}",
                    "upgrade the control plane first, or put the older kubelet back: nodes must not be newer",
                    "site_kubernetes_version",
                    host.name,
                )


@rule("kubernetes-downgrade", ERROR, "The wanted Kubernetes is older than the running one.")
def kubernetes_downgrade(site: Site) -> Iterator[Problem]:
    wanted = _version(site.text("site_kubernetes_version"))
    for head in site.seen("head"):
        api = _version(_kubernetes(head).get("api_version"))
        if wanted and wanted < api:
            yield Problem(
                f"asks for {'.'.join(map(str, wanted))}, and the cluster runs {'.'.join(map(str, api))}",
                f"set site_kubernetes_version back to {'.'.join(map(str, api))}; Kubernetes cannot go back",
                "site_kubernetes_version",
                head.name,
            )


@rule("kubernetes-skips-minor", ERROR, "The wanted Kubernetes skips a minor version.")
def kubernetes_skips_minor(site: Site) -> Iterator[Problem]:
    wanted = _version(site.text("site_kubernetes_version"))
    for head in site.seen("head"):
        api = _version(_kubernetes(head).get("api_version"))
        if len(api) > 1 and len(wanted) > 1 and wanted[0] == api[0] and wanted[1] > api[1] + 1:
            yield Problem(
                f"asks for {wanted[0]}.{wanted[1]}, and the cluster runs {api[0]}.{api[1]}",
                f"set site_kubernetes_version back to {'.'.join(map(str, api))}: kubeadm takes one minor version at a time",
                "site_kubernetes_version",
                head.name,
            )


@rule("half-made-cluster", WARNING, "A node carries the kubelet of a cluster whose head is not running.")
def half_made_cluster(site: Site) -> Iterator[Problem]:
    api_port = as_int(site.values.get("site_api_port"), 6443)
    heads = list(site.seen("head"))
    if heads and not any(api_port in head.listening for head in heads):
        for host in site.seen("workers"):
            if host.joined:
                yield Problem(
                    f"is joined to a cluster, but no API listens on port {api_port} of {heads[0].name}",
                    "start the head's kubelet; if the old cluster is gone: kubeadm reset on this node",
                    "groups.workers",
                    host.name,
                )
