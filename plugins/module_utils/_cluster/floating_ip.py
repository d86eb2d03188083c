# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Who holds a floating address, and how the service that is meant to hold it gets it.

With one floating address and a chart whose every service is a LoadBalancer, the first service takes
the address and the others stay pending for ever. This finds the holder and puts it right.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Optional, Protocol, TypeVar

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.files import write_atomically
from ansible_collections.ironbinder.platform.plugins.module_utils._base.waiting import wait_until
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeError, forgive

__all__ = ["FloatingIp", "FloatingIpError", "FloatingIpResult", "Service", "ServiceClient", "read_service"]

Answer = TypeVar("Answer")

_WANTED_ADDRESS_ANNOTATIONS = ("metallb.io/loadBalancerIPs", "metallb.universe.tf/loadBalancerIPs")


class FloatingIpError(Exception):
    """The address cannot be had. Its text names the holder or the reason, and the remedy.

    `done` is what had been changed by then, None for nothing.
    """

    def __init__(self, message: str, done: Optional[FloatingIpResult] = None) -> None:
        super().__init__(message)
        self.done = done


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
    holder: Optional[Service]  # who held the address at the beginning
    released: Optional[Service]  # who had to give it up
    released_manifest: Mapping[str, Any]  # the same before that, as `kubectl apply` takes it; else empty
    backup_file: str  # where that is written; else empty
    seconds: float


class ServiceClient(Protocol):
    """What the work needs of a cluster. Every method raises KubeError."""

    def services(self) -> Sequence[Service]:
        """List the services of all namespaces."""

    def manifest(self, service: Service) -> Mapping[str, Any]:
        """Return a service as `kubectl apply` takes it: without status and the server's bookkeeping."""

    def make_node_port(self, service: Service) -> None:
        """Turn a service into one of type NodePort."""

    def warnings(self, namespace: str, name: str) -> Sequence[str]:
        """Give the messages of a service's warning events, oldest first."""


def _canonical(address: str) -> str:
    """Return an address in the one way in which it can be compared, anything else as it is."""
    try:
        return str(ip_address(address.strip()))
    except ValueError:
        return address.strip()


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
        addresses=tuple(_canonical(entry["ip"]) for entry in ingress if entry.get("ip")),
        asked_for=tuple(
            dict.fromkeys(_canonical(part) for text in asked for part in text.split(",") if part.strip())
        ),
    )


