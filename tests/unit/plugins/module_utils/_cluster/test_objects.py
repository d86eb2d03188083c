# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Objects brought into a cluster in memory, and out of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.manifest import read_objects
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.objects import (
    ObjectKeeper,
    ObjectsError,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeError
from hand_clock import HandClock
from kube_memory import MemoryApi

NAMESPACE: dict[str, Any] = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ns"}}
DEFINITION: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "pools.example.org"},
    "spec": {"group": "example.org", "names": {"kind": "Pool", "plural": "pools"}},
}
POOL: dict[str, Any] = {
    "apiVersion": "example.org/v1",
    "kind": "Pool",
    "metadata": {"name": "p", "namespace": "ns"},
    "spec": {"addresses": ["192.0.2.1"]},
}
WEBHOOK = 'Internal error occurred: failed calling webhook "pool.example.org": connection refused'


def config(**data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c", "namespace": "ns"},
        "data": data,
    }


@pytest.fixture
def api() -> MemoryApi:
    """A cluster that knows a few kinds, insists on namespaces, and serves Pools once they are defined."""
    instance = MemoryApi()
    instance.serve(
        "v1",
        ("Namespace", "namespaces", False),
        ("ConfigMap", "configmaps", True),
        ("Secret", "secrets", True),
    )
    instance.serve(
        "apiextensions.k8s.io/v1", ("CustomResourceDefinition", "customresourcedefinitions", False)
    )

    def insist(verb: str, path: str, _body: Any) -> None:
        if verb == "POST" and "/namespaces/ns/" in path and "/api/v1/namespaces/ns" not in instance.objects:
            raise KubeError(f"POST {path}: 404", 404, 'namespaces "ns" not found')

    def define(item: dict[str, Any]) -> None:
        if item["kind"] == "CustomResourceDefinition":
            item["status"] = {"conditions": [{"type": "Established", "status": "True"}]}

    instance.before, instance.defaults = insist, define
    return instance


def serves_pools(api: MemoryApi) -> None:
    api.serve("example.org/v1", ("Pool", "pools", True))


def keeper(
    *objects: dict[str, Any], check: bool = False, timeout: float = 60, clock: Any = None
) -> ObjectKeeper:
    return ObjectKeeper(
        read_objects(objects, "m"), clock=clock or HandClock(), timeout_seconds=timeout, check_mode=check
    )


def actions(one: ObjectKeeper) -> list[str]:
    return [outcome.action for outcome in one.outcomes]


def apply(api: MemoryApi, *objects: dict[str, Any], **more: Any) -> ObjectKeeper:
    one = keeper(*objects, **more)
    one.apply(api)
    return one


def test_create_change_prune_and_leave_alone(api: MemoryApi) -> None:
    """A check says what the run does and changes nothing; a second run costs a question for each object and kind."""
    api.objects["/api/v1/namespaces/ns"] = NAMESPACE
    for wanted, action in [
        (config(a="1", b="2"), "created"),
        (config(a="1", b="3"), "changed"),
        (config(a="1"), "changed"),
    ]:
        before = api.get("/api/v1/namespaces/ns/configmaps/c")
        check = apply(api, wanted, check=True)
        assert api.get("/api/v1/namespaces/ns/configmaps/c") == before
        done = apply(api, wanted)
        assert actions(check) == actions(done) == [action]
        assert check.outcomes[0].as_diff() == done.outcomes[0].as_diff()
        assert api.objects["/api/v1/namespaces/ns/configmaps/c"]["data"] == wanted["data"]
        api.asked.clear()
        again = apply(api, wanted)
        assert actions(again) == ["unchanged"]
        assert api.asked == [("GET", "/api/v1"), ("GET", "/api/v1/namespaces/ns/configmaps/c")]


def test_a_change_that_the_server_does_not_see_as_one_is_none(api: MemoryApi) -> None:
    """It writes 1000m as 1, and is asked again every time; only it can tell."""
    api.objects["/api/v1/namespaces/ns"] = NAMESPACE

    def canonical(item: dict[str, Any]) -> None:
        if (item.get("data") or {}).get("cpu") == "1000m":
            item["data"]["cpu"] = "1"

    api.defaults = canonical
    assert actions(apply(api, config(cpu="1000m"))) == ["created"]
    for check in (True, False):
        assert actions(apply(api, config(cpu="1000m"), check=check)) == ["unchanged"]


