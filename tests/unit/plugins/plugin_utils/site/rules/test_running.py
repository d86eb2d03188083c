# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A running site whose values were changed, and sites that run as they say."""

from __future__ import annotations

from typing import Any

import pytest
from cluster_cases import Found, bare_site, change, cluster_site, found, rules_of, texts
from site_cases import GONE

HEAD = "hosts/head1/probe"
WORKERS = ("worker1", "worker2")


def versions(**by_host: str) -> dict[str, Any]:
    """Changes after which the nodes have these kubelets."""
    return {f"hosts/{name}/probe/kubernetes/kubelet_version": version for name, version in by_host.items()}


def runtimes(**by_host: str) -> dict[str, Any]:
    """Changes after which the nodes have these versions of containerd."""
    return {f"hosts/{name}/probe/cluster/containerd_version": version for name, version in by_host.items()}


def all_run(version: str) -> dict[str, Any]:
    """Changes after which the whole cluster runs this Kubernetes."""
    return {
        f"{HEAD}/kubernetes/api_version": version,
        **versions(head1=version, worker1=version, worker2=version),
    }


# What is changed on a running site, what is found, and the value that the remedy has to name.
CHANGED: list[tuple[str, dict[str, Any], Found, str]] = [
    (
        "pod range",
        {"values/site_pod_subnet": "10.200.0.0/16"},
        ("pod-subnet-changed", "site_pod_subnet", "head1"),
        "10.244.0.0/16",
    ),
    (
        "service range",
        {"values/site_service_subnet": "10.112.0.0/12"},
        ("service-subnet-changed", "site_service_subnet", "head1"),
        "10.96.0.0/12",
    ),
    (
        "service range, told by the files",
        {"values/site_service_subnet": "10.112.0.0/12", f"{HEAD}/cluster/source": "files"},
        ("service-subnet-changed", "site_service_subnet", "head1"),
        "10.96.0.0/12",
    ),
    ("name", {"values/site_name": "ral"}, ("cluster-name-changed", "site_name", "head1"), "stfc"),
    (
        "provider",
        {"values/site_pod_network_provider": "calico"},
        ("pod-network-changed", "site_pod_network_provider", "head1 and 2 more"),
        "routed",
    ),
    (
        "provider, from calico",
        {
            "values/site_pod_network_provider": "routed",
            **{f"hosts/{name}/probe/cluster/networks": ["calico"] for name in ("head1", *WORKERS)},
        },
        ("pod-network-changed", "site_pod_network_provider", "head1 and 2 more"),
        "calico",
    ),
    (
        "provider, on the one worker that has joined",
        {
            "values/site_pod_network_provider": "calico",
            f"{HEAD}/cluster/networks": [],
            "hosts/worker1/probe/cluster/networks": ["manifest"],
            "hosts/worker2/probe/cluster/networks": [],
        },
        ("pod-network-changed", "site_pod_network_provider", "worker1"),
        "manifest",
    ),
    (
        "API address",
        {"values/site_api_address": "192.0.2.12"},
        ("api-endpoint-changed", "site_api_address", "head1"),
        "192.0.2.11",
    ),
    (
        "API port",
        {f"{HEAD}/cluster/api_endpoint": "192.0.2.11:7443"},
        ("api-endpoint-changed", "site_api_port", "head1"),
        "7443",
    ),
    (
        "raised Kubernetes",
        {"values/site_kubernetes_version": "1.36.4"},
        ("kubernetes-version-changed", "site_kubernetes_version", "head1"),
        "1.36.3",
    ),
    (
        "Kubernetes raised by a minor version",
        all_run("1.35.7"),
        ("kubernetes-version-changed", "site_kubernetes_version", "head1"),
        "1.35.7",
    ),
    (
        "nodes older than the API, and another version wanted: the API's first",
        {"values/site_kubernetes_version": "1.36.4", **versions(worker1="1.36.1")},
        ("kubernetes-version-changed", "site_kubernetes_version", "head1"),
        "1.36.3",
    ),
    (
        "one older node",
        versions(worker2="1.36.1"),
        ("kubernetes-version-changed", "site_kubernetes_version", "worker2"),
        "1.36.1",
    ),
    (
        "two older nodes",
        versions(worker1="1.36.1", worker2="1.36.1"),
        ("kubernetes-version-changed", "site_kubernetes_version", "worker1 and 1 more"),
        "1.36.1",
    ),
    (
        "a worker behind what workers are to have",
        {"values/site_kubernetes_nodes_version": "1.35.4", **versions(worker1="1.34.1", worker2="1.35.4")},
        ("kubernetes-version-changed", "site_kubernetes_nodes_version", "worker1"),
        "1.34.1",
    ),
    (
        "a head's kubelet is the control plane's",
        {
            "values/site_kubernetes_nodes_version": "1.35.4",
            **versions(head1="1.35.4", worker1="1.35.4", worker2="1.35.4"),
        },
        ("kubernetes-version-changed", "site_kubernetes_version", "head1"),
        "upgrade.yml",
    ),
    (
        "a node of another version that has not joined",
        {**versions(worker2="1.34.0"), "hosts/worker2/probe/kubernetes/joined": False},
        ("kubernetes-version-changed", "site_kubernetes_version", "worker2"),
        "apt-get purge",
    ),
    (
        "a lowered Kubernetes",
        {"values/site_kubernetes_version": "1.36.1"},
        ("kubernetes-downgrade", "site_kubernetes_version", "head1"),
        "1.36.3",
    ),
    (
        "two minor versions at once",
        all_run("1.34.2"),
        ("kubernetes-skips-minor", "site_kubernetes_version", "head1"),
        "1.34.2",
    ),
    (
        "a node newer than the API",
        versions(worker1="1.37.0"),
        ("kubelet-newer-than-api", "", "worker1"),
        "older kubelet",
    ),
    (
        "another containerd",
        {"values/site_containerd_version": "2.4.3"},
        ("containerd-version-changed", "site_containerd_version", "head1 and 2 more"),
        "2.4.2",
    ),
    (
        "another containerd on one node",
        runtimes(worker1="2.3.1"),
        ("containerd-version-changed", "site_containerd_version", "worker1"),
        "2.3.1",
    ),
]


