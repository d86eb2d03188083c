# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A cluster at a glance, as its API has it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.overview import overview
from kube_memory import MemoryApi

HUBS = {"binder": {"namespace": "binder", "release": "binder"}}


def named(name: str, **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "binder", "generation": 1, **more.pop("metadata", {})}
    return {"metadata": metadata, "spec": {}, "status": {}, **more}


def deployment(name: str, ready: int, wanted: int = 1) -> dict[str, Any]:
    status = {
        "observedGeneration": 1,
        "replicas": wanted,
        "updatedReplicas": wanted,
        "availableReplicas": ready,
    }
    labels = {"chart": "binderhub-1.0.0"}
    return named(name, metadata={"labels": labels}, spec={"replicas": wanted}, status=status)


@pytest.fixture
def api() -> MemoryApi:
    found = MemoryApi()
    ready = [{"type": "Ready", "status": "True"}]
    info = {
        "kubeletVersion": "v1.36.3",
        "containerRuntimeVersion": "containerd://2.4.2",
        "osImage": "Debian GNU/Linux 12 (bookworm)",
        "kernelVersion": "6.1.0",
    }
    found.objects = {
        "/version": {"gitVersion": "v1.36.3"},
        "/api/v1/nodes/head1": named(
            "head1",
            metadata={"labels": {"node-role.kubernetes.io/control-plane": ""}},
            status={
                "conditions": ready,
                "nodeInfo": info,
                "addresses": [{"type": "InternalIP", "address": "192.0.2.11"}],
            },
        ),
        "/api/v1/nodes/worker1": named("worker1", spec={"unschedulable": True}),
        "/api/v1/services/a": named("kubernetes", spec={"type": "ClusterIP"}),
        "/api/v1/services/b": named(
            "proxy-public",
            metadata={"annotations": {"metallb.io/loadBalancerIPs": "192.0.2.101"}},
            spec={"type": "LoadBalancer"},
            status={"loadBalancer": {"ingress": [{"ip": "192.0.2.101"}]}},
        ),
        "/api/v1/services/c": named("stranger", spec={"type": "LoadBalancer"}),
        "/apis/apps/v1/namespaces/binder/deployments/hub": deployment("hub", 1),
        "/apis/apps/v1/namespaces/binder/deployments/binder": deployment("binder", 0),
        "/api/v1/namespaces/binder/secrets/v3": named(
            "v3", metadata={"labels": {"version": "3", "status": "deployed"}}
        ),
        "/api/v1/namespaces/binder/secrets/v10": named(
            "v10", metadata={"labels": {"version": "10", "status": "pending-upgrade"}}
        ),
        "/api/v1/namespaces/binder/pods/jupyter-x": named("jupyter-x"),
    }
    return found


def test_nodes_are_told_with_their_versions(api: MemoryApi) -> None:
    told = overview(api, {})
    assert (told["version"], told["hubs"]) == ("v1.36.3", {})
    head, worker = told["nodes"]
    assert head == {
        "name": "head1",
        "ready": True,
        "reason": "",
        "schedulable": True,
        "roles": ["control-plane"],
        "address": "192.0.2.11",
        "kubelet": "v1.36.3",
        "runtime": "containerd://2.4.2",
        "system": "Debian GNU/Linux 12 (bookworm)",
        "kernel": "6.1.0",
    }
    assert (worker["ready"], worker["schedulable"], worker["kubelet"]) == (False, False, "")
    assert worker["reason"]


def test_only_who_wants_a_floating_address_is_told(api: MemoryApi) -> None:
    held, waiting = overview(api, {})["floating"]
    assert (held["name"], held["addresses"], held["wanted"]) == (
        "proxy-public",
        ["192.0.2.101"],
        "192.0.2.101",
    )
    assert (waiting["name"], waiting["addresses"], waiting["wanted"]) == ("stranger", [], "")


def test_hubs_that_nobody_names_are_told(api: MemoryApi) -> None:
    def marked(name: str, hub: str) -> dict[str, Any]:
        return named(name, metadata={"labels": {"ironbinder.platform/hub": hub}})

    api.objects |= {
        "/api/v1/namespaces/binder": marked("binder", "binder"),
        "/api/v1/namespaces/old": marked("old", "private"),
    }
    assert overview(api, HUBS)["unlisted_hubs"] == {"private": "old"}
    assert overview(api, {})["unlisted_hubs"] == {"binder": "binder", "private": "old"}


def test_a_hub_is_told_with_its_newest_revision(api: MemoryApi) -> None:
    """Numbers, not texts: 10 comes after 3."""
    hub = overview(api, HUBS)["hubs"]["binder"]
    assert (hub["chart"], hub["revision"], hub["state"], hub["sessions"]) == (
        "binderhub-1.0.0",
        10,
        "pending-upgrade",
        1,
    )
    assert hub["workloads"] == [
        {"name": "hub", "ready": True, "told": "1 of 1 ready"},
        {"name": "binder", "ready": False, "told": "0 of 1 ready"},
    ]


def test_a_hub_that_is_not_there_is_told() -> None:
    hub = overview(MemoryApi(), HUBS)["hubs"]["binder"]
    assert (hub["state"], hub["workloads"]) == ("not released", [])
