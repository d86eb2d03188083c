# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about ports and what already runs on a machine."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Host, Site, as_mapping
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.past import past_of
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.ports import (
    HEAD_PORTS,
    NODE_PORTS,
    PROXY_PROCESSES,
    REGISTRY_PROCESSES,
    api_port,
    public_port,
    registry_at,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.versions import (
    KUBERNETES,
    Version,
    version,
    wanted_kubernetes,
)


def _wanted(site: Site) -> Iterator[tuple[Host, int, tuple[str, ...]]]:
    """Give every (host, port, processes that may hold it)."""
    for host in site.seen("head"):
        for port, names in {api_port(site): ("kube-apiserver",), **HEAD_PORTS}.items():
            yield host, port, names
    for host in site.seen("head", "workers"):
        for port, names in NODE_PORTS.items():
            yield host, port, names
    for host in site.seen("proxy"):
        for port in sorted({80, public_port(site)}):
            yield host, port, PROXY_PROCESSES
    for host in site.seen("registry"):
        yield host, registry_at(site)[1], REGISTRY_PROCESSES


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


def _running(host: Host, part: str) -> Version | None:
    """Give the version of `kubelet` or `api` that is set up on a machine."""
    return version(as_mapping(host.probe.get("kubernetes")).get(f"{part}_version"))


@rule("kubelet-newer-than-api", ERROR, "A node's kubelet is newer than the cluster's API.")
def kubelet_newer_than_api(site: Site) -> Iterator[Problem]:
    for head in site.seen("head"):
        api = _running(head, "api")
        for host in site.seen("head", "workers"):
            kubelet = _running(host, "kubelet")
            if api and kubelet and kubelet.release[:2] > api.release[:2]:
                yield Problem(
                    f"runs kubelet {kubelet}, and the API is {api}",
                    "upgrade the control plane first, or put the older kubelet back: nodes must not be newer",
                    "",
                    host.name,
                )


@rule("kubernetes-downgrade", ERROR, "The wanted Kubernetes is older than the running one.")
def kubernetes_downgrade(site: Site) -> Iterator[Problem]:
    wanted = wanted_kubernetes(site)
    for head in site.seen("head"):
        api = _running(head, "api")
        if wanted and api and wanted < api:
            yield Problem(
                f"asks for {wanted}, and the cluster runs {api}",
                f"set site_kubernetes_version back to {api}; Kubernetes cannot go back",
                KUBERNETES,
                head.name,
            )


@rule("kubernetes-skips-minor", ERROR, "The wanted Kubernetes skips a minor version.")
def kubernetes_skips_minor(site: Site) -> Iterator[Problem]:
    wanted = wanted_kubernetes(site)
    for head in site.seen("head"):
        api = _running(head, "api")
        if wanted and api and wanted.major == api.major and wanted.minor > api.minor + 1:
            yield Problem(
                f"asks for {wanted.major}.{wanted.minor}, and the cluster runs {api.major}.{api.minor}",
                f"set site_kubernetes_version back to {api}, or to a {api.major}.{api.minor + 1} and run playbooks/upgrade.yml: "
                "kubeadm takes one minor version at a time",
                KUBERNETES,
                head.name,
            )


@rule("half-made-cluster", WARNING, "A node carries the kubelet of a cluster whose head is not running.")
def half_made_cluster(site: Site) -> Iterator[Problem]:
    port, heads = api_port(site), list(site.seen("head"))
    if heads and not any(port in head.listening for head in heads):
        for host in site.seen("workers"):
            # Somebody else's is node-of-another-cluster's, or cluster-leftovers'.
            if host.joined and past_of(host, "cluster").get("ours") is not False:
                yield Problem(
                    f"is joined to a cluster, but no API listens on port {port} of {heads[0].name}",
                    "start the head's kubelet; if the old cluster is gone: kubeadm reset on this node",
                    "groups.workers",
                    host.name,
                )
