# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What becomes of each kind of pod when its node is emptied, the odd ones among them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.node_pods import (
    BARE,
    BUILD,
    MOVES,
    SESSION,
    pods_of,
)
from drain_cluster import DrainCluster


@pytest.mark.parametrize(
    ("pod", "kinds"),
    [
        ({}, [MOVES]),
        ({"owner": "StatefulSet"}, [MOVES]),
        ({"owner": "Job", "restart": "Never"}, [MOVES]),
        ({"owner": "SomebodysKind"}, [MOVES]),
        ({"phase": "Pending"}, [MOVES]),
        ({"phase": "Unknown"}, [MOVES]),
        ({"owner": "", "component": "singleuser-server"}, [SESSION]),
        ({"owner": "", "component": "binderhub-build"}, [BUILD]),
        # A DaemonSet that was deleted with --cascade=orphan leaves pods that nobody starts again.
        ({"owner": ""}, [BARE]),
        ({"owner": "DaemonSet"}, []),
        ({"owner": "DaemonSet", "leaving": True}, []),
        ({"owner": "", "mirror": "x"}, []),
        ({"owner": "Node", "mirror": "x"}, []),
        ({"owner": "Job", "phase": "Succeeded"}, []),
        ({"owner": "", "phase": "Failed"}, []),
        ({"owner": "", "component": "singleuser-server", "phase": "Failed"}, []),
        ({"node": ""}, []),
        ({"node": "worker1"}, []),
    ],
)
def test_pods_are_told_apart(pod: dict[str, Any], kinds: list[str]) -> None:
    cluster = DrainCluster()
    cluster.pod("one-1", **pod)
    assert [found.kind for found in pods_of(cluster, "worker2")] == kinds


def test_who_only_refers_to_an_owner_has_no_controller() -> None:
    """Garbage collection follows any owner, and only a controller starts a pod again."""
    cluster = DrainCluster()
    cluster.pod("one-1")
    metadata = cluster.objects["/api/v1/namespaces/binder/pods/one-1"]["metadata"]
    metadata["ownerReferences"] = [{"kind": "ConfigMap"}, {"kind": "ReplicaSet", "controller": False}]
    assert [found.kind for found in pods_of(cluster, "worker2")] == [BARE]
