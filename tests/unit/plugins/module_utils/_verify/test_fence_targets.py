# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a site has that answers, read from the API and the inventory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_rules import Target
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_targets import (
    Cluster,
    Facts,
    TargetError,
    as_cluster,
    given_targets,
    listener_targets,
    site_targets,
    without,
)
from fence_cluster import LAB, FenceCluster, node


def lab() -> Cluster:
    """The lab's cluster, as its API has it."""
    api = FenceCluster(lambda _name, _targets: None)

    def items(path: str) -> Any:
        return (api.get(path) or {})["items"]

    slices = items("/apis/discovery.k8s.io/v1/namespaces/binder/endpointslices")
    return as_cluster(items("/api/v1/nodes"), items("/api/v1/services"), slices)


def places(facts: Facts = LAB) -> dict[str, tuple[str, str, int]]:
    """Kind, address and port of each target by its name."""
    return {one.name: (one.kind, one.address, one.port) for one in site_targets(facts, lab())}


def test_the_lab() -> None:
    assert places() == {
        "API server of head1": ("api", "172.30.77.11", 6443),
        "etcd of head1": ("etcd", "172.30.77.11", 2379),
        "kubelet of head1": ("kubelet", "172.30.77.11", 10250),
        "kube-proxy of head1": ("node_service", "172.30.77.11", 10256),
        "NodePort of binder on head1": ("node_port", "172.30.77.11", 30585),
        "kubelet of worker1": ("kubelet", "172.30.77.21", 10250),
        "kube-proxy of worker1": ("node_service", "172.30.77.21", 10256),
        "NodePort of binder on worker1": ("node_port", "172.30.77.21", 30585),
        "kubelet of worker2": ("kubelet", "172.30.77.22", 10250),
        "kube-proxy of worker2": ("node_service", "172.30.77.22", 10256),
        "NodePort of binder on worker2": ("node_port", "172.30.77.22", 30585),
        "SSH of head1": ("ssh", "172.30.77.11", 22),
        "SSH of proxy1": ("ssh", "172.30.77.31", 2222),
        "own node, kubelet": ("gateway", "gateway", 10250),
        "service kubernetes": ("api", "10.96.0.1", 443),
        "cluster DNS": ("dns", "10.96.0.10", 53),
        "cluster DNS by TCP": ("dns", "10.96.0.10", 53),
        "metrics of cluster DNS": ("cluster_service", "10.96.0.10", 9153),
        "unassigned service address": ("unassigned", "10.111.255.253", 80),
        "floating address": ("hub_address", "172.30.77.101", 80),
        "service hub": ("hub_api", "10.96.166.63", 8081),
        "service hub, its pod": ("hub_api_pod", "10.244.1.4", 8081),
        "service proxy-api": ("proxy_api", "10.99.165.146", 8001),
        "service proxy-api, its pod": ("proxy_api", "10.244.1.2", 8001),
        "service binder": ("hub_service", "10.105.35.63", 80),
        "service binder, its pod": ("hub_service", "10.244.1.3", 8585),
        "public URL": ("public_url", "172.30.77.31", 80),
        "own name server": ("resolver", "resolver", 53),
        "registry": ("registry", "172.30.77.41", 5000),
        "mirror": ("mirror", "172.30.77.41", 443),
    }


def test_twenty_five_at_least() -> None:
    assert len(places()) >= 25


def test_an_api_behind_a_load_balancer_is_a_target_of_its_own() -> None:
    found = places(replace(LAB, api_address="172.30.77.5"))
    assert found["API server by its own address"] == ("api", "172.30.77.5", 6443)


@pytest.mark.parametrize(
    ("address", "denied", "there"),
    [("10.1.1.1", [], True), ("8.8.8.8", [], False), ("8.8.8.8", ["8.8.8.0/24"], True), ("", [], False)],
)
def test_a_registry_of_others_is_the_internet(address: str, denied: list[str], there: bool) -> None:
    addresses = {"quay.io": [address] if address else []}
    found = places(replace(LAB, registry="quay.io", denied_networks=denied, addresses=addresses))
    assert ("registry" in found) is there
    assert not there or found["registry"] == ("registry", address, 443)


