# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A cluster in memory in which probes run to their end: what they print is made up of what the test says they find."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Optional

from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeError
from ansible_collections.ironbinder.platform.plugins.module_utils._verify import fence_program
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_facts import Facts
from kube_memory import MemoryApi

__all__ = ["HUBS", "LAB", "FenceCluster", "endpoints", "node", "service"]

HUBS = {
    "binder": {"namespace": "binder", "release": "binder", "node_port": 30585, "floating_ip": "172.30.77.101"}
}
# What the lab's inventory says.
LAB = Facts(
    hubs=HUBS,
    api_address="172.30.77.11",
    public_url="http://172.30.77.31",
    registry="172.30.77.41:5000",
    mirror_url="https://172.30.77.41",
    service_subnet="10.96.0.0/12",
    machines={"head1": "172.30.77.11", "proxy1": "172.30.77.31"},
    ssh_ports={"proxy1": 2222},
    addresses={"172.30.77.41": ["172.30.77.41"]},
    guard_enabled=True,
    node_port_clients=["172.30.77.31"],
)


def node(name: str, address: str, purpose: str = "user", **more: Any) -> dict[str, Any]:
    """A node that is ready."""
    labels = {"hub.jupyter.org/node-purpose": purpose} if purpose else {}
    if purpose == "core":
        labels["node-role.kubernetes.io/control-plane"] = ""
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": more,
        "status": {
            "addresses": [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": address}],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def service(
    namespace: str, name: str, address: str, *ports: Mapping[str, Any], floating: str = "", **spec: Any
) -> dict[str, Any]:
    """A service; one with a floating address is a load balancer."""
    given = [{"ip": floating}] if floating else []
    return {
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "clusterIP": address,
            "ports": list(ports),
            "type": "LoadBalancer" if floating else "ClusterIP",
            **spec,
        },
        "status": {"loadBalancer": {"ingress": given}},
    }


def endpoints(
    namespace: str, name: str, address: str, port: int, *, ready: Optional[bool] = None, on: str = "worker1"
) -> dict[str, Any]:
    """A slice of a service's endpoints."""
    metadata = {"namespace": namespace, "name": f"{name}-x", "labels": {"kubernetes.io/service-name": name}}
    conditions = {} if ready is None else {"ready": ready}
    return {
        "metadata": metadata,
        "endpoints": [{"addresses": [address], "conditions": conditions, "nodeName": on}],
        "ports": [{"port": port, "protocol": "TCP"}],
    }


class FenceCluster(MemoryApi):
    """The lab's cluster. `finds` says what a pod prints, from its name and targets; None for a pod that never starts.

    Its BinderHub deletes every build pod that has ended, at the worst moment.
    """

    def __init__(self, finds: Callable[[str, list[dict[str, Any]]], Optional[dict[str, Any]]]) -> None:
        super().__init__()
        self.finds = finds
        self.logs: dict[str, str] = {}
        # How often the nodes' runtime fails to start a pod whose name begins so.
        self.stumbles: dict[str, int] = {}
        for item in (
            node("head1", "172.30.77.11", "core"),
            node("worker1", "172.30.77.21"),
            node("worker2", "172.30.77.22"),
        ):
            self.objects[f"/api/v1/nodes/{item['metadata']['name']}"] = item
        http, dns = {"port": 80}, {"name": "dns", "port": 53, "protocol": "UDP"}
        for item in (
            service("default", "kubernetes", "10.96.0.1", {"port": 443}),
            service("kube-system", "kube-dns", "10.96.0.10", dns, {"name": "metrics", "port": 9153}),
            service("binder", "hub", "10.96.166.63", {"port": 8081}),
            service("binder", "proxy-api", "10.99.165.146", {"port": 8001}),
            service("binder", "proxy-public", "10.102.54.198", http, floating="172.30.77.101"),
            service("binder", "binder", "10.105.35.63", {"port": 80, "nodePort": 30585}),
            service("binder", "nobody", "10.105.35.64", http),
        ):
            self.objects[f"/api/v1/services/{item['metadata']['name']}"] = item
        for entry in (
            endpoints("binder", "hub", "10.244.1.4", 8081),
            endpoints("binder", "proxy-api", "10.244.1.2", 8001),
            endpoints("binder", "binder", "10.244.1.3", 8585),
            endpoints("binder", "nobody", "10.244.1.9", 80, ready=False),
        ):
            path = "/apis/discovery.k8s.io/v1/namespaces/binder/endpointslices"
            self.objects[f"{path}/{entry['metadata']['name']}"] = entry

    def create(self, path: str, body: Mapping[str, Any], **query: str) -> dict[str, Any]:
        made = super().create(path, body, **query)
        if body["kind"] == "Pod":
            self._run(f"{path}/{body['metadata']['name']}", made)
        return made

    def _run(self, path: str, pod: dict[str, Any]) -> None:
        argument = json.loads(pod["spec"]["containers"][0]["command"][-1])
        found = self.finds(pod["metadata"]["name"], argument.get("targets", []))
        status: dict[str, Any] = {
            "phase": "Running" if "listen" in argument or argument.get("stay") else "Succeeded",
            "podIP": "10.244.2.8",
        }
        begins = pod["metadata"]["name"].partition("-")[0]
        if self.stumbles.get(begins):
            self.stumbles[begins] -= 1
            ended = {"reason": "StartError", "message": "runc create failed: unable to freeze"}
            status = {"phase": "Failed", "containerStatuses": [{"state": {"terminated": ended}}]}
        elif found is None:
            waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
            status = {"phase": "Pending", "containerStatuses": [{"state": {"waiting": waiting}}]}
        else:
            self.logs[f"{path}/log"] = f"noise\n{fence_program.MARK} {json.dumps(found)}\n"
        self.objects[path]["status"] = status

    def text(self, path: str, **query: str) -> str:
        if path in self.logs:
            return self.logs[path]
        raise KubeError(f"GET {path}: no log", 404)

    def get(self, path: str, **query: str) -> Optional[dict[str, Any]]:
        for ended in [
            place
            for place, item in self.objects.items()
            if (item["metadata"].get("labels") or {}).get("component") == "binderhub-build"
            and item.get("status", {}).get("phase") == "Succeeded"
        ]:
            del self.objects[ended]
        found = super().get(path)
        if found and "labelSelector" in query:
            found["items"] = [item for item in found["items"] if self._selected(item, query["labelSelector"])]
        return found

    @staticmethod
    def _selected(item: Mapping[str, Any], selector: str) -> bool:
        name, equals, value = selector.partition("=")
        labels = item["metadata"].get("labels") or {}
        return name in labels and (not equals or labels[name] == value)

    def delete(self, path: str, **query: str) -> None:
        super().delete(path, **query)
        for key, item in list(self.objects.items()):
            if key.rpartition("/")[0] == path and self._selected(item, query.get("labelSelector", "")):
                del self.objects[key]

    def pods(self) -> dict[str, dict[str, Any]]:
        """Every pod by its name."""
        return {
            key.rpartition("/")[2]: item
            for key, item in self.objects.items()
            if "/pods/" in key and "/namespaces/" in key
        }
