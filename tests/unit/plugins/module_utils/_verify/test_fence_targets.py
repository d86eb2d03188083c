# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a site has that answers, read from the API and the inventory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_facts import (
    Cluster,
    Facts,
    as_cluster,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_rules import (
    Origin,
    Target,
    expected,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_targets import (
    TargetError,
    given_targets,
    listener_targets,
    site_targets,
    without,
)
from fence_cluster import LAB, FenceCluster, endpoints, node, service


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


def published(*services: dict[str, Any], on: str = "worker1", **facts: Any) -> dict[str, Target]:
    """Targets that more services add, each with a pod that is ready, by name."""
    cluster = lab()
    keys = [(one["metadata"]["namespace"], one["metadata"]["name"]) for one in services]
    more = as_cluster([], [], [endpoints(*key, "10.244.1.7", 80, on=on) for key in keys])
    cluster = replace(
        cluster,
        services=[*cluster.services, *services],
        endpoints={**cluster.endpoints, **more.endpoints},
        homes={**cluster.homes, **more.homes},
    )
    known = {one.name for one in site_targets(LAB, lab())}
    found = site_targets(replace(LAB, **facts), cluster)
    return {one.name: one for one in found if one.name not in known}


def test_a_floating_address_of_somebody_else() -> None:
    found = published(service("shop", "web", "10.96.9.9", {"port": 8443}, floating="172.30.77.102"))
    [(name, target)] = found.items()
    assert name == "floating address of shop/web"
    assert (target.kind, target.address, target.port) == ("floating", "172.30.77.102", 8443)
    # Nothing answers there without a pod, and at UDP nobody knows what to say.
    bare = service("binder", "nobody", "10.96.9.9", {"port": 8443}, floating="172.30.77.102")
    cluster = lab()
    kinds = {one.kind for one in site_targets(LAB, replace(cluster, services=[*cluster.services, bare]))}
    assert "floating" not in kinds
    udp = {"port": 53, "protocol": "UDP", "nodePort": 31111}
    assert published(service("shop", "dns", "10.96.9.9", udp, floating="172.30.77.102")) == {}


def test_a_second_service_at_the_hubs_floating_address_is_not_the_hubs() -> None:
    found = published(service("shop", "db", "10.96.9.9", {"port": 5432}, floating="172.30.77.101"))
    assert [(one.kind, one.port) for one in found.values()] == [("floating", 5432)]


def test_the_other_hubs_sessions_may_have_their_own_floating_address() -> None:
    theirs = service("other", "proxy-public", "10.96.9.9", {"port": 80}, floating="172.30.77.102")
    [target] = published(theirs, other_namespace="other").values()
    assert expected(target, Origin("other", "", "worker1"), {}, {}) is None
    assert expected(target, Origin("session", "binder", "worker1"), {}, {}) is False


def test_other_node_ports_on_a_node_with_sessions_and_on_a_head() -> None:
    found = published(service("shop", "web", "10.96.9.9", {"port": 80, "nodePort": 31000}, type="NodePort"))
    assert {name: (one.kind, one.address, one.port) for name, one in found.items()} == {
        "NodePort 31000 of shop/web on head1": ("other_node_port", "172.30.77.11", 31000),
        "NodePort 31000 of shop/web on worker1": ("other_node_port", "172.30.77.21", 31000),
    }
    # Nobody needs it, also no proxy.
    assert {expected(one, Origin("proxy"), {}, {}) for one in found.values()} == {None}


def test_a_node_port_that_only_its_pods_nodes_have() -> None:
    local = service(
        *("shop", "web", "10.96.9.9", {"port": 80, "nodePort": 31000}),
        type="NodePort",
        externalTrafficPolicy="Local",
    )
    assert list(published(local, on="worker2")) == ["NodePort 31000 of shop/web on worker2"]


def test_the_public_proxys_own_node_ports_are_a_promise_of_the_guard() -> None:
    mine = service("binder", "proxy-http", "10.96.9.9", {"port": 80, "nodePort": 31000}, type="NodePort")
    assert len(published(mine)) == 2
    # By its pods it is what sessions may reach, and policies go by pods.
    assert published(mine, guard_enabled=False) == {}


@pytest.mark.parametrize(
    ("facts", "worker1", "worker2"),
    [
        ({}, False, False),
        ({"guard_enabled": False}, None, None),
        # Without a proxy BinderHub's NodePort is everybody's.
        ({"node_port_clients": []}, None, None),
        # NGINX on a node: pods reach other nodes by its address.
        ({"node_port_clients": ["172.30.77.21"]}, None, False),
        ({"node_port_clients": ["172.30.77.16/28", "192.0.2.0/24"]}, None, None),
        ({"node_port_clients": ["proxy.test"], "addresses": {"proxy.test": ["172.30.77.22"]}}, False, None),
        ({"node_port_clients": ["unknown.test"]}, None, None),
    ],
)
def test_who_of_no_hub_must_not_ask_binderhub(facts: dict[str, Any], worker1: Any, worker2: Any) -> None:
    targets = [one for one in site_targets(replace(LAB, **facts), lab()) if one.kind == "node_port"]
    assert len(targets) == 3
    for target in targets:
        assert expected(target, Origin("control", "", "worker1"), {}, {}) is worker1
        assert expected(target, Origin("control", "", "worker2"), {}, {}) is worker2
        # What a node itself asks for comes past that rule.
        assert expected(target, Origin("node", "", "worker1"), {}, {}) is None


def test_nobody_on_a_guarded_node_reaches_an_unassigned_address() -> None:
    for guarded, wanted in ((True, False), (False, None)):
        facts = replace(LAB, guard_enabled=guarded)
        [target] = [one for one in site_targets(facts, lab()) if one.kind == "unassigned"]
        [given] = given_targets(
            [{"name": "x", "kind": "unassigned", "address": "10.99.0.10", "port": 80, "says": "x"}], facts
        )
        for role in ("control", "node"):
            for one in (target, given):
                assert expected(one, Origin(role, "", "worker1"), {}, {}) is wanted
        assert (target.provable, given.provable) == (False, True)


def test_internal_services_may_speak_anything() -> None:
    found = {one.name: one for one in site_targets(LAB, lab())}
    assert found["service binder"].talk == "any"
    assert found["service hub"].talk == "http"


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
        given_targets([entry], LAB)
    assert words in str(caught.value)


def test_targets_of_a_site() -> None:
    [found] = given_targets(
        [{"name": "x", "kind": "private", "address": "10.0.0.1", "port": "80", "expect": {"run": True}}], LAB
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
