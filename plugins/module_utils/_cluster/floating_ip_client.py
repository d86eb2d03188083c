# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The services of a real cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.floating_ip import (
    FloatingIpError,
    Service,
    read_service,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.manifest import (
    LAST_APPLIED,
    essence,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeApi

__all__ = ["KubernetesServices"]


class KubernetesServices:
    """Lists and changes services."""

    def __init__(self, api: KubeApi) -> None:
        """Take the cluster."""
        self._api = api

    def services(self) -> Sequence[Service]:
        """List the services of all namespaces."""
        return [read_service(item) for item in (self._api.get("/api/v1/services") or {}).get("items") or []]

    def manifest(self, service: Service) -> Mapping[str, Any]:
        """Return a service as `kubectl apply` takes it: without status and the server's bookkeeping."""
        found = self._api.get(_path(service))
        if found is None:
            raise FloatingIpError(f"service {service} went away while this looked at it: run this again")
        manifest = {"apiVersion": "v1", "kind": "Service", **essence(found)}
        (manifest["metadata"].get("annotations") or {}).pop(LAST_APPLIED, None)
        return manifest

    def make_node_port(self, service: Service) -> None:
        """Change the type; the API drops what only a LoadBalancer has."""
        self._api.patch(_path(service), {"spec": {"type": "NodePort"}}, fieldManager="ironbinder")

    def warnings(self, namespace: str, name: str) -> Sequence[str]:
        """Give the messages of a service's warning events, oldest first."""
        selector = f"involvedObject.kind=Service,involvedObject.name={name},type=Warning"
        found = self._api.get(f"/api/v1/namespaces/{namespace}/events", fieldSelector=selector) or {}
        items = list(found.get("items") or [])
        items.sort(key=lambda item: str(item.get("lastTimestamp") or item.get("eventTime") or ""))
        return [item.get("message") or "" for item in items]


def _path(service: Service) -> str:
    return f"/api/v1/namespaces/{service.namespace}/services/{service.name}"