@pytest.mark.parametrize(
    ("changes", "expected", "named"), [entry[1:] for entry in CHANGED], ids=[e[0] for e in CHANGED]
)
def test_changed_on_a_running_site(changes: dict[str, Any], expected: Found, named: str) -> None:
    """One finding for one cause, at its variable and host, and the remedy names what runs."""
    site = change(cluster_site(), changes)
    assert found(site) == {expected}
    assert named in texts(site, expected[0]).partition(" -> ")[2]


NEW_WORKER = {"hosts/worker2/probe/kubernetes": {"joined": False, "api_version": "", "kubelet_version": ""}}


@pytest.mark.parametrize(
    "changes",
    [
        {"values/site_kubernetes_version": "1.36.4"},
        versions(worker1="1.36.1"),
        runtimes(head1="2.3.1"),
    ],
    ids=["the API", "a worker", "containerd"],
)
def test_a_new_worker_is_left_out_of_an_upgrade(changes: dict[str, Any]) -> None:
    """Of an upgrade it is no node yet, and site.yml, which makes it one, refuses the other versions."""
    site = change(cluster_site(), {**changes, **NEW_WORKER})
    [entry] = found(site)
    told = texts(site, entry[0])
    assert "run playbooks/upgrade.yml --limit '!worker2', as worker2 has not joined yet" in told


