"""Who holds the address, on a cluster made of a list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.floating_ip import (
    FloatingIp,
    FloatingIpError,
    Service,
    read_service,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.floating_ip_client import (
    KubernetesServices,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeError
from hand_clock import HandClock
from kube_memory import MemoryApi

IP = "192.0.2.10"
HUB = Service("binder", "proxy-public", "LoadBalancer", (), (IP,))
OTHER = Service("binder", "binder", "LoadBalancer", (IP,), ())


class FakeCluster(HandClock):
    """Services, and MetalLB: a pending LoadBalancer gets the address when nobody has it any more."""

    def __init__(self, *services: Service, takes: float = 3, said: Sequence[str] = ()) -> None:
        super().__init__()
        self.held = list(services)
        self.takes = takes
        self.said = said
        self.changes: list[str] = []
        self.later: Callable[[], None] | None = None

    def services(self) -> Sequence[Service]:
        if self.later and self.now() >= 1:
            self.later()
        free = not any(IP in service.addresses for service in self.held)
        if free and self.now() >= self.takes:
            self.held = [
                replace(one, addresses=(IP,)) if one.type == "LoadBalancer" and IP in one.asked_for else one
                for one in self.held
            ]
        return list(self.held)

    def manifest(self, service: Service) -> dict[str, Any]:
        return {"kind": "Service", "metadata": {"name": service.name}, "spec": {"type": service.type}}

    def make_node_port(self, service: Service) -> None:
        self.changes.append(str(service))
        self.held = [
            replace(one, type="NodePort", addresses=()) if one == service else one for one in self.held
        ]

    def warnings(self, namespace: str, name: str) -> Sequence[str]:
        assert (namespace, name) == ("binder", "proxy-public")
        return self.said


def wanted(cluster: FakeCluster, **more: object) -> FloatingIp:
    return FloatingIp(
        cluster,
        namespace="binder",
        service="proxy-public",
        address=IP,
        clock=cluster,
        **more,  # type: ignore[arg-type]
    )


def test_held_by_the_right_service() -> None:
    """Nothing to do, at once, however often; an address shared with others is right too."""
    cluster = FakeCluster(OTHER, replace(HUB, addresses=(IP,)))
    for _ in range(2):
        result = wanted(cluster).ensure()
        assert (result.changed, result.addresses, result.seconds) == (False, (IP,), 0)
    assert str(result.holder) == "binder/proxy-public"
    assert cluster.changes == []


def test_waits_for_a_pending_service() -> None:
    """MetalLB takes a moment."""
    cluster = FakeCluster(HUB)
    result = wanted(cluster).ensure()
    assert (result.changed, result.addresses, result.holder, result.seconds) == (False, (IP,), None, 3)


def test_another_holder_is_named_and_left_alone() -> None:
    """Changing somebody's service is a decision."""
    cluster = FakeCluster(OTHER, HUB)
    for check_mode in (True, False):
        with pytest.raises(FloatingIpError) as caught:
            wanted(cluster).ensure(check_mode)
        for words in (
            "held by service binder/binder",
            "site_floating_ip_release_enabled",
            "binderhub_floating_ip_release_enabled",
        ):
            assert words in str(caught.value)
    assert cluster.changes == []


def test_another_holder_is_turned_into_a_node_port() -> None:
    """Check mode says it, doing it does it once."""
    cluster = FakeCluster(OTHER, HUB)
    predicted = wanted(cluster, release_holder=True).ensure(check_mode=True)
    assert predicted.changed
    assert predicted.released == OTHER
    assert cluster.changes == []
    done = wanted(cluster, release_holder=True).ensure()
    assert (done.changed, done.released, done.addresses) == (True, OTHER, (IP,))
    again = wanted(cluster, release_holder=True).ensure()
    assert (again.changed, again.released) == (False, None)
    assert cluster.changes == ["binder/binder"]


def test_the_old_state_is_kept_before_anything_is_changed(tmp_path: Path) -> None:
    """In a file of its own that only its owner reads; a check names it and writes nothing."""
    folder = tmp_path / "site" / "backup"
    cluster = FakeCluster(OTHER, HUB)
    predicted = wanted(cluster, release_holder=True, backup_dir=str(folder)).ensure(check_mode=True)
    assert not folder.exists()
    done = wanted(cluster, release_holder=True, backup_dir=str(folder)).ensure()
    assert done.backup_file == predicted.backup_file
    assert done.released_manifest == predicted.released_manifest == cluster.manifest(OTHER)
    (file,) = folder.iterdir()
    assert (str(file), file.stat().st_mode & 0o777) == (done.backup_file, 0o600)
    text = file.read_text()
    assert text.startswith(
        "# Service binder/binder before it had to give up 192.0.2.10. Put it back: kubectl apply -f"
    )
    assert yaml.safe_load(text) == done.released_manifest
    again = wanted(cluster, release_holder=True, backup_dir=str(folder)).ensure()
    assert (again.backup_file, again.released_manifest, len(list(folder.iterdir()))) == ("", {}, 1)


