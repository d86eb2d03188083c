# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A cluster in memory whose pods can be evicted: budgets count, graces pass, and controllers start pods again elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.node_pods import selects
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeError
from hand_clock import HandClock
from kube_memory import MemoryApi

__all__ = ["DrainCluster"]

GRACE_SECONDS = 3.0
OTHER = "worker1"


class DrainCluster(MemoryApi):
    """Nodes head1, worker1 and worker2. Time is the clock's: what is evicted is gone after its grace."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = HandClock()
        self.gone_at: dict[str, float] = {}
        self.ready_at: dict[str, float] = {}
        # Namespaces that are being deleted.
        self.closing: set[str] = set()
        for name, head in (("head1", True), (OTHER, False), ("worker2", False)):
            labels = {"kubernetes.io/hostname": name}
            if head:
                labels["node-role.kubernetes.io/control-plane"] = ""
            self.objects[f"/api/v1/nodes/{name}"] = {
                "metadata": {"name": name, "uid": name, "resourceVersion": "1", "labels": labels},
                "spec": {},
                "status": {"nodeInfo": {"machineID": f"machine-of-{name}"}},
            }

    def pod(
        self,
        name: str,
        node: str = "worker2",
        owner: str = "ReplicaSet",
        component: str = "",
        *,
        ends_at: Optional[float] = None,
        restart: str = "Always",
        phase: str = "Running",
        leaving: bool = False,
        finalizers: Sequence[str] = (),
        **annotations: str,
    ) -> None:
        """Add a pod; `ends_at` is when it is done by itself. Annotations are written with _ for what no name may have."""
        labels = {"component": component} if component else {"app": name.partition("-")[0]}
        keys = {"user": "hub.jupyter.org/username", "mirror": "kubernetes.io/config.mirror"}
        item = {
            "metadata": {
                "name": name,
                "namespace": "binder",
                "labels": labels,
                "annotations": {keys[key]: value for key, value in annotations.items()},
                "ownerReferences": [{"kind": owner, "controller": True}] if owner else [],
                "finalizers": list(finalizers),
                **({"deletionTimestamp": "2026-11-22T02:00:00Z"} if leaving else {}),
            },
            "spec": {"nodeName": node, "restartPolicy": restart},
            "status": {
                "phase": phase,
                "startTime": "2026-11-22T01:00:00Z",
                "conditions": [{"type": "Ready", "status": "False" if phase == "Pending" else "True"}],
            },
        }
        path = f"/api/v1/namespaces/binder/pods/{name}"
        self.objects[path] = item
        if ends_at is not None:
            self.gone_at[path] = ends_at

    def budget(self, name: str, app: str, wanted: int) -> None:
        """Add a PodDisruptionBudget for pods with the label app."""
        self.objects[f"/apis/policy/v1/namespaces/binder/poddisruptionbudgets/{name}"] = {
            "metadata": {"name": name},
            "spec": {"selector": {"matchLabels": {"app": app}}, "wanted": wanted},
        }

    def volume(self, claim: str, node: str) -> None:
        """Add a volume whose data are on one node."""
        term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}
        self.objects[f"/api/v1/persistentvolumes/{claim}"] = {
            "metadata": {"name": claim},
            "spec": {
                "claimRef": {"namespace": "binder", "name": claim},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
            },
            "status": {"phase": "Bound"},
        }

    def on(self, node: str) -> list[str]:
        """Name the pods of a node."""
        return sorted(item["metadata"]["name"] for item in self._pods() if item["spec"]["nodeName"] == node)

    def get(self, path: str, **query: str) -> Optional[dict[str, Any]]:
        self._pass_time()
        if path == "/api/v1/pods":
            self._ask("GET", path, query)
            field, _, node = query["fieldSelector"].partition("=")
            assert field == "spec.nodeName"
            return {"items": [item for item in self._pods() if item["spec"]["nodeName"] == node]}
        if path.endswith("/poddisruptionbudgets"):
            told = super().get(path, **query) or {"items": []}
            for item in told["items"]:
                item["status"] = self._counted(item["spec"])
            return told
        return super().get(path, **query)

    def create(self, path: str, body: Mapping[str, Any], **query: str) -> dict[str, Any]:
        if not path.endswith("/eviction"):
            return super().create(path, body, **query)
        self._ask("POST", path, query, body)
        assert (body["kind"], body["apiVersion"]) == ("Eviction", "policy/v1")
        pod = path.removesuffix("/eviction")
        if pod not in self.objects:
            raise KubeError(f"POST {path}: 404", 404, "not found")
        metadata = self.objects[pod]["metadata"]
        if "deletionTimestamp" in metadata:
            return {}
        if metadata["namespace"] in self.closing:
            raise KubeError(
                f"POST {path}: 403",
                403,
                f'pods "{metadata["name"]}" is forbidden: unable to create new content in namespace '
                f"{metadata['namespace']} because it is being terminated",
            )
        pending = self.objects[pod]["status"]["phase"] == "Pending"
        labels = metadata["labels"]
        mine = [item for item in self._budgets() if not pending and selects(item["spec"]["selector"], labels)]
        if len(mine) > 1:
            raise KubeError(f"POST {path}: 500", 500, "This pod has more than one PodDisruptionBudget")
        if mine and self._counted(mine[0]["spec"])["disruptionsAllowed"] < 1:
            raise KubeError(
                f"POST {path}: 429", 429, "Cannot evict pod as it would violate the pod's disruption budget."
            )
        self.objects[pod]["metadata"]["deletionTimestamp"] = "2026-11-22T02:00:00Z"
        self.gone_at[pod] = min(self.gone_at.get(pod, 1e9), self.clock.now() + GRACE_SECONDS)
        return {}

    def _pods(self) -> list[dict[str, Any]]:
        return [item for path, item in self.objects.items() if "/pods/" in path]

    def _budgets(self) -> list[dict[str, Any]]:
        return [item for path, item in self.objects.items() if "/poddisruptionbudgets/" in path]

    def _counted(self, spec: Mapping[str, Any]) -> dict[str, int]:
        mine = [item for item in self._pods() if selects(spec["selector"], item["metadata"]["labels"])]
        healthy = [
            item
            for item in mine
            if "deletionTimestamp" not in item["metadata"]
            and self.ready_at.get(item["metadata"]["name"], 0.0) <= self.clock.now()
        ]
        return {
            "desiredHealthy": spec["wanted"],
            "expectedPods": len(mine),
            "disruptionsAllowed": max(0, len(healthy) - spec["wanted"]),
        }

    def _pass_time(self) -> None:
        for path, seconds in list(self.gone_at.items()):
            if self.clock.now() >= seconds:
                item = self.objects.pop(path)
                del self.gone_at[path]
                if item["metadata"]["ownerReferences"]:
                    name = f"{item['metadata']['name']}-again"
                    self.pod(name, OTHER, item["metadata"]["ownerReferences"][0]["kind"])
                    # Its image is pulled, its probe passes.
                    self.ready_at[name] = self.clock.now() + 10