def test_an_object_made_by_something_else_is_taken_over_once(api: MemoryApi) -> None:
    api.objects["/api/v1/namespaces/ns/configmaps/c"] = {**config(a="1"), "status": {}}
    for check in (True, False):
        (outcome,) = apply(api, config(a="1"), check=check).outcomes
        assert outcome.action == "changed"
        diff = outcome.as_diff()
        assert diff["before"] == diff["after"]
        assert "remembered" in diff["after_header"]
    assert actions(apply(api, config(a="1"))) == ["unchanged"]


def test_namespaces_and_definitions_come_first_and_are_told_where_they_stand(api: MemoryApi) -> None:
    """A kind is served a moment after its definition is made."""
    clock = HandClock()
    established: list[float] = []

    def define(item: dict[str, Any]) -> None:
        if item["kind"] == "CustomResourceDefinition":
            item["status"] = {"conditions": [{"type": "Established", "status": "False"}]}

    def later(_verb: str, path: str, _body: Any) -> None:
        if clock.now() >= 2 and path.endswith("/pools.example.org"):
            api.objects[path]["status"]["conditions"][0]["status"] = "True"
            established.append(clock.now())
        if clock.now() >= 3 and "/apis/example.org/v1" not in api.kinds:
            serves_pools(api)

    api.defaults, api.before = define, later
    done = apply(api, POOL, config(a="1"), DEFINITION, NAMESPACE, clock=clock)
    assert [str(outcome.ref) for outcome in done.outcomes] == [
        "Pool ns/p",
        "ConfigMap ns/c",
        "CustomResourceDefinition pools.example.org",
        "Namespace ns",
    ]
    assert set(actions(done)) == {"created"}
    posted = [path.rpartition("/")[2] for verb, path in api.asked if verb == "POST"]
    assert posted == ["namespaces", "customresourcedefinitions", "pools", "configmaps"]
    assert established
    assert 3 <= clock.now() < 5


def test_a_definition_that_is_not_accepted_says_why(api: MemoryApi) -> None:
    def define(item: dict[str, Any]) -> None:
        conditions = [{"type": "NamesAccepted", "status": "False", "message": '"pools" is already in use'}]
        item["status"] = {"conditions": conditions}

    api.defaults = define
    with pytest.raises(
        ObjectsError, match=r'CustomResourceDefinition pools.example.org.*after 60 s: "pools" is already'
    ):
        apply(api, DEFINITION)


def test_a_check_predicts_what_cannot_be_asked(api: MemoryApi) -> None:
    """Nothing is there yet, and it says so of each object; a namespace and a definition the server does judge."""
    check = apply(api, NAMESPACE, DEFINITION, POOL, config(a="1"), check=True)
    assert actions(check) == ["created"] * 4
    assert [bool(outcome.predicted) for outcome in check.outcomes] == [False, False, True, True]
    assert "does not know the kind Pool" in check.outcomes[2].predicted
    assert check.outcomes[3].predicted == 'namespaces "ns" not found'
    assert api.objects == {}
    assert {verb for verb, _path in api.asked} <= {"GET", "POST dry"}


def test_a_check_predicts_where_a_webhook_cannot_be_asked(api: MemoryApi) -> None:
    api.objects["/api/v1/namespaces/ns"] = NAMESPACE
    serves_pools(api)
    apply(api, POOL)
    for status, message in ((500, WEBHOOK), (400, 'admission webhook "x" does not support dry run')):

        def refuse(verb: str, path: str, _body: Any, status: int = status, message: str = message) -> None:
            if verb != "GET":
                raise KubeError(f"{verb} {path}: {status} {message}", status, message)

        api.before = refuse
        wanted = {**POOL, "spec": {"addresses": ["192.0.2.9"]}}
        (outcome,) = apply(api, wanted, check=True).outcomes
        assert (outcome.action, outcome.predicted) == ("changed", message)
        assert outcome.as_diff()["after"]["spec"] == wanted["spec"]


