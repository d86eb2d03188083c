# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Releases as helm 3.22 told of them, and a cluster with the objects of their hooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._release.helm import Helm
from ansible_collections.ironbinder.platform.plugins.module_utils._release.release import Reporter
from ansible_collections.ironbinder.platform.plugins.module_utils._release.removal import plan_removal, remove
from helm_replay import Replay
from hook_cluster import PULL_SECRET, HookCluster, made_by_hook

NAMESPACE = "/api/v1/namespaces/ns"


class Clock:
    def now(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing here takes time")


def no_cluster() -> Any:
    raise AssertionError("there is nothing to ask a cluster")


def run(replay: Replay, connect: Callable[[], Any], namespace: str = "") -> tuple[bool, str]:
    helm = Helm("helm", replay, "kc", "ns")
    todo = plan_removal(helm, connect, "binder", namespace, "private")
    assert not replay.changes, "a plan changes nothing"
    if todo.changed:
        remove(helm, connect, todo, seconds=900, clock=Clock(), reporter=Reporter(Clock()))
    return todo.changed, str(todo)


def test_nothing_there() -> None:
    assert run(Replay("lifecycle"), no_cluster) == (False, "")


def test_a_release_without_hooks_needs_no_cluster() -> None:
    replay = Replay("lifecycle", at=4)
    assert run(replay, no_cluster) == (True, "release binder: revision 4, deployed\n")
    assert replay.changes == ["uninstall"]


def test_what_hooks_made_goes_too_and_helm_forgets_last() -> None:
    cluster, replay = HookCluster(**{PULL_SECRET: made_by_hook()}), Replay("hooks", at=3)
    changed, told = run(replay, lambda: cluster)
    assert changed
    assert told == "release binder: revision 3, deployed\nSecret ns/image-pull-secret\n"
    assert cluster.objects == {}
    assert replay.changes == ["uninstall", "uninstall"]
    assert "--keep-history" in next(argv for argv in replay.asked if argv[0] == "uninstall")
    assert run(Replay("hooks", at=5), lambda: cluster)[0] is False


def test_a_run_that_was_ended_on_the_way_goes_on() -> None:
    cluster, replay = HookCluster(**{PULL_SECRET: made_by_hook()}), Replay("hooks", at=4)
    changed, told = run(replay, lambda: cluster)
    assert changed and "uninstalled" in told
    assert cluster.objects == {} and replay.changes == ["uninstall"]


def test_a_release_that_helm_only_remembers_is_forgotten() -> None:
    """It has the hub's passwords."""
    replay = Replay("remembered")
    assert run(replay, no_cluster)[0] is True
    assert replay.changes == ["uninstall"]


def test_somebody_elses_object_stays() -> None:
    cluster = HookCluster(**{PULL_SECRET: {"metadata": {"name": "image-pull-secret"}}})
    changed, told = run(Replay("hooks", at=3), lambda: cluster)
    assert changed and "Secret" not in told
    assert PULL_SECRET in cluster.objects and cluster.deleted == []


LABEL = "ironbinder.platform/hub"


@pytest.mark.parametrize(
    ("metadata", "goes", "words"),
    [
        (None, False, ""),
        ({"labels": {LABEL: "private"}}, True, ""),
        ({"labels": {LABEL: "other"}}, False, "it is the hub other's"),
        ({"labels": {"a": "b"}}, False, "it has no label"),
        ({"labels": None}, False, "it has no label"),
        ({}, False, "it has no label"),
    ],
)
def test_the_namespace_goes_where_it_is_the_hubs(
    metadata: dict[str, Any] | None, goes: bool, words: str
) -> None:
    """Its name in site_hubs, which may be another than the release's."""
    cluster = HookCluster(**({} if metadata is None else {NAMESPACE: {"metadata": metadata}}))
    helm = Helm("helm", Replay("lifecycle"), "kc", "ns")
    note = plan_removal(helm, lambda: cluster, "binder", "ns", "private").note
    assert words in note and bool(note) == bool(words)
    changed, told = run(Replay("lifecycle"), lambda: cluster, "ns")
    assert (changed, told) == (goes, "Namespace ns\n" if goes else "")
    assert cluster.deleted == ([NAMESPACE] if goes else [])


def test_a_release_goes_from_a_namespace_that_stays() -> None:
    cluster, replay = HookCluster(**{NAMESPACE: {"metadata": {}}}), Replay("lifecycle", at=4)
    assert run(replay, lambda: cluster, "ns") == (True, "release binder: revision 4, deployed\n")
    assert (replay.changes, cluster.deleted) == (["uninstall"], [])
