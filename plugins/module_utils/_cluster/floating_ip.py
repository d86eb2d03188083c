# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Who holds a floating address, and how the service that is meant to hold it gets it.

With one floating address and a chart whose every service is a LoadBalancer, the first service takes
the address and the others stay pending for ever. This finds the holder and puts it right.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["FloatingIp", "FloatingIpError", "FloatingIpResult", "Service", "ServiceClient", "read_service"]

_STEP_SECONDS = 1.0
_WANTED_ADDRESS_ANNOTATIONS = ("metallb.io/loadBalancerIPs", "metallb.universe.tf/loadBalancerIPs")


class FloatingIpError(Exception):
    """The address cannot be had. Its text names the holder or the reason, and the remedy."""


@dataclass(frozen=True)
class Service:
    """What matters here of a Kubernetes service."""

    namespace: str
    name: str
    type: str
    addresses: tuple[str, ...]  # given by the load balancer
    asked_for: tuple[str, ...]  # by its own manifest

    def __str__(self) -> str:
        """Name it as kubectl's columns do."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class FloatingIpResult:
    """What was found and done."""

    changed: bool
    addresses: tuple[str, ...]  # of the wanted service, at the end
    holder: Service | None  # who held the address at the beginning
    released: Service | None  # who had to give it up
    seconds: float


class ServiceClient(Protocol):
    """What the work needs of a cluster."""

    def services(self) -> Sequence[Service]:
        """List the services of all namespaces."""

    def make_node_port(self, service: Service) -> None:
        """Turn a service into one of type NodePort."""

    def warnings(self, namespace: str, name: str) -> Sequence[str]:
        """Give the messages of a service's warning events, oldest first."""


def read_service(manifest: Mapping[str, Any]) -> Service:
    """Read a service as the API gives it.

    Source: https://kubernetes.io/docs/reference/kubernetes-api/service-resources/service-v1/ and, for
    the annotations, https://metallb.io/usage/#requesting-specific-ips.
    """
    metadata, spec = manifest["metadata"], manifest.get("spec") or {}
    ingress = ((manifest.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    annotations = metadata.get("annotations") or {}
    asked = [annotations.get(key) or "" for key in _WANTED_ADDRESS_ANNOTATIONS]
    asked.append(spec.get("loadBalancerIP") or "")
    return Service(
        namespace=metadata["namespace"],
        name=metadata["name"],
        type=spec.get("type") or "ClusterIP",
        addresses=tuple(entry["ip"] for entry in ingress if entry.get("ip")),
        asked_for=tuple(
            dict.fromkeys(part.strip() for text in asked for part in text.split(",") if part.strip())
        ),
    )


class FloatingIp:
    """Sees to it that one service holds one address."""

    def __init__(
        self,
        client: ServiceClient,
        *,
        namespace: str,
        service: str,
        address: str,
        release_holder: bool = False,
        wait: bool = True,
        timeout_seconds: float = 120,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take what is wanted; see the module `floating_ip` for each value."""
        self.client = client
        self.namespace = namespace
        self.service = service
        self.address = address
        self.release_holder = release_holder
        self.wait = wait
        self.timeout_seconds = timeout_seconds
        self.clock = clock
        self.sleep = sleep

    def ensure(self, check_mode: bool = False) -> FloatingIpResult:
        """Free the address where another service has it, and wait until the wanted one does.

        Raises:
            FloatingIpError: another service holds the address and may not be changed; the wanted
                service is missing, is no LoadBalancer, asks for another address or stays without.
        """
        started = self.clock()
        wanted, holder = self._look()
        released = None
        if holder and not self._is_wanted(holder):
            if not self.release_holder:
                raise FloatingIpError(
                    f"{self.address} is held by service {holder}, but {self.namespace}/{self.service} is meant to have it. Give "
                    f"{holder} the type NodePort or ClusterIP where it is defined, enlarge the floating pool, or let this run "
                    "do it once with release_holder."
                )
            released = holder
            if not check_mode:
                self.client.make_node_port(holder)
        if self.wait and not check_mode:
            wanted = self._wait(wanted, started)
        return FloatingIpResult(
            changed=released is not None,
            addresses=wanted.addresses if wanted else (),
            holder=holder,
            released=released,
            seconds=round(self.clock() - started, 1),
        )

    def _is_wanted(self, service: Service) -> bool:
        return (service.namespace, service.name) == (self.namespace, self.service)

    def _look(self) -> tuple[Service | None, Service | None]:
        """Find the wanted service, and the holder of the address: the wanted one if it is among several."""
        services = self.client.services()
        wanted = next((service for service in services if self._is_wanted(service)), None)
        holders = [service for service in services if self.address in service.addresses]
        return wanted, next((one for one in holders if self._is_wanted(one)), holders[0] if holders else None)

    def _wait(self, wanted: Service | None, started: float) -> Service:
        """Ask until the wanted service has the address."""
        while wanted is None or self.address not in wanted.addresses:
            if wanted and wanted.type != "LoadBalancer":
                raise FloatingIpError(
                    f"service {wanted} has the type {wanted.type} and will never have {self.address}: make it a LoadBalancer"
                )
            if wanted and wanted.asked_for and self.address not in wanted.asked_for:
                raise FloatingIpError(
                    f"service {wanted} asks for {', '.join(wanted.asked_for)}, not for {self.address}: "
                    "correct spec.loadBalancerIP or its annotation where it is defined"
                )
            if self.clock() - started >= self.timeout_seconds:
                raise FloatingIpError(self._why_not(wanted))
            self.sleep(_STEP_SECONDS)
            wanted, holder = self._look()
            if holder and not self._is_wanted(holder) and not self.release_holder:
                raise FloatingIpError(
                    f"{self.address} was taken by service {holder} while {self.service} waited for it"
                )
        return wanted

    def _why_not(self, wanted: Service | None) -> str:
        """Say why the wait was in vain."""
        where = f"{self.namespace}/{self.service}"
        if wanted is None:
            return f"there is no service {where}: release the hub before giving it an address"
        warnings = self.client.warnings(self.namespace, self.service)
        has = f"has {', '.join(wanted.addresses)}" if wanted.addresses else "is still pending"
        said = (
            f"MetalLB says: {warnings[-1]}"
            if warnings
            else "MetalLB says nothing: are its controller and speakers running?"
        )
        return (
            f"service {where} {has} after {self.timeout_seconds:.0f} s and does not have {self.address}. {said} "
            "Compare `kubectl -n metallb-system get ipaddresspools -o yaml` and `kubectl -n metallb-system get pods`."
        )