def test_a_cluster_that_is_not_there_is_predicted(api: MemoryApi) -> None:
    one = keeper(NAMESPACE, config(a="1"), check=True)
    one.predict_all("nobody there")
    assert [(outcome.action, outcome.predicted) for outcome in one.outcomes] == [
        ("created", "nobody there")
    ] * 2
    one.predict_all("nobody there", present=False)
    assert actions(one) == ["absent", "absent"]


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (config(a="1"), r"ConfigMap ns/c: .*404.*\. Apply its namespace first"),
        (POOL, r"Pool ns/p: the cluster does not know the kind Pool of example.org/v1: correct apiVersion"),
        ({**POOL, "apiVersion": "v1"}, r"does not know the kind Pool of v1"),
    ],
)
def test_what_is_missing_is_said_at_once(api: MemoryApi, item: dict[str, Any], words: str) -> None:
    clock = HandClock()
    with pytest.raises(ObjectsError, match=words) as caught:
        apply(api, item, clock=clock)
    assert (clock.now(), caught.value.passing) == (0, False)


def fails(api: MemoryApi, clock: HandClock, until: float, *errors: tuple[int, str]) -> None:
    """Let every change fail until then, by the errors in turn."""
    previous: Callable[[str, str, Any], None] = api.before
    left = list(errors)

    def fail(verb: str, path: str, body: Any) -> None:
        previous(verb, path, body)
        if verb != "GET" and clock.now() < until:
            left.append(left.pop(0))
            raise KubeError(f"{verb} {path}: {left[-1][0]} {left[-1][1]}", left[-1][0], left[-1][1])

    api.before = fail


def test_a_webhook_that_is_not_up_yet_is_waited_for(api: MemoryApi) -> None:
    """Longer than an API that restarts would be, and not for ever."""
    api.objects["/api/v1/namespaces/ns"] = NAMESPACE
    serves_pools(api)
    clock = HandClock()
    fails(api, clock, 50, (500, WEBHOOK))
    assert actions(apply(api, POOL, clock=clock)) == ["created"]
    assert clock.now() == 50
    clock = HandClock()
    fails(api, clock, 999, (500, WEBHOOK))
    with pytest.raises(
        ObjectsError, match=r"failed calling webhook.*did not answer for 60 s: look at the pods"
    ):
        apply(api, {**POOL, "spec": {}}, clock=clock)
    assert clock.now() == 60


def test_a_webhook_that_refuses_is_believed(api: MemoryApi) -> None:
    api.objects["/api/v1/namespaces/ns"] = NAMESPACE
    clock = HandClock()
    fails(api, clock, 999, (403, 'admission webhook "x" denied the request: CIDR overlaps'))
    with pytest.raises(ObjectsError, match=r"ConfigMap ns/c: .*CIDR overlaps"):
        apply(api, config(a="1"), clock=clock)
    assert clock.now() == 0


def test_an_api_that_restarts_is_forgiven_for_a_while(api: MemoryApi) -> None:
    api.objects["/api/v1/namespaces/ns"] = NAMESPACE
    clock = HandClock()
    fails(api, clock, 20, (0, ""), (503, "starting"), (429, "busy"))
    assert actions(apply(api, config(a="1"), clock=clock)) == ["created"]
    clock = HandClock()
    fails(api, clock, 999, (0, ""))
    with pytest.raises(ObjectsError) as caught:
        apply(api, config(a="2"), clock=clock)
    assert (clock.now(), caught.value.passing) == (30, True)


