# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The services of a real cluster.

The dynamic client is used because the typed models of kubernetes 37 reject what older servers send.
"""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.floating_ip import (
    FloatingIpError,
    Service,
    read_service,
)

try:
    from kubernetes import config
    from kubernetes.config.config_exception import ConfigException
    from kubernetes.dynamic import DynamicClient
    from kubernetes.dynamic.exceptions import DynamicApiError
    from urllib3.exceptions import HTTPError

    HAS_KUBERNETES = True
except ImportError:  # the module reports it with Ansible's missing_required_lib
    HAS_KUBERNETES = False

__all__ = ["HAS_KUBERNETES", "KubernetesServices"]

_REQUEST_SECONDS = 30


class KubernetesServices:
    """Lists and changes services through a kubeconfig."""

    def __init__(self, kubeconfig: str) -> None:
        """Read the kubeconfig and ask the API what it knows."""
        self._kubeconfig = kubeconfig
        try:
            self._client = DynamicClient(config.new_client_from_config(config_file=kubeconfig))
            self._services = self._client.resources.get(api_version="v1", kind="Service")
            self._events = self._client.resources.get(api_version="v1", kind="Event")
        except (ConfigException, DynamicApiError, HTTPError, OSError) as error:
            raise self._error("read the services of the cluster", error) from error

    def _error(self, what: str, error: Exception) -> FloatingIpError:
        """Say what could not be done, where, and what was observed."""
        reason = error.summary() if isinstance(error, DynamicApiError) else str(error)
        return FloatingIpError(
            f"cannot {what} with {self._kubeconfig}: {reason}. Does `kubectl --kubeconfig {self._kubeconfig} get nodes` work?"
        )

    def services(self) -> Sequence[Service]:
        """List the services of all namespaces."""
        try:
            found = self._services.get(_request_timeout=_REQUEST_SECONDS)
        except (DynamicApiError, HTTPError, OSError) as error:
            raise self._error("list services", error) from error
        return [read_service(item) for item in found.to_dict()["items"]]

    def make_node_port(self, service: Service) -> None:
        """Change the type; the API drops what only a LoadBalancer has."""
        try:
            self._services.patch(
                name=service.name,
                namespace=service.namespace,
                body={"spec": {"type": "NodePort"}},
                content_type="application/merge-patch+json",
                _request_timeout=_REQUEST_SECONDS,
            )
        except (DynamicApiError, HTTPError, OSError) as error:
            raise self._error(f"make service {service} a NodePort", error) from error

    def warnings(self, namespace: str, name: str) -> Sequence[str]:
        """Give the messages of a service's warning events, oldest first."""
        selector = f"involvedObject.kind=Service,involvedObject.name={name},type=Warning"
        try:
            found = self._events.get(
                namespace=namespace, field_selector=selector, _request_timeout=_REQUEST_SECONDS
            )
        except (DynamicApiError, HTTPError, OSError) as error:
            raise self._error(f"read the events of {namespace}/{name}", error) from error
        items = found.to_dict()["items"]
        items.sort(key=lambda item: str(item.get("lastTimestamp") or item.get("eventTime") or ""))
        return [item.get("message") or "" for item in items]
