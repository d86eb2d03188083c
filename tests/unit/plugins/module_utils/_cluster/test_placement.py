# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Which nodes would take a pod."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.placement import would_take
from recorded_cluster import recorded

NODE = {"metadata": {"name": "n1", "labels": {"zone": "a", "size": "4"}}, "spec": {}}


def affinity(*expressions: dict[str, Any], fields: Any = ()) -> dict[str, Any]:
    term = {"matchExpressions": list(expressions), "matchFields": list(fields)}
    required = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "none", "operator": "Exists"}]}, term]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}}


def says(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": operator, "values": list(values)}


@pytest.mark.parametrize(
    ("spec", "taken"),
    [
        ({}, True),
        ({"nodeSelector": {"zone": "a"}}, True),
        ({"nodeSelector": {"zone": "b"}}, False),
        (affinity(says("zone", "In", "a", "b")), True),
        (affinity(says("zone", "In", "b")), False),
        (affinity(says("zone", "NotIn", "b")), True),
        (affinity(says("zone", "NotIn", "a")), False),
        (affinity(says("zone", "Exists"), says("rack", "DoesNotExist")), True),
        (affinity(says("rack", "Exists")), False),
        (affinity(says("size", "Gt", "3")), True),
        (affinity(says("size", "Lt", "3")), False),
        (affinity(says("zone", "Gt", "3")), False),
        (affinity(fields=[says("metadata.name", "In", "n1")]), True),
        (affinity(fields=[says("metadata.name", "In", "n2")]), False),
        (affinity(), False),
    ],
)
def test_labels(spec: dict[str, Any], taken: bool) -> None:
    assert would_take(NODE, {"metadata": {}, "spec": spec}) is taken


@pytest.mark.parametrize(
    ("taint", "toleration", "taken"),
    [
        ({"key": "k", "value": "v", "effect": "NoSchedule"}, None, False),
        ({"key": "k", "value": "v", "effect": "NoExecute"}, None, False),
        ({"key": "k", "effect": "PreferNoSchedule"}, None, True),
        ({"key": "k", "value": "v", "effect": "NoSchedule"}, {"key": "k", "operator": "Exists"}, True),
        ({"key": "k", "value": "v", "effect": "NoSchedule"}, {"key": "k", "value": "v"}, True),
        ({"key": "k", "value": "v", "effect": "NoSchedule"}, {"key": "k", "value": "w"}, False),
        ({"key": "k", "effect": "NoSchedule"}, {"key": "k", "effect": "NoSchedule"}, True),
        ({"key": "k", "effect": "NoSchedule"}, {"key": "k", "effect": "NoExecute"}, False),
        ({"key": "k", "effect": "NoSchedule"}, {"operator": "Exists"}, True),
        ({"key": "k", "effect": "NoSchedule"}, {"key": "other", "operator": "Exists"}, False),
    ],
)
def test_taints(taint: dict[str, str], toleration: dict[str, str] | None, taken: bool) -> None:
    node = {**NODE, "spec": {"taints": [taint]}}
    assert (
        would_take(node, {"metadata": {}, "spec": {"tolerations": [toleration] if toleration else []}})
        is taken
    )


def test_a_cordoned_node_takes_nothing() -> None:
    assert not would_take({**NODE, "spec": {"unschedulable": True}}, {"metadata": {}, "spec": {}})


def test_the_recorded_cluster() -> None:
    """Where its pods are, they could be; and a hub has no other place than the head."""
    api = recorded()
    names = ("head1", "worker1", "worker2")
    for name in names:
        assert all(
            would_take(api.node(name), pod)
            for pod in api.pods(name)
            if pod["metadata"]["name"] != f"etcd-{name}" and "kube-" not in pod["metadata"]["name"]
        )
    [hub] = [pod for pod in api.pods("head1") if pod["metadata"]["name"].startswith("hub-")]
    assert [name for name in names if would_take(api.node(name), hub)] == ["head1"]