def test_a_conflict_is_read_again(api: MemoryApi) -> None:
    """Somebody else makes the object between our look and our creating it."""
    api.objects["/api/v1/namespaces/ns"] = NAMESPACE

    def overtake(verb: str, _path: str, _body: Any) -> None:
        if verb == "POST":
            api.objects["/api/v1/namespaces/ns/configmaps/c"] = config(a="9", other="kept")

    api.before = overtake
    done = apply(api, config(a="1"))
    assert done.outcomes[0].changed
    assert api.objects["/api/v1/namespaces/ns/configmaps/c"]["data"] == {"a": "1", "other": "kept"}

    def conflict(verb: str, path: str, _body: Any) -> None:
        if verb == "PATCH":
            raise KubeError(f"PATCH {path}: 409", 409, "modified")

    api.before = conflict
    with pytest.raises(ObjectsError, match="Somebody else changed it at every attempt for 60 s"):
        apply(api, config(a="2"))


def test_a_change_whose_answer_was_lost_is_one(api: MemoryApi) -> None:
    """The server did it, hung up, and has nothing left to do at the second attempt."""
    api.objects["/api/v1/namespaces/ns"] = NAMESPACE
    real = api.create
    lost: list[str] = []

    def create(path: str, body: Any, **query: str) -> Any:
        answer = real(path, body, **query)
        if not lost:
            lost.append(path)
            raise KubeError("closed early")
        return answer

    api.create = create  # type: ignore[method-assign]
    assert actions(apply(api, config(a="1"))) == ["created"]
    assert lost


def test_what_cannot_be_changed_has_its_remedy_and_what_was_done_is_known(api: MemoryApi) -> None:
    apply(api, NAMESPACE, config(a="1"))

    def refuse(verb: str, path: str, _body: Any) -> None:
        if verb == "PATCH":
            raise KubeError(
                f"PATCH {path}: 422", 422, "data: Invalid value: field is immutable when `immutable` is set"
            )

    api.before = refuse
    one = keeper(NAMESPACE, config(a="2"))
    with pytest.raises(ObjectsError, match="has to be made anew: remove the object, and run this again"):
        one.apply(api)
    assert actions(one) == ["unchanged"]


def test_a_broken_list_is_named(api: MemoryApi) -> None:
    api.serve("v1", ("Service", "services", True))
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "ns"}}
    apply(api, NAMESPACE, {**service, "spec": {"ports": [{"port": 1}]}})
    with pytest.raises(ObjectsError, match=r"Service ns/s: Expected key 'port'"):
        apply(api, {**service, "spec": {"ports": [{"name": "x"}]}})


def test_absent(api: MemoryApi) -> None:
    """In the reverse order; a kind that nobody knows has no objects."""
    apply(api, NAMESPACE, config(a="1"))
    check = keeper(NAMESPACE, config(a="1"), POOL, check=True)
    check.delete(api)
    assert actions(check) == ["deleted", "deleted", "absent"]
    assert len(api.objects) == 2
    api.asked.clear()
    done = keeper(NAMESPACE, config(a="1"), POOL)
    done.delete(api, wait=True)
    assert actions(done) == ["deleted", "deleted", "absent"]
    assert [path.rpartition("/")[2] for _verb, path in api.changes()] == ["c", "ns"]
    assert done.outcomes[0].as_diff()["after"] == {}
    again = keeper(NAMESPACE, config(a="1"), POOL)
    again.delete(api, wait=True)
    assert actions(again) == ["absent"] * 3


def test_what_does_not_go_says_why(api: MemoryApi) -> None:
    apply(api, NAMESPACE)
    api.objects["/api/v1/namespaces/ns"]["status"] = {
        "conditions": [{"status": "True", "message": "1 pod left"}]
    }
    api.delete = lambda path, **query: None  # type: ignore[method-assign]
    with pytest.raises(ObjectsError, match=r"Namespace ns: .*still being deleted after 60 s: 1 pod left"):
        keeper(NAMESPACE).delete(api, wait=True)


def test_results_have_no_objects(api: MemoryApi) -> None:
    """They may be secrets."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": "ns"},
        "data": {"a": "b25l"},
    }
    (outcome,) = apply(api, NAMESPACE, secret).outcomes[1:]
    assert outcome.as_result() == {
        "kind": "Secret",
        "namespace": "ns",
        "name": "s",
        "action": "created",
        "predicted": "",
    }
    assert "b25l" not in str(outcome.as_diff())
