# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A cluster at a glance: its nodes with their versions, who holds which floating address, and its hubs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._base.hub_marks import HUB_LABEL
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.nodes import read_node
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeApi
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.workloads import rolled_out

__all__ = ["overview"]

ROLE = "node-role.kubernetes.io/"
SESSIONS = "component=singleuser-server"
# As Helm recommends, and as older charts have it.
CHART_LABELS = ("helm.sh/chart", "chart")


def overview(api: KubeApi, hubs: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Look at a cluster, in four requests and three a hub.

    Args:
        api: the cluster.
        hubs: {name: {namespace, release}}.

    Returns:
        `version` of the API; `nodes`, each {name, ready, reason, schedulable, roles, address, kubelet, runtime, system, kernel};
        `floating`, each service of type LoadBalancer as {namespace, name, addresses, wanted}; and `hubs`, {name: {namespace,
        chart, revision, state, sessions, workloads}} with workloads as {name, ready, told}; and
        `unlisted_hubs`, {name: namespace} of hubs that Ironbinder released and that are not among `hubs`.

    Raises:
        KubeError: it cannot be asked.
    """
    services = _items(api, "/api/v1/services")
    return {
        "version": str((api.get("/version") or {}).get("gitVersion", "")),
        "nodes": [_node(item) for item in _items(api, "/api/v1/nodes")],
        "floating": [_service(item) for item in services if item["spec"].get("type") == "LoadBalancer"],
        "hubs": {name: _hub(api, hub["namespace"], hub["release"]) for name, hub in hubs.items()},
        "unlisted_hubs": _unlisted(api, {hub["namespace"] for hub in hubs.values()}),
    }


def _unlisted(api: KubeApi, known: Collection[str]) -> dict[str, str]:
    marked = [item["metadata"] for item in _items(api, "/api/v1/namespaces", labelSelector=HUB_LABEL)]
    return {mark["labels"][HUB_LABEL]: mark["name"] for mark in marked if mark["name"] not in known}


def _items(api: KubeApi, path: str, **query: str) -> list[dict[str, Any]]:
    return (api.get(path, **query) or {}).get("items") or []


def _node(item: Mapping[str, Any]) -> dict[str, Any]:
    node, told = read_node(item), item.get("status", {}).get("nodeInfo") or {}
    return {
        "name": node.name,
        "ready": node.ready,
        "reason": "" if node.ready else node.reason,
        "schedulable": not (item.get("spec") or {}).get("unschedulable", False),
        "roles": sorted(label.removeprefix(ROLE) for label in node.labels if label.startswith(ROLE)),
        "address": node.address,
        "kubelet": told.get("kubeletVersion", ""),
        "runtime": told.get("containerRuntimeVersion", ""),
        "system": told.get("osImage", ""),
        "kernel": told.get("kernelVersion", ""),
    }


def _service(item: Mapping[str, Any]) -> dict[str, Any]:
    held = (item.get("status", {}).get("loadBalancer") or {}).get("ingress") or []
    wanted = (item["metadata"].get("annotations") or {}).get("metallb.io/loadBalancerIPs", "")
    return {
        "namespace": item["metadata"]["namespace"],
        "name": item["metadata"]["name"],
        "addresses": [entry["ip"] for entry in held if "ip" in entry],
        "wanted": wanted or item["spec"].get("loadBalancerIP", ""),
    }


def _hub(api: KubeApi, namespace: str, release: str) -> dict[str, Any]:
    """Look at one hub. Helm's secrets of superseded revisions are large, and nobody needs them here."""
    deployments = _items(api, f"/apis/apps/v1/namespaces/{namespace}/deployments")
    secrets = _items(
        api,
        f"/api/v1/namespaces/{namespace}/secrets",
        labelSelector=f"owner=helm,name={release},status!=superseded",
    )
    pods = _items(api, f"/api/v1/namespaces/{namespace}/pods", labelSelector=SESSIONS)
    states = sorted(
        ((int(labels["version"]), labels["status"]) for labels in map(_labels, secrets)), reverse=True
    )
    charts = [_labels(item).get(name, "") for item in deployments for name in CHART_LABELS]
    told = [(item["metadata"]["name"], rolled_out(item)) for item in deployments]
    return {
        "namespace": namespace,
        "chart": next((chart for chart in charts if chart), ""),
        "revision": states[0][0] if states else 0,
        "state": states[0][1] if states else "not released",
        "sessions": len(pods),
        "workloads": [{"name": name, "ready": ready, "told": text} for name, (ready, text) in told],
    }


def _labels(item: Mapping[str, Any]) -> Mapping[str, str]:
    return item["metadata"].get("labels") or {}
