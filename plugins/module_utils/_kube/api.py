# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The Kubernetes API as plain JSON: no models, no discovery, credentials by the kubernetes client."""

from __future__ import annotations

import json
from typing import Any, Optional, Protocol

try:
    import yaml
except ImportError:  # Ansible itself brings it; only a target without Ansible lacks it
    yaml = None  # type: ignore[assignment]

__all__ = ["KubeApi", "KubeError", "connect"]


class KubeError(Exception):
    """The API could not be asked, or refused. `status` is its HTTP status, 0 where there was none."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class KubeApi(Protocol):
    """What the rest of the code needs of a cluster."""

    def get(self, path: str, **query: str) -> Optional[dict[str, Any]]:
        """Return the object or list at `path`, None where there is none."""

    def text(self, path: str, **query: str) -> str:
        """Return what is at `path` as text, a container's log for example."""

    def delete(self, path: str) -> None:
        """Delete the object at `path`; no error where there is none."""


class _Rest:
    def __init__(self, client: Any, where: str) -> None:
        self._client = client
        self._where = where

    def _request(self, method: str, path: str, query: dict[str, str]) -> Optional[bytes]:
        from kubernetes.dynamic.exceptions import DynamicApiError  # noqa: PLC0415 controller only
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        try:
            response = self._client.request(method, path, query_params=list(query.items()), serialize=False)
        except DynamicApiError as error:
            status = int(error.status or 0)
            if status == 404:
                return None
            raise KubeError(
                f"{method.upper()} {path} at {self._where}: {status} {error.reason}", status
            ) from error
        except (HTTPError, OSError) as error:
            raise KubeError(
                f"{method.upper()} {path}: {self._where} does not answer: {error}: check that the control plane is up"
            ) from error
        return bytes(response.data)

    def get(self, path: str, **query: str) -> Optional[dict[str, Any]]:
        data = self._request("get", path, query)
        return None if data is None else dict(json.loads(data))

    def text(self, path: str, **query: str) -> str:
        return (self._request("get", path, query) or b"").decode(errors="replace")

    def delete(self, path: str) -> None:
        self._request("delete", path, {})


def connect(kubeconfig: str) -> KubeApi:
    """Open the cluster of `kubeconfig`.

    Raises:
        KubeError: the kubernetes package is missing, or the file is no kubeconfig.
    """
    try:
        from kubernetes import config  # noqa: PLC0415 only where a cluster is asked
        from kubernetes.dynamic import DynamicClient  # noqa: PLC0415
    except ImportError as error:
        raise KubeError(
            "the Python package kubernetes is missing here: install requirements.txt on the host that talks to "
            "the cluster (site_kubernetes_client_host)"
        ) from error
    try:
        client = config.new_client_from_config(config_file=kubeconfig)
    except (config.ConfigException, OSError, ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise KubeError(f"{kubeconfig} is no kubeconfig: {error}: check site_kubeconfig_file") from error
    # No discoverer: discovery costs a second, and all paths here are known.
    return _Rest(DynamicClient(client, discoverer=lambda *_: None), client.configuration.host)