@pytest.mark.parametrize("error", [None, KubeError("forbidden", 403)])
def test_what_was_done_is_told_although_the_wait_is_in_vain(tmp_path: Path, error: KubeError | None) -> None:
    """The service was changed: whoever reads the error has to learn which one, and where its old state is."""
    cluster = FakeCluster(OTHER, HUB, takes=1e9)
    real = cluster.services

    def services() -> Sequence[Service]:
        if cluster.changes and error:
            raise error
        return real()

    cluster.services = services  # type: ignore[method-assign]
    with pytest.raises(FloatingIpError, match="forbidden" if error else "still pending") as caught:
        wanted(cluster, release_holder=True, backup_dir=str(tmp_path)).ensure()
    done = caught.value.done
    assert done is not None
    assert (done.changed, done.released, done.released_manifest) == (True, OTHER, cluster.manifest(OTHER))
    (file,) = tmp_path.iterdir()
    assert done.backup_file == str(file)
    for words in ("binder/binder was turned into a NodePort", f"kept in {file}"):
        assert words in str(caught.value)


def test_without_a_place_for_it_nothing_is_changed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cluster = FakeCluster(OTHER, HUB)
    with pytest.raises(
        FloatingIpError, match=r"cannot keep the old state of service binder/binder.*Nothing was changed"
    ):
        wanted(cluster, release_holder=True, backup_dir=str(tmp_path / "file" / "x")).ensure()
    assert cluster.changes == []


def test_before_the_release_the_service_need_not_exist() -> None:
    """Without waiting, only others are looked at."""
    result = wanted(FakeCluster(), wait=False).ensure()
    assert (result.changed, result.addresses) == (False, ())
    with pytest.raises(FloatingIpError, match="held by service binder/binder"):
        wanted(FakeCluster(OTHER), wait=False).ensure()


VAIN = {
    "missing": (FakeCluster(), "there is no service binder/proxy-public"),
    "not a LoadBalancer": (FakeCluster(replace(HUB, type="ClusterIP")), "has the type ClusterIP"),
    "asks for another": (
        FakeCluster(replace(HUB, asked_for=("192.0.2.99",))),
        "asks for 192.0.2.99, not for",
    ),
    "has another": (
        FakeCluster(replace(HUB, addresses=("192.0.2.11",), asked_for=())),
        "has 192.0.2.11 after 120 s",
    ),
    "pending, with a reason": (
        FakeCluster(HUB, takes=1e9, said=["old", "no available IPs"]),
        r"still pending after 120 s.*MetalLB says: no available IPs",
    ),
    "pending, without": (FakeCluster(HUB, takes=1e9), "speakers running"),
}


@pytest.mark.parametrize(("cluster", "words"), VAIN.values(), ids=VAIN.keys())
def test_says_why_the_address_does_not_come(cluster: FakeCluster, words: str) -> None:
    """The wait is bounded and ends with a reason."""
    with pytest.raises(FloatingIpError, match=words):
        wanted(cluster).ensure()
    assert cluster.now() <= 120


def test_a_thief_is_named_at_once() -> None:
    """Another service may take the address while we wait."""
    cluster = FakeCluster(HUB, takes=1e9)
    cluster.later = lambda: cluster.held.append(OTHER)
    with pytest.raises(FloatingIpError, match="was taken by service binder/binder"):
        wanted(cluster).ensure()
    assert cluster.now() < 5


def test_read_service() -> None:
    """Every field of the API that may be missing is missing somewhere."""
    assert read_service({"metadata": {"namespace": "a", "name": "b"}}) == Service(
        "a", "b", "ClusterIP", (), ()
    )
    manifest = {
        "metadata": {
            "namespace": "binder",
            "name": "proxy-public",
            "annotations": {"metallb.io/loadBalancerIPs": f"{IP}, 2001:db8::1"},
        },
        "spec": {"type": "LoadBalancer", "loadBalancerIP": IP},
        "status": {"loadBalancer": {"ingress": [{"ip": IP}, {"hostname": "elsewhere"}]}},
    }
    assert read_service(manifest) == Service(
        "binder", "proxy-public", "LoadBalancer", (IP,), (IP, "2001:db8::1")
    )
    assert read_service({**manifest, "status": {"loadBalancer": {}}}).addresses == ()


