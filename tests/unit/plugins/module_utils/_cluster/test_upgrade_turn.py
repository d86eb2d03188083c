# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A node's turn: what is cordoned and marked, what health is, and what an admin's cordon becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.upgrade_facts import TURN
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.upgrade_turn import (
    Healthy,
    TurnError,
    begin,
    end,
    look_first,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import GRACE_SECONDS, KubeError
from hand_clock import HandClock
from recorded_cluster import RecordedApi, recorded

WANTED = Healthy("1.36.3", "2.4.2", ("binder",))
DEPLOYMENT = "/apis/apps/v1/deployments/hub"


@pytest.fixture
def api() -> RecordedApi:
    memory = recorded()
    memory.objects[DEPLOYMENT] = {
        "metadata": {"name": "hub", "namespace": "binder"},
        "spec": {"replicas": 1},
        "status": {"availableReplicas": 1},
    }
    return memory


def state(api: RecordedApi) -> tuple[bool, str | None]:
    node = api.node("worker1")
    return bool(node["spec"].get("unschedulable")), (node["metadata"].get("annotations") or {}).get(TURN)


def ended(api: RecordedApi, seconds: float = 60, **more: Any) -> bool:
    return end(api, "worker1", WANTED, clock=HandClock(), timeout_seconds=seconds, **more)


def test_a_turn_begins_once_and_ends_once(api: RecordedApi) -> None:
    assert begin(api, "worker1", check_mode=True) and state(api) == (False, None)
    assert begin(api, "worker1") and state(api) == (True, "schedulable")
    assert not begin(api, "worker1")
    assert ended(api, check_mode=True) and state(api) == (True, "schedulable")
    assert ended(api) and state(api) == (False, None)
    assert not ended(api)


class Contested(RecordedApi):
    """A node that others change, too: each of the first `times` patches meets a node that is no longer the one that was read."""

    def __init__(
        self, api: RecordedApi, times: int, meanwhile: Callable[[Mapping[str, Any]], object]
    ) -> None:
        self.__dict__.update(vars(api))
        self.times, self.meanwhile = times, meanwhile

    def patch(self, path: str, body: Mapping[str, Any], **query: str) -> dict[str, Any]:
        if self.times:
            self.times -= 1
            self.meanwhile(body)
            raise KubeError("the object has been modified", 409)
        return super().patch(path, body, **query)


def test_a_node_that_changes_meanwhile_is_looked_at_again(api: RecordedApi) -> None:
    assert begin(Contested(api, 1, lambda _body: None), "worker1") and state(api) == (True, "schedulable")


def test_an_admin_who_cordons_meanwhile_is_no_less_right(api: RecordedApi) -> None:
    def cordon(_body: Any) -> None:
        api.node("worker1")["spec"]["unschedulable"] = True

    assert begin(Contested(api, 1, cordon), "worker1") and state(api) == (True, "cordoned")


def test_a_turn_whose_answer_was_lost_has_begun(api: RecordedApi) -> None:
    lost = Contested(api, 1, lambda body: api.patch("/api/v1/nodes/worker1", body))
    assert begin(lost, "worker1") and state(api) == (True, "schedulable")


def test_a_node_that_never_rests_is_told(api: RecordedApi) -> None:
    with pytest.raises(KubeError, match="has been modified"):
        begin(Contested(api, 100, lambda _body: None), "worker1")


def test_an_admins_cordon_stays(api: RecordedApi) -> None:
    api.node("worker1")["spec"]["unschedulable"] = True
    assert begin(api, "worker1") and state(api) == (True, "cordoned")
    assert ended(api) and state(api) == (True, None)


def test_a_turn_that_somebody_uncordoned_is_begun_again(api: RecordedApi) -> None:
    begin(api, "worker1")
    api.node("worker1")["spec"]["unschedulable"] = False
    assert begin(api, "worker1") and state(api) == (True, "schedulable")


def not_ready(api: RecordedApi) -> None:
    api.node("worker1")["status"]["conditions"][0] |= {"status": "False", "message": "runtime is down"}


def old_kubelet(api: RecordedApi) -> None:
    api.node("worker1")["status"]["nodeInfo"]["kubeletVersion"] = "v1.35.4"


def old_containerd(api: RecordedApi) -> None:
    api.node("worker1")["status"]["nodeInfo"]["containerRuntimeVersion"] = "containerd://1.7.2"


def own_pod(api: RecordedApi) -> None:
    [pod] = [pod for pod in api.pods("worker1") if pod["metadata"]["name"].startswith("speaker")]
    pod["status"]["conditions"][0]["status"] = "False"


def own_pod_going(api: RecordedApi) -> None:
    [pod] = [pod for pod in api.pods("worker1") if pod["metadata"]["name"].startswith("kube-proxy")]
    pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (not_ready, "it is not Ready: runtime is down"),
        (old_kubelet, "its kubelet is v1.35.4, not 1.36.3"),
        (old_containerd, "its containerd is 1.7.2, not 2.4.2"),
        (own_pod, "pod speaker-49pgj in metallb-system is not ready"),
        (own_pod_going, "pod kube-proxy-2bvvq in kube-system is not ready"),
    ],
)
def test_an_unhealthy_node_stays_cordoned(api: RecordedApi, break_it: Any, words: str) -> None:
    begin(api, "worker1")
    break_it(api)
    with pytest.raises(TurnError, match="is left cordoned, but after 60 s") as error:
        ended(api)
    assert words in str(error.value)
    assert state(api) == (True, "schedulable")


