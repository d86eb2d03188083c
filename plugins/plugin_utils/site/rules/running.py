# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about a cluster that runs already: what was chosen once is compared with what was made of it.

What the heads and nodes tell is documented in `_machine/cluster_facts.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_network
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._base.versions import is_exact, numbers
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.answers import (
    some_hosts,
    without_hosts,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Host,
    Site,
    as_int,
    as_list,
    as_mapping,
    as_text,
    parse_ip,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule

KUBERNETES = "site_kubernetes_version"
CONTAINERD = "site_containerd_version"
PROVIDER = "site_pod_network_provider"
NODES = "site_kubernetes_nodes_version"
# Where kubeadm's configuration names no port.
API_PORT = 6443


def _cluster(host: Host) -> Mapping[str, Any]:
    return as_mapping(host.probe.get("cluster"))


def _running(site: Site, made_here: bool = False) -> Iterator[tuple[Host, Mapping[str, Any]]]:
    """Give the first head that knows its cluster's configuration.

    Args:
        site: the site.
        made_here: only of a cluster that Ironbinder made. Others have names and endpoints of their own.
    """
    for head in site.seen("head"):
        told = _cluster(head)
        if as_text(told.get("source")):
            if told.get("made_here") is True or not made_here:
                yield head, told
            return


def _names(hosts: Sequence[Host]) -> str:
    return some_hosts([host.name for host in hosts])


def _upgrade(site: Site) -> str:
    """Say how to bring other versions. A worker that has yet to join is no node, and joins by site.yml afterwards."""
    new = [host.name for host in site.seen("workers") if not host.joined]
    left_out = f" {without_hosts(new)}, as {some_hosts(new)} has not joined yet" if new else ""
    return f"run playbooks/upgrade.yml{left_out}; with --check it tells first what that means"


def _networks(text: str) -> list[str]:
    """Read one range or several, as kubeadm takes them; nothing where one is none."""
    try:
        return [str(ip_network(part.strip())) for part in text.split(",")]
    except ValueError:
        return []


def _range_changed(site: Site, variable: str, key: str, what: str) -> Iterator[Problem]:
    for head, told in _running(site):
        runs, wanted = _networks(as_text(told.get(key))), _networks(site.text(variable))
        # A cluster of both families has one range of each; the contract speaks of one.
        if runs and wanted and not set(wanted) <= set(runs):
            yield Problem(
                f"is {', '.join(wanted)}, and {what} of the running cluster are in {', '.join(runs)}",
                f"set {variable} back to {runs[0]}: it cannot be changed on a running cluster, only with a new one",
                variable,
                head.name,
            )


@rule(
    "pod-subnet-changed",
    ERROR,
    "The range of pods is not the one that the running cluster was made with.",
    acceptable=False,
)
def pod_subnet_changed(site: Site) -> Iterator[Problem]:
    yield from _range_changed(site, "site_pod_subnet", "pod_subnet", "the pods")


@rule(
    "service-subnet-changed",
    ERROR,
    "The range of services is not the one that the running cluster was made with.",
    acceptable=False,
)
def service_subnet_changed(site: Site) -> Iterator[Problem]:
    yield from _range_changed(site, "site_service_subnet", "service_subnet", "the services")


@rule(
    "cluster-name-changed",
    ERROR,
    "The site's name is not the one that the running cluster was made with.",
    acceptable=False,
)
def cluster_name_changed(site: Site) -> Iterator[Problem]:
    for head, told in _running(site, made_here=True):
        runs, wanted = as_text(told.get("name")), site.text("site_name")
        if runs and wanted and runs != wanted:
            yield Problem(
                f"is {wanted}, and the running cluster is {runs}: this may be another site's inventory",
                f"set site_name back to {runs}, or correct the head's address; another name needs a new cluster",
                "site_name",
                head.name,
            )


def _endpoint(text: str) -> tuple[str, int]:
    """Split host:port, [IPv6]:port, or a host alone."""
    host, port = text, ""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    return _one_form(host), as_int(port, API_PORT)


def _one_form(host: str) -> str:
    address = parse_ip(host)
    return str(address) if address else host.lower().rstrip(".")


@rule(
    "api-endpoint-changed",
    ERROR,
    "The API's address or port is not the one that the nodes have joined.",
    acceptable=False,
)
def api_endpoint_changed(site: Site) -> Iterator[Problem]:
    for head, told in _running(site, made_here=True):
        runs = as_text(told.get("api_endpoint"))
        address, port = _endpoint(runs)
        wanted, wanted_port = (
            site.text("site_api_address"),
            as_int(site.values.get("site_api_port"), API_PORT),
        )
        # What is no address is api-address-malformed's.
        readable = bool(parse_ip(wanted)) or not set(wanted) & set(":/ ")
        if address and wanted and readable and _one_form(wanted) != address:
            yield Problem(
                f"is {wanted}, and the nodes of the running cluster know the API as {runs}",
                f"set site_api_address to {address}: certificates and kubelets hold it; another needs a new cluster",
                "site_api_address",
                head.name,
            )
        if address and wanted_port != port:
            yield Problem(
                f"is {wanted_port}, and the API of the running cluster is at {runs}",
                f"set site_api_port back to {port}: every kubelet holds it; another needs a new cluster",
                "site_api_port",
                head.name,
            )


@rule(
    "pod-network-changed", ERROR, "The pod network is not the one that joined nodes have.", acceptable=False
)
def pod_network_changed(site: Site) -> Iterator[Problem]:
    wanted = site.text(PROVIDER)
    # A manifest of one's own may be Calico's.
    fitting = {wanted, "calico"} if wanted == "manifest" else {wanted}
    others: dict[str, list[Host]] = {}
    for host in site.seen("head", "workers"):
        runs = [as_text(entry) for entry in as_list(_cluster(host).get("networks")) if as_text(entry)]
        if host.joined and wanted and runs and not fitting & set(runs):
            others.setdefault(runs[0], []).append(host)
    for provider, hosts in others.items():
        yield Problem(
            f"is {wanted}, and /etc/cni/net.d has the network of {provider}, which running pods use",
            f"set {PROVIDER} back to {provider}: two networks would take each other's pods; another needs a new cluster",
            PROVIDER,
            _names(hosts),
        )


def _others(
    site: Site, wanted: str, version_of: Mapping[str, str], groups: Sequence[str] = ("head", "workers")
) -> dict[str, list[Host]]:
    """Nodes of some groups by a version that is not the wanted one."""
    found: dict[str, list[Host]] = {}
    for host in site.seen(*groups):
        version = version_of.get(host.name, "")
        if numbers(version) and numbers(version) != numbers(wanted):
            found.setdefault(version, []).append(host)
    return found


def _told_elsewhere(wanted: str, api: str) -> bool:
    """Whether kubernetes-downgrade or kubernetes-skips-minor says it of the API."""
    new, old = numbers(wanted), numbers(api)
    return new < old or (new[0] == old[0] and new[1] > old[1] + 1)


@rule(
    "kubernetes-version-changed",
    ERROR,
    "Machines have another Kubernetes than the site asks for.",
    acceptable=False,
)
def kubernetes_version_changed(site: Site) -> Iterator[Problem]:
    wanted = site.text(KUBERNETES)
    if not is_exact(wanted):
        return
    told = {host.name: as_mapping(host.probe.get("kubernetes")) for host in site.seen("head", "workers")}
    head, api = next(
        (
            (host, as_text(told[host.name].get("api_version")))
            for host in site.seen("head")
            if len(numbers(told[host.name].get("api_version"))) > 1
        ),
        (None, ""),
    )
    # While the site asks for another API, that is the cause, and nodes are judged by the value put back.
    if head and numbers(api) != numbers(wanted):
        if not _told_elsewhere(wanted, api):
            yield Problem(
                f"is {wanted}, and the cluster runs {api}",
                f"{_upgrade(site)}; or set {KUBERNETES} back to {api}",
                KUBERNETES,
                head.name,
            )
        return
    kubelets = {name: as_text(entry.get("kubelet_version")) for name, entry in told.items()}
    nodes = site.text(NODES)
    if nodes != wanted and is_exact(nodes):
        yield from _kubelets_changed(site, _others(site, wanted, kubelets, ["head"]), KUBERNETES, wanted, api)
        # A head that runs sessions may be in both groups, and is a head.
        heads = {host.name for host in site.seen("head")}
        kubelets = {name: version for name, version in kubelets.items() if name not in heads}
        yield from _kubelets_changed(site, _others(site, nodes, kubelets, ["workers"]), NODES, nodes, api)
    else:
        yield from _kubelets_changed(site, _others(site, wanted, kubelets), KUBERNETES, wanted, api)


def _kubelets_changed(
    site: Site, others: Mapping[str, list[Host]], variable: str, wanted: str, api: str
) -> Iterator[Problem]:
    for version, hosts in others.items():
        if api and numbers(version)[:2] > numbers(api)[:2]:
            continue  # kubelet-newer-than-api
        joined = [host for host in hosts if host.joined]
        fresh = [host for host in hosts if not host.joined]
        if joined:
            yield Problem(
                f"is {wanted}, and the kubelet there is {version}",
                f"{_upgrade(site)}, which empties nodes one after another; or set {variable} back to {version} where all run it",
                variable,
                _names(joined),
            )
        if fresh:
            yield Problem(
                f"is {wanted}, and kubelet {version} is installed there, although the machine has joined no cluster",
                "remove it: apt-get purge --allow-change-held-packages kubelet kubeadm kubectl",
                variable,
                _names(fresh),
            )


@rule(
    "containerd-version-changed", ERROR, "Nodes of the cluster run another containerd than the site asks for."
)
def containerd_version_changed(site: Site) -> Iterator[Problem]:
    wanted = site.text(CONTAINERD)
    if not is_exact(wanted):
        return
    # On a machine without pods the role simply installs the wanted one.
    versions = {
        host.name: as_text(_cluster(host).get("containerd_version"))
        for host in site.seen("head", "workers")
        if host.joined
    }
    for version, hosts in _others(site, wanted, versions).items():
        yield Problem(
            f"is {wanted}, and {version} runs there: the stage nodes would replace it under running pods",
            f"{_upgrade(site)}, which empties nodes one after another; or set {CONTAINERD} back to {version}",
            CONTAINERD,
            _names(hosts),
        )
