"""Nodes read and waited for, with an API that is a list of answers."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.nodes import (
    Node,
    NodesError,
    read_node,
    wait_for_nodes,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeError
from hand_clock import HandClock

BARE = {"metadata": {"name": "worker1"}}
ADDRESSED: dict[str, Any] = {
    "metadata": {"name": "worker1", "labels": {"a": "b"}},
    "spec": {"podCIDR": "10.244.1.0/24"},
    "status": {
        "addresses": [
            {"type": "Hostname", "address": "worker1"},
            {"type": "InternalIP", "address": "192.0.2.21"},
        ],
        "conditions": [
            {"type": "MemoryPressure", "status": "False"},
            {"type": "Ready", "status": "False", "message": "cni plugin not initialized"},
        ],
    },
}
READY = {
    **ADDRESSED,
    "status": {**ADDRESSED["status"], "conditions": [{"type": "Ready", "status": "True", "message": "fine"}]},
}


class Api(HandClock):
    """Gives one answer after the other, the last one for ever."""

    def __init__(self, *answers: object) -> None:
        super().__init__()
        self.answers = list(answers)

    def get(self, path: str, **query: str) -> Optional[dict[str, Any]]:
        assert path == "/api/v1/nodes"
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return {"items": answer}


def wait(api: Api, until: str, timeout_seconds: float = 10) -> dict[str, Node]:
    return wait_for_nodes(api, ["worker1"], until=until, timeout_seconds=timeout_seconds, clock=api)  # type: ignore[arg-type]


def test_read_node() -> None:
    """Everything the API may leave out is left out once."""
    assert read_node(BARE) == Node("worker1", "", "", False, "its kubelet has not reported yet", {})
    assert read_node(ADDRESSED) == Node(
        "worker1", "192.0.2.21", "10.244.1.0/24", False, "cni plugin not initialized", {"a": "b"}
    )
    assert read_node(READY).ready


@pytest.mark.parametrize(
    ("until", "answers", "seconds"),
    [
        ("registered", [[BARE]], 0),
        ("registered", [[], [], [BARE]], 2),
        ("addressed", [[BARE], [ADDRESSED]], 1),
        ("ready", [[BARE], [ADDRESSED], [READY]], 2),
        ("ready", [KubeError("refused"), [READY]], 1),
        ("ready", [KubeError("busy", 429), KubeError("starting", 503), [READY]], 2),
    ],
)
def test_waits_as_long_as_it_takes(until: str, answers: list[object], seconds: float) -> None:
    """No longer, and through an API that is starting."""
    api = Api(*answers)
    assert list(wait(api, until)) == ["worker1"]
    assert api.seconds == seconds


@pytest.mark.parametrize(
    ("until", "answer", "words"),
    [
        ("registered", [], "worker1 has not joined the cluster"),
        ("addressed", [BARE], "worker1 has no InternalIP"),
        ("addressed", [{**ADDRESSED, "spec": {}}], "worker1 has no podCIDR: is the pod subnet too small"),
        ("ready", [ADDRESSED], "worker1 is not Ready: cni plugin not initialized"),
    ],
)
def test_says_what_is_missing(until: str, answer: list[object], words: str) -> None:
    """After the time, not before, with the node's own reason."""
    api = Api(answer)
    with pytest.raises(NodesError, match=words):
        wait(api, until)
    assert api.seconds == 10
    with pytest.raises(NodesError, match=words):
        wait(Api(answer), until, timeout_seconds=0)


def test_refusals_are_not_waited_out() -> None:
    """A wrong account stays wrong; an API that is away for too long is reported, not waited for until the end."""
    api = Api(KubeError("403 Forbidden", 403))
    with pytest.raises(KubeError, match="403"):
        wait(api, "ready")
    assert api.seconds == 0
    api = Api(KubeError("nobody"))
    with pytest.raises(KubeError, match="nobody"):
        wait(api, "ready", timeout_seconds=300)
    assert api.seconds == 30


def test_a_result_has_no_versions() -> None:
    """They change with every heartbeat."""
    node = read_node({**READY, "metadata": {**READY["metadata"], "resourceVersion": "77"}})
    assert node.version == "77"
    assert sorted(node.as_result()) == ["address", "labels", "name", "pod_cidr", "ready", "reason", "taints"]
