# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Make the kubelet show pods a secret that was written after they had started.

The kubelet looks after a pod when the pod changes, or else about once a minute. A controller that makes its own certificate
and mounts it is meanwhile killed by its probe. See
https://kubernetes.io/docs/tasks/configure-pod-container/configure-pod-configmap/#mounted-configmaps-are-updated-automatically
"""

from __future__ import annotations

from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeApi, KubeError

__all__ = ["ShownSecret"]


class ShownSecret:
    """Annotates the pods once, as soon as the secret has its content."""

    def __init__(self, api: KubeApi, *, namespace: str, secret: str, key: str, pods: str) -> None:
        """Take the cluster, the secret with the key that has to have a value, and the pods' selector."""
        self._api = api
        self._namespace = namespace
        self._secret = secret
        self._key = key
        self._pods = pods
        self._done = False

    def show(self) -> None:
        """Look for the secret, and change the pods where it is there. It is only for speed, so it never fails."""
        if self._done:
            return
        base = f"/api/v1/namespaces/{self._namespace}"
        try:
            secret = self._api.get(f"{base}/secrets/{self._secret}") or {}
            if not (secret.get("data") or {}).get(self._key):
                return
            mark = {"ironbinder/secret-shown": f"{self._secret}-{secret['metadata']['resourceVersion']}"}
            found = self._api.get(f"{base}/pods", labelSelector=self._pods) or {}
            for pod in found.get("items") or []:
                self._api.patch(f"{base}/pods/{pod['metadata']['name']}", {"metadata": {"annotations": mark}})
            self._done = bool(found.get("items"))
        except KubeError:  # the wait itself tells what is really wrong
            return
