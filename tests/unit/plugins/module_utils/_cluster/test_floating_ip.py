"""Who holds the address, on a cluster made of a list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.floating_ip import (
    FloatingIp,
    FloatingIpError,
    Service,
    read_service,
)

IP = "192.0.2.10"
HUB = Service("binder", "proxy-public", "LoadBalancer", (), (IP,))
OTHER = Service("binder", "binder", "LoadBalancer", (IP,), ())


class FakeCluster:
    """Services, and MetalLB: a pending LoadBalancer gets the address when nobody has it any more."""

    def __init__(self, *services: Service, seconds: float = 3, said: Sequence[str] = ()) -> None:
        self.held = list(services)
        self.seconds = seconds
        self.said = said
        self.now = 0.0
        self.changes: list[str] = []
        self.later: Callable[[], None] | None = None

    def services(self) -> Sequence[Service]:
        if self.later and self.now >= 1:
            self.later()
        free = not any(IP in service.addresses for service in self.held)
        if free and self.now >= self.seconds:
            self.held = [
                replace(one, addresses=(IP,)) if one.type == "LoadBalancer" and IP in one.asked_for else one
                for one in self.held
            ]
        return list(self.held)

    def make_node_port(self, service: Service) -> None:
        self.changes.append(str(service))
        self.held = [
            replace(one, type="NodePort", addresses=()) if one == service else one for one in self.held
        ]

    def warnings(self, namespace: str, name: str) -> Sequence[str]:
        assert (namespace, name) == ("binder", "proxy-public")
        return self.said

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def wanted(cluster: FakeCluster, **more: object) -> FloatingIp:
    return FloatingIp(
        cluster,
        namespace="binder",
        service="proxy-public",
        address=IP,
        clock=lambda: cluster.now,
        sleep=cluster.sleep,
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
        with pytest.raises(FloatingIpError, match=r"held by service binder/binder.*release_holder"):
            wanted(cluster).ensure(check_mode)
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
        FakeCluster(HUB, seconds=1e9, said=["old", "no available IPs"]),
        r"still pending after 120 s.*MetalLB says: no available IPs",
    ),
    "pending, without": (FakeCluster(HUB, seconds=1e9), "speakers running"),
}


@pytest.mark.parametrize(("cluster", "words"), VAIN.values(), ids=VAIN.keys())
def test_says_why_the_address_does_not_come(cluster: FakeCluster, words: str) -> None:
    """The wait is bounded and ends with a reason."""
    with pytest.raises(FloatingIpError, match=words):
        wanted(cluster).ensure()
    assert cluster.now <= 120


def test_a_thief_is_named_at_once() -> None:
    """Another service may take the address while we wait."""
    cluster = FakeCluster(HUB, seconds=1e9)
    cluster.later = lambda: cluster.held.append(OTHER)
    with pytest.raises(FloatingIpError, match="was taken by service binder/binder"):
        wanted(cluster).ensure()
    assert cluster.now < 5


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
