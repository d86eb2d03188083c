# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A cluster as its API was recorded, with other versions and states where a test says so.

Recorded from the lab, Kubernetes 1.36.3: `kubectl get -o json` of nodes and pods, kubeadm's configuration, kube-proxy, /version
and some lines of /metrics, without what nothing reads.
"""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any, Optional

from kube_memory import MemoryApi

__all__ = ["RecordedApi", "recorded"]

DATA = Path(__file__).parents[1] / "data/upgrade/three_nodes.json"


class RecordedApi(MemoryApi):
    """Knows the API server's metrics, too."""

    metrics = ""

    def text(self, path: str, **query: str) -> str:
        """Give the metrics."""
        self._ask("GET", path, query)
        return self.metrics if path == "/metrics" else super().text(path, **query)

    def get(self, path: str, **query: str) -> Optional[dict[str, Any]]:
        """Give what is asked for; of pods, those of one node where one is named."""
        told = super().get(path, **query)
        field, _, node = query.get("fieldSelector", "").partition("=")
        if told and field == "spec.nodeName":
            told["items"] = [item for item in told["items"] if item["spec"].get("nodeName") == node]
        return told

    def node(self, name: str) -> dict[str, Any]:
        """Give a node, to be changed."""
        return self.objects[f"/api/v1/nodes/{name}"]

    def pods(self, node: str) -> list[dict[str, Any]]:
        """Give the pods of a node, to be changed."""
        return [
            item
            for path, item in self.objects.items()
            if "/pods/" in path and item["spec"].get("nodeName") == node
        ]

    def add_budget(self, name: str, labels: dict[str, str], healthy: int, expected: int) -> None:
        """Add a PodDisruptionBudget to the namespace binder that wants so many of its pods healthy, and lets none go now."""
        self.objects[f"/apis/policy/v1/namespaces/binder/poddisruptionbudgets/{name}"] = {
            "metadata": {"name": name, "namespace": "binder"},
            "spec": {"selector": {"matchLabels": labels}},
            "status": {"desiredHealthy": healthy, "expectedPods": expected, "disruptionsAllowed": 0},
        }

    def add_pod(self, name: str, node: str, component: str, phase: str = "Running") -> None:
        """Add a pod of a component of the chart."""
        self.objects[f"/api/v1/pods/{name}"] = {
            "metadata": {"name": name, "namespace": "binder", "labels": {"component": component}},
            "spec": {"nodeName": node},
            "status": {"phase": phase, "conditions": [{"type": "Ready", "status": "True"}]},
        }


def recorded(
    api: str = "1.36.3",
    kubelets: dict[str, str] | None = None,
    *,
    configured: str = "",
    proxy: str = "",
    containerd: dict[str, str] | None = None,
    metrics: tuple[str, ...] = (),
) -> RecordedApi:
    """Give the recorded cluster.

    Args:
        api: version of the control plane.
        kubelets: versions by node; the control plane's where none is named.
        configured: version in kubeadm's configuration; the control plane's where empty.
        proxy: version of kube-proxy, likewise.
        containerd: versions by node; as recorded where none is named.
        metrics: further lines of the metrics.
    """
    told = deepcopy(json.loads(DATA.read_text()))
    memory = RecordedApi()
    memory.metrics = "\n".join([*told["metrics"], *metrics])
    memory.objects["/version"] = {**told["version"], "gitVersion": f"v{api}"}
    for node in told["nodes"]:
        about = node["status"]["nodeInfo"]
        name = node["metadata"]["name"]
        about["kubeletVersion"] = "v" + (kubelets or {}).get(name, api)
        if containerd and name in containerd:
            about["containerRuntimeVersion"] = f"containerd://{containerd[name]}"
        memory.objects[f"/api/v1/nodes/{name}"] = node
    for pod in told["pods"]:
        for owner in pod["metadata"].get("ownerReferences", []):
            owner["controller"] = True
            if owner["kind"] == "Node":
                pod["metadata"].setdefault("annotations", {})["kubernetes.io/config.mirror"] = "x"
        memory.objects[f"/api/v1/pods/{pod['metadata']['name']}"] = pod
    config = told["kubeadm_config"]
    config["data"]["ClusterConfiguration"] = config["data"]["ClusterConfiguration"].replace(
        "v1.36.3", f"v{configured or api}"
    )
    memory.objects["/api/v1/namespaces/kube-system/configmaps/kubeadm-config"] = config
    container = told["kube_proxy"]["spec"]["template"]["spec"]["containers"][0]
    container["image"] = container["image"].replace("v1.36.3", f"v{proxy or api}")
    memory.objects["/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy"] = told["kube_proxy"]
    return memory
