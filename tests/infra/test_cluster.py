# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The cluster: every node, every pod, and the network between them."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
from live_site import Site

testinfra_hosts = ["ansible://head"]


@pytest.fixture
def nodes(kubectl: Callable[..., Any]) -> dict[str, Any]:
    """Return the nodes by name."""
    return {node["metadata"]["name"]: node for node in kubectl("get", "nodes")["items"]}


def test_every_machine_is_a_ready_node(nodes: dict[str, Any], site: Site) -> None:
    assert sorted(nodes) == sorted(site.hosts("head", "workers"))
    states = {
        name: condition["status"]
        for name, node in nodes.items()
        for condition in node["status"]["conditions"]
        if condition["type"] == "Ready"
    }
    assert states == dict.fromkeys(nodes, "True")


def test_nodes_have_the_pinned_version_and_their_address(nodes: dict[str, Any], site: Site) -> None:
    for name, node in nodes.items():
        wanted = site.variables(name)["site_kubernetes_machine_version"]
        assert node["status"]["nodeInfo"]["kubeletVersion"] == f"v{wanted}"
        addresses = {
            entry["address"] for entry in node["status"]["addresses"] if entry["type"] == "InternalIP"
        }
        # The inventory may name a host where the cluster has its address.
        assert addresses == {socket.gethostbyname(site.contract["site_node_addresses"][name])}


def test_nodes_are_labelled_by_purpose(nodes: dict[str, Any], site: Site) -> None:
    for name, node in nodes.items():
        purposes = site.variables(name)["site_node_purposes"]
        wanted = "user" if "user" in purposes else purposes[0]
        assert node["metadata"]["labels"].get("hub.jupyter.org/node-purpose") == wanted


def test_every_pod_runs(kubectl: Callable[..., Any], eventually: Callable[..., Any]) -> None:
    def stuck() -> list[str]:
        found = []
        for pod in kubectl("get", "pods", "--all-namespaces")["items"]:
            status = pod["status"]
            ready = all(
                container["ready"] for container in status.get("containerStatuses", [{"ready": False}])
            )
            if status["phase"] != "Succeeded" and not (status["phase"] == "Running" and ready):
                found.append(f"{pod['metadata']['namespace']}/{pod['metadata']['name']} is {status['phase']}")
        return found

    # A person's server may be starting or stopping at any moment.
    assert eventually(stuck) == []


def test_pods_resolve_names_and_reach_pods_on_other_nodes(kubectl: Callable[..., Any], site: Site) -> None:
    dns = kubectl("--namespace", "kube-system", "get", "pods", "--selector", "k8s-app=kube-dns")["items"]
    assert dns, "there is no CoreDNS"
    servers = [pod["status"]["podIP"] for pod in dns]
    for hub in site.hubs.values():
        name = f"proxy-public.{hub['namespace']}.svc.cluster.local"
        # Every CoreDNS pod by its own address, wherever it is, then the service as the resolver knows it.
        script = (
            "import socket\n"
            f"for server in {servers!r}: socket.create_connection((server, 53), 5).close()\n"
            f"print(socket.gethostbyname({name!r}))"
        )
        address = kubectl(
            "--namespace", hub["namespace"], "exec", "deploy/hub", "--", "python3", "-c", script, output=""
        )
        service = kubectl("--namespace", hub["namespace"], "get", "service", "proxy-public")
        assert address.strip() == service["spec"]["clusterIP"]