def test_public_url_by_name_and_tls() -> None:
    found = {
        one.name: one for one in site_targets(replace(LAB, public_url="https://binder.example.org"), lab())
    }
    assert (found["public URL"].port, found["public URL"].talk) == (443, "tls")
    assert found["own name server"].query == "binder.example.org"


def test_an_unassigned_address_is_no_services() -> None:
    cluster = lab()
    taken = {"metadata": {"namespace": "x", "name": "x"}, "spec": {"clusterIP": "10.111.255.253"}}
    found = site_targets(LAB, replace(cluster, services=[*cluster.services, taken]))
    assert [one.address for one in found if one.kind == "unassigned"] == ["10.111.255.252"]


def test_nodes_of_sessions() -> None:
    taint = [{"effect": "NoSchedule", "key": "x"}]
    assert lab().session_nodes == ["worker1", "worker2"]
    plain = [
        node("a", "10.0.0.1", ""),
        node("b", "10.0.0.2", "", taints=taint),
        node("c", "10.0.0.3", "", unschedulable=True),
    ]
    assert as_cluster(plain, [], []).session_nodes == ["a"]
    gone = node("d", "10.0.0.4")
    gone["status"]["conditions"][0]["status"] = "Unknown"
    assert as_cluster([gone], [], []).session_nodes == []


def test_another_session_by_every_address() -> None:
    found = listener_targets("binder", "", "10.244.2.8", ["fe80::1"])
    assert [(one.address, one.protocol) for one in found] == [
        ("10.244.2.8", "tcp"),
        ("10.244.2.8", "udp"),
        ("fe80::1", "tcp"),
    ]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (
            {"name": "x", "kind": "private", "address": "10.0.0.1"},
            "site_fence_probe_targets[0] (x) lacks port",
        ),
        ({"kind": "private", "address": "10.0.0.1", "port": 1}, "(without a name) lacks name"),
        (
            {"name": "x", "kind": "secret", "address": "10.0.0.1", "port": 1},
            "is of kind secret: use one of api,",
        ),
        (
            {"name": "x", "kind": "private", "address": "10.0.0.1", "port": 1, "colour": 1},
            "unknown keys colour",
        ),
        (
            {"name": "x", "kind": "private", "address": "10.0.0.1", "port": 1, "protocol": "sctp"},
            "protocol sctp",
        ),
    ],
)
def test_targets_that_are_none(entry: dict[str, Any], words: str) -> None:
    with pytest.raises(TargetError) as caught:
        given_targets([entry])
    assert words in str(caught.value)


def test_targets_of_a_site() -> None:
    [found] = given_targets(
        [{"name": "x", "kind": "private", "address": "10.0.0.1", "port": "80", "expect": {"run": True}}]
    )
    assert (found.port, found.expect) == (80, {"run": True})


@pytest.mark.parametrize(
    ("skipped", "words"),
    [
        ({"SHH of head1": "why"}, "names SHH of head1, which is no target: they are ssh"),
        ({"ssh": " "}, "gives no reason for ssh"),
    ],
)
def test_what_is_skipped_has_a_name_and_a_reason(skipped: dict[str, str], words: str) -> None:
    with pytest.raises(TargetError) as caught:
        without([Target("ssh", "ssh", "10.0.0.1", 22)], skipped)
    assert words in str(caught.value)


def test_skipped_and_double() -> None:
    ssh = Target("ssh", "ssh", "10.0.0.1", 22)
    assert without([ssh, replace(ssh, name="b")], {"b": "why"}) == [ssh]
    with pytest.raises(TargetError):
        without([ssh, ssh], {})
