# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A cluster that has Secrets, ConfigMaps, Jobs and a ClusterRole: as KubeApi, and as a server on the loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

# As `kubectl get --raw /api/v1` and its like say, shortened.
DISCOVERY = {
    "/api/v1": {
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [
            {"name": "configmaps", "singularName": "configmap", "namespaced": True, "kind": "ConfigMap"},
            {"name": "namespaces", "singularName": "namespace", "namespaced": False, "kind": "Namespace"},
            {
                "name": "persistentvolumeclaims",
                "singularName": "persistentvolumeclaim",
                "namespaced": True,
                "kind": "PersistentVolumeClaim",
            },
            {"name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod"},
            {"name": "pods/status", "singularName": "", "namespaced": True, "kind": "Pod"},
            {"name": "secrets", "singularName": "secret", "namespaced": True, "kind": "Secret"},
        ],
    },
    "/apis/apiextensions.k8s.io/v1": {
        "kind": "APIResourceList",
        "groupVersion": "apiextensions.k8s.io/v1",
        "resources": [
            {
                "name": "customresourcedefinitions",
                "singularName": "customresourcedefinition",
                "namespaced": False,
                "kind": "CustomResourceDefinition",
            }
        ],
    },
    "/apis/batch/v1": {
        "kind": "APIResourceList",
        "groupVersion": "batch/v1",
        "resources": [
            {"name": "jobs", "singularName": "job", "namespaced": True, "kind": "Job"},
            {"name": "jobs/status", "singularName": "", "namespaced": True, "kind": "Job"},
        ],
    },
    "/apis/rbac.authorization.k8s.io/v1": {
        "kind": "APIResourceList",
        "groupVersion": "rbac.authorization.k8s.io/v1",
        "resources": [
            {
                "name": "clusterroles",
                "singularName": "clusterrole",
                "namespaced": False,
                "kind": "ClusterRole",
            }
        ],
    },
}
PULL_SECRET = "/api/v1/namespaces/ns/secrets/image-pull-secret"


def made_by_hook(**metadata: Any) -> dict[str, Any]:
    """Return an object as Helm makes one for a hook of release `binder`."""
    annotations = {"helm.sh/hook": "pre-install,pre-upgrade"}
    return {"metadata": {"labels": {"release": "binder"}, "annotations": annotations, **metadata}}


class HookCluster:
    """Keeps {API path: object}; `asked` has (method, path with its query)."""

    def __init__(self, **objects: Any) -> None:
        self.objects: dict[str, Any] = dict(objects)
        self.asked: list[tuple[str, str]] = []

    def get(self, path: str, **_query: str) -> Any:
        """Return an object, a list of kinds, or None."""
        self.asked.append(("GET", path))
        return DISCOVERY.get(path) or self.objects.get(path)

    def text(self, path: str, **_query: str) -> str:
        """Have no logs."""
        raise AssertionError(f"nobody reads {path}")

    def create(self, path: str, body: Mapping[str, Any], **_query: str) -> dict[str, Any]:
        """Have nobody who makes anything."""
        raise AssertionError(f"nobody creates {path}: {body}")

    def patch(self, path: str, body: Mapping[str, Any], **_query: str) -> dict[str, Any]:
        """Have nobody who changes anything."""
        raise AssertionError(f"nobody changes {path}: {body}")

    def delete(self, path: str, **_query: str) -> None:
        """Forget an object."""
        self.asked.append(("DELETE", path))
        self.objects.pop(path.partition("?")[0], None)

    @property
    def deleted(self) -> list[str]:
        """Return what was deleted."""
        return [path for method, path in self.asked if method == "DELETE"]


class HookServer(HookCluster):
    """The same as a server. `kubeconfig` writes a file that leads to it."""

    def __init__(self, **objects: Any) -> None:
        super().__init__(**objects)
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True

    def __enter__(self) -> HookServer:
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def kubeconfig(self, file: Path) -> None:
        """Write a kubeconfig for this server."""
        server = f"http://127.0.0.1:{self._http.server_port}"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "x",
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
            "clusters": [{"name": "x", "cluster": {"server": server}}],
            "users": [{"name": "x", "user": {"token": "x"}}],
        }
        file.write_text(json.dumps(config), encoding="utf-8")


def _handler(cluster: HookCluster) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_args: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            found = cluster.get(self.path)
            self._reply(404 if found is None else 200, found or {"kind": "Status", "code": 404})

        def do_DELETE(self) -> None:
            cluster.delete(self.path)
            self._reply(200, {"kind": "Status", "status": "Success"})

        def _reply(self, status: int, body: Any) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    return Handler