# What looks like a change and is none.
UNCHANGED: dict[str, dict[str, Any]] = {
    "the same": {},
    "the API's address as a name in other letters": {
        "values/site_api_address": "api.example.org",
        f"{HEAD}/cluster/api_endpoint": "API.example.org:6443",
    },
    "an endpoint without a port": {f"{HEAD}/cluster/api_endpoint": "192.0.2.11"},
    "an endpoint of IPv6": {
        "values/site_api_address": "2001:db8:0::11",
        f"{HEAD}/cluster/api_endpoint": "[2001:db8::11]:6443",
    },
    "a cluster that others made has its own name and endpoint": {
        f"{HEAD}/cluster/made_here": False,
        f"{HEAD}/cluster/name": "kubernetes",
        f"{HEAD}/cluster/api_endpoint": "api.example.org:6443",
    },
    "no cluster's configuration to be seen": {
        f"{HEAD}/cluster/source": "",
        "values/site_name": "ral",
        "values/site_pod_subnet": "10.200.0.0/16",
    },
    "workers that follow later": {
        "values/site_kubernetes_nodes_version": "1.35.4",
        **versions(worker1="1.35.4", worker2="1.35.4"),
    },
    "a pod range of both families": {f"{HEAD}/cluster/pod_subnet": "10.244.0.0/16,2001:db8:1::/64"},
    "a manifest that is Calico's": {
        "values/site_pod_network_provider": "manifest",
        "values/site_pod_network_manifest": "https://192.0.2.41/n",
        **{f"hosts/{name}/probe/cluster/networks": ["calico"] for name in ("head1", *WORKERS)},
    },
    "another plugin beside ours": {f"{HEAD}/cluster/networks": ["manifest", "routed"]},
    "a new worker": {
        "hosts/worker2/probe/kubernetes": {"joined": False, "api_version": "", "kubelet_version": ""},
        "hosts/worker2/probe/cluster": {"networks": ["manifest"], "containerd_version": "2.3.1"},
        "hosts/worker2/probe/docker": {"socket": False, "engine": ""},
    },
    "a probe that told nothing of a cluster": {
        f"hosts/{name}/probe/cluster": GONE for name in ("head1", *WORKERS)
    },
}


@pytest.mark.parametrize("changes", UNCHANGED.values(), ids=UNCHANGED)
def test_unchanged(changes: dict[str, Any]) -> None:
    """A site that says what runs has no finding."""
    assert found(change(cluster_site(), changes)) == set()


def test_bare_site() -> None:
    """Before the first run any value may be chosen."""
    other = {
        "values/site_pod_subnet": "10.200.0.0/16",
        "values/site_service_subnet": "10.112.0.0/12",
        "values/site_kubernetes_version": "1.36.4",
        "values/site_containerd_version": "2.4.9",
        "values/site_name": "ral",
    }
    assert found(change(bare_site(), other)) == set()


def test_an_undone_first_run() -> None:
    """A head on which kubeadm was stopped is begun again, so that its old values bind nobody."""
    site = change(
        bare_site(),
        {
            "values/site_pod_subnet": "10.200.0.0/16",
            f"{HEAD}/kubernetes": {"joined": True, "api_version": "1.36.3", "kubelet_version": "1.36.3"},
        },
    )
    assert not {rule for rule, _, _ in found(site)} & rules_of("running")


@pytest.mark.parametrize("odd", ["x", "", "1.36", "v1.36.3", 7, None, [], {"a": 1}])
def test_odd_values(odd: Any) -> None:
    """What is no value has rules of its own; these keep still and never crash."""
    variables = (
        "site_kubernetes_version",
        "site_containerd_version",
        "site_pod_subnet",
        "site_service_subnet",
    )
    for variable in variables:
        site = change(cluster_site(), {f"values/{variable}": odd})
        assert not {rule for rule, _, _ in found(site)} & (rules_of("running") | {"rule-crashed"}), variable
    for way in ("pod_subnet", "service_subnet", "api_endpoint", "name", "networks", "containerd_version"):
        site = change(cluster_site(), {f"{HEAD}/cluster/{way}": odd})
        assert "rule-crashed" not in {rule for rule, _, _ in found(site)}, way


def test_every_rule_is_broken_above() -> None:
    """A rule that no site breaks is a rule that nobody knows to work."""
    assert rules_of("running") <= {expected[0] for _, _, expected, _ in CHANGED}
    assert len(rules_of("running")) == 7