def test_pods_of_others_do_not_count(api: RecordedApi) -> None:
    """Neither those of other nodes, nor those that only happen to be here."""
    begin(api, "worker1")
    for pod in [*api.pods("worker2"), *api.pods("head1")]:
        pod["status"]["conditions"][0]["status"] = "False"
    [dns] = [pod for pod in api.pods("worker1") if pod["metadata"]["name"].startswith("coredns")]
    dns["status"]["conditions"][0]["status"] = "False"
    assert ended(api)


def test_a_node_that_takes_its_time_is_waited_for(api: RecordedApi) -> None:
    begin(api, "worker1")
    not_ready(api)
    looks = []

    def recover(verb: str, path: str, body: Any) -> None:
        if path == "/api/v1/nodes/worker1" and verb == "GET":
            looks.append(path)
            if len(looks) == 3:
                api.node("worker1")["status"]["conditions"][0]["status"] = "True"

    api.before = recover
    assert ended(api) and state(api) == (False, None)


def test_a_heads_api_comes_back_with_its_kubelet_or_the_error_is_its_own(api: RecordedApi) -> None:
    """It may be away for longer than in any other wait, and not for longer than the turn may take."""
    begin(api, "worker1")
    clock, refused = HandClock(), KubeError("refused", 0)

    def away(verb: str, path: str, body: Any) -> None:
        if clock.now() < 2 * GRACE_SECONDS:
            raise refused

    api.before = away
    with pytest.raises(KubeError, match="refused"):
        end(api, "worker1", WANTED, clock=HandClock(), timeout_seconds=0)
    assert end(api, "worker1", WANTED, clock=clock, timeout_seconds=4 * GRACE_SECONDS)
    assert state(api) == (False, None)


def test_the_next_turn_waits_for_what_this_one_moved(api: RecordedApi) -> None:
    """Else it would take the last pod of a hub. The node itself is well, and takes pods."""
    begin(api, "worker1")
    api.objects[DEPLOYMENT]["status"] = {}
    with pytest.raises(
        TurnError, match=r"takes pods again, but .* 0 of 1 pods of hub in binder are available"
    ):
        ended(api)
    assert state(api) == (False, None)
    api.objects[DEPLOYMENT]["metadata"]["namespace"] = "somebody"
    assert not ended(api)


def hub_down(api: RecordedApi) -> None:
    api.objects[DEPLOYMENT]["status"] = {}


def test_no_turn_begins_while_the_one_before_has_left_a_hub_down(api: RecordedApi) -> None:
    """Its own has ended with the error above, and its mark is gone; so whoever starts again has to wait here."""
    begin(api, "worker1")
    hub_down(api)
    with pytest.raises(TurnError):
        ended(api)
    before = list(api.changes())
    with pytest.raises(
        TurnError, match=r"worker2 is left as it was: after 60 s: 0 of 1 pods of hub in binder"
    ):
        look_first(api, "worker2", WANTED.namespaces, clock=HandClock(), timeout_seconds=60)
    assert api.changes() == before
    api.objects[DEPLOYMENT]["status"] = {"availableReplicas": 1}
    look_first(api, "worker2", WANTED.namespaces, clock=HandClock(), timeout_seconds=0)


@pytest.mark.parametrize("marked", ["worker1", "worker2"])
def test_a_hub_that_waits_for_a_turn_to_end_keeps_none_from_going_on(api: RecordedApi, marked: str) -> None:
    """A cordon may be what keeps it down: that of this node, or of one of the same batch."""
    begin(api, marked)
    hub_down(api)
    look_first(api, "worker1", WANTED.namespaces, clock=HandClock(), timeout_seconds=0)


def test_what_has_just_become_schedulable_has_its_own_time(api: RecordedApi) -> None:
    """However long the node itself took."""
    begin(api, "worker1")
    not_ready(api)
    hub_down(api)
    clock = HandClock()

    def recover(verb: str, path: str, body: Any) -> None:
        if clock.now() >= 58:
            api.node("worker1")["status"]["conditions"][0]["status"] = "True"
        if clock.now() >= 100:
            api.objects[DEPLOYMENT]["status"] = {"availableReplicas": 1}

    api.before = recover
    assert end(api, "worker1", WANTED, clock=clock, timeout_seconds=60)


@pytest.mark.parametrize(("name", "counts"), [("coredns", True), ("somebodys-own", False)])
def test_of_kube_system_only_its_dns_counts(api: RecordedApi, name: str, counts: bool) -> None:
    """What an admin has put there, and is down for good, would stop every turn."""
    begin(api, "worker1")
    api.objects["/apis/apps/v1/deployments/x"] = {"metadata": {"name": name, "namespace": "kube-system"}}
    if counts:
        with pytest.raises(TurnError, match="0 of 1 pods of coredns in kube-system"):
            ended(api)
    else:
        assert ended(api)


@pytest.mark.parametrize(("empties", "end_sessions"), [(True, False), (True, True), (False, False)])
def test_what_can_never_be_emptied_is_refused_before_its_turn(
    api: RecordedApi, empties: bool, end_sessions: bool
) -> None:
    """Else it would be cordoned and marked for nothing. A node that is not emptied keeps what it has."""
    api.add_pod("lone", "worker1", "somebodys")
    how: dict[str, Any] = {
        "empties": empties,
        "end_sessions": end_sessions,
        "clock": HandClock(),
        "timeout_seconds": 0,
    }
    if empties and not end_sessions:
        with pytest.raises(TurnError, match=r"binder/lone .* It is left as it was") as error:
            look_first(api, "worker1", (), **how)
        assert "Nothing was changed" not in str(error.value)
    else:
        look_first(api, "worker1", (), **how)
    assert api.changes() == []


def test_no_such_node(api: RecordedApi) -> None:
    with pytest.raises(TurnError, match="the cluster has no node worker9"):
        begin(api, "worker9")