class FloatingIp:
    """Sees to it that one service holds one address."""

    def __init__(
        self,
        client: ServiceClient,
        *,
        clock: Clock,
        namespace: str,
        service: str,
        address: str,
        release_holder: bool = False,
        backup_dir: str = "",
        wait: bool = True,
        timeout_seconds: float = 120,
    ) -> None:
        """Take what is wanted; see the module `floating_ip` for each value."""
        self.client = client
        self.clock = clock
        self.namespace = namespace
        self.service = service
        self.address = _canonical(address)
        self.release_holder = release_holder
        self.backup_dir = backup_dir
        self.wait = wait
        self.timeout_seconds = timeout_seconds

    def ensure(self, check_mode: bool = False) -> FloatingIpResult:
        """Free the address where another service has it, and wait until the wanted one does.

        Raises:
            FloatingIpError: another service holds the address and may not be changed; the wanted
                service is missing, is no LoadBalancer, asks for another address or stays without.
            KubeError: the cluster is away for longer than it may be, or refuses.
        """
        started = self.clock.now()
        wanted, holder = self._persist(self._look, check_mode)
        released, manifest, file = None, {}, ""
        if holder and not self._is_wanted(holder):
            if not self.release_holder:
                raise FloatingIpError(
                    f"{self.address} is held by service {holder}, but {self.namespace}/{self.service} is meant to have it. "
                    f"Give {holder} the type NodePort or ClusterIP where it is defined, or enlarge site_floating_pool. To let "
                    "this run turn it into a NodePort, set site_floating_ip_release_enabled "
                    "(binderhub_floating_ip_release_enabled, release_holder) to true; its old state is then kept."
                )
            released, manifest = (
                holder,
                dict(self._persist(partial(self.client.manifest, holder), check_mode)),
            )
            file = self._keep(holder, manifest, check_mode)
            if not check_mode:
                self._persist(partial(self.client.make_node_port, holder))

        def result() -> FloatingIpResult:
            return FloatingIpResult(
                changed=released is not None,
                addresses=wanted.addresses if wanted else (),
                holder=holder,
                released=released,
                released_manifest=manifest,
                backup_file=file,
                seconds=round(self.clock.now() - started, 1),
            )

        if self.wait and not check_mode:
            try:
                wanted = self._wait(started)
            except (FloatingIpError, KubeError) as error:
                if released is None:
                    raise
                kept = f"kept in {file}" if file else "in this result as released_manifest"
                raise FloatingIpError(
                    f"{error} Service {released} was turned into a NodePort before that; its old state is {kept}.",
                    result(),
                ) from error
        return result()

    def _persist(self, ask: Callable[[], Answer], check_mode: bool = False) -> Answer:
        """Ask, and again where the API is away for a moment."""
        return wait_until(
            lambda _seconds: ask(),
            lambda _seen: True,
            clock=self.clock,
            timeout_seconds=0 if check_mode else self.timeout_seconds,
            forgive=forgive,
        ).seen

    def _keep(self, holder: Service, manifest: Mapping[str, Any], check_mode: bool) -> str:
        """Write the old state of a service into a file of its own, before it is changed, and return its path."""
        if not self.backup_dir:
            return ""
        import yaml  # noqa: PLC0415 comes with Ansible and with the kubernetes client

        text = yaml.safe_dump(dict(manifest), sort_keys=False)
        # A service may be released more than once: each state has its own file, and the same state the same.
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        path = Path(self.backup_dir) / f"service-{holder.namespace}-{holder.name}-{digest}.yaml"
        if check_mode:
            return str(path)
        head = f"# Service {holder} before it had to give up {self.address}. Put it back: kubectl apply -f {path.name}\n"
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(path, head + text, mode=0o600)
        except OSError as error:
            raise FloatingIpError(
                f"cannot keep the old state of service {holder} in {path}: {error.strerror}. Nothing was changed"
            ) from error
        return str(path)

    def _is_wanted(self, service: Service) -> bool:
        return (service.namespace, service.name) == (self.namespace, self.service)

    def _look(self) -> tuple[Optional[Service], Optional[Service]]:
        """Find the wanted service, and the holder of the address: the wanted one if it is among several."""
        services = self.client.services()
        wanted = next((service for service in services if self._is_wanted(service)), None)
        holders = [service for service in services if self.address in service.addresses]
        return wanted, next((one for one in holders if self._is_wanted(one)), holders[0] if holders else None)

    def _wait(self, started: float) -> Service:
        """Ask until the wanted service has the address."""
        waited = wait_until(
            lambda _seconds: self._judged(),
            lambda service: service is not None and self.address in service.addresses,
            clock=self.clock,
            timeout_seconds=max(0, self.timeout_seconds - (self.clock.now() - started)),
            forgive=forgive,
        )
        if not waited.done or waited.seen is None:
            raise FloatingIpError(self._why_not(waited.seen))
        return waited.seen

    def _judged(self) -> Optional[Service]:
        """Return the wanted service; raise where waiting is in vain."""
        wanted, holder = self._look()
        if wanted and self.address in wanted.addresses:
            return wanted
        if wanted and wanted.type != "LoadBalancer":
            raise FloatingIpError(
                f"service {wanted} has the type {wanted.type} and will never have {self.address}: make it a LoadBalancer"
            )
        if wanted and wanted.asked_for and self.address not in wanted.asked_for:
            raise FloatingIpError(
                f"service {wanted} asks for {', '.join(wanted.asked_for)}, not for {self.address}: "
                "correct spec.loadBalancerIP or its annotation where it is defined"
            )
        if holder and not self._is_wanted(holder) and not self.release_holder:
            raise FloatingIpError(
                f"{self.address} was taken by service {holder} while {self.service} waited for it"
            )
        return wanted

    def _why_not(self, wanted: Optional[Service]) -> str:
        """Say why the wait was in vain."""
        where = f"{self.namespace}/{self.service}"
        if wanted is None:
            return f"there is no service {where}: release the hub before giving it an address"
        try:
            warnings = self.client.warnings(self.namespace, self.service)
        except KubeError:  # the reason that is known is better than this one
            warnings = ()
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