def test_addresses_are_compared_as_addresses() -> None:
    """A cluster writes IPv6 in its own way."""
    service = {
        "metadata": {"namespace": "binder", "name": "proxy-public"},
        "spec": {"type": "LoadBalancer", "loadBalancerIP": "2001:0DB8::0001"},
        "status": {"loadBalancer": {"ingress": [{"ip": "2001:db8::1"}]}},
    }
    assert read_service(service).asked_for == read_service(service).addresses == ("2001:db8::1",)
    cluster = FakeCluster(read_service(service))
    one = FloatingIp(
        cluster, clock=cluster, namespace="binder", service="proxy-public", address="2001:DB8:0::1"
    )
    assert one.ensure().seconds == 0


@pytest.mark.parametrize("check_mode", [True, False])
def test_an_api_that_restarts_is_forgiven_and_a_refusal_is_not(check_mode: bool) -> None:
    cluster = FakeCluster(replace(HUB, addresses=(IP,)))
    real = cluster.services
    for status, until, good in ((503, 10, not check_mode), (0, 999, False), (403, 999, False)):
        start = cluster.now()

        def services(status: int = status, until: float = start + until) -> Sequence[Service]:
            if cluster.now() < until:
                raise KubeError("away", status)
            return real()

        cluster.services = services  # type: ignore[method-assign]
        if good:
            assert wanted(cluster).ensure(check_mode).addresses == (IP,)
        else:
            with pytest.raises(KubeError, match="away"):
                wanted(cluster).ensure(check_mode)
            assert cluster.now() - start == (0 if check_mode or status == 403 else 30)


def test_the_services_of_a_cluster() -> None:
    """Its own paths and words, without the bookkeeping."""
    api = MemoryApi()
    path = "/api/v1/namespaces/binder/services/binder"
    api.objects[path] = {
        "metadata": {
            "namespace": "binder",
            "name": "binder",
            "uid": "u",
            "resourceVersion": "7",
            "managedFields": [],
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "own": "x"},
        },
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 30080}]},
        "status": {"loadBalancer": {"ingress": [{"ip": IP}]}},
    }
    api.objects["/api/v1/services/x"] = api.objects[path]
    api.objects["/api/v1/namespaces/binder/events/1"] = {
        "message": "new",
        "lastTimestamp": "2026-11-20T12:00:01Z",
    }
    api.objects["/api/v1/namespaces/binder/events/2"] = {
        "message": "old",
        "eventTime": "2026-11-20T12:00:00Z",
    }
    client = KubernetesServices(api)
    (service,) = client.services()
    assert service == Service("binder", "binder", "LoadBalancer", (IP,), ())
    assert client.manifest(service) == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": "binder", "name": "binder", "annotations": {"own": "x"}},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 30080}]},
    }
    client.make_node_port(service)
    assert api.objects[path]["spec"]["type"] == "NodePort"
    assert client.warnings("binder", "binder") == ["old", "new"]
    del api.objects[path]
    with pytest.raises(FloatingIpError, match="went away"):
        client.manifest(service)


@pytest.mark.parametrize("verb", ["services", "manifest", "make_node_port"])
def test_an_api_that_restarts_in_the_middle_is_forgiven(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever question meets it, nothing is left half done."""
    cluster = FakeCluster(HUB, OTHER)
    work, lost = getattr(cluster, verb), [KubeError("connection refused"), KubeError("no leader", 500)]

    def restarting(*arguments: Any) -> Any:
        if lost:
            raise lost.pop()
        return work(*arguments)

    monkeypatch.setattr(cluster, verb, restarting)
    result = wanted(cluster, release_holder=True).ensure()
    assert (result.changed, result.addresses, cluster.changes, lost) == (True, (IP,), ["binder/binder"], [])


def test_a_refusal_to_change_the_holder_is_no_restart() -> None:
    cluster = FakeCluster(HUB, OTHER)

    def refused(service: Service) -> None:
        raise KubeError("forbidden", 403)

    cluster.make_node_port = refused  # type: ignore[method-assign]
    with pytest.raises(KubeError, match="forbidden"):
        wanted(cluster, release_holder=True).ensure()
    assert cluster.slept == []
