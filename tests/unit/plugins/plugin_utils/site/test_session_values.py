# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a session is, and where it and the hub's own pods run, in the chart's words."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.chart_values import (
    Settings,
    hub_values,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.hubs import resolve_hubs
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.session_values import SessionSettings


def config(own: dict[str, Any] | None = None, **settings: Any) -> dict[str, Any]:
    hub = resolve_hubs({"binder": {"values": own or {}}}, "http://proxy.example.org", "192.0.2.10")["binder"]
    everything = Settings(registry_host="r.example.org", registry_prefix="b/x-", **settings)
    return hub_values(hub, everything, "a" * 64, "b" * 64)["config"]


def at(mapping: Any, path: str) -> Any:
    for key in path.split("."):
        mapping = mapping[key]
    return mapping


USER = "jupyterhub.singleuser"
SPAWNER = "jupyterhub.hub.config.KubeSpawner"
PODS = ("jupyterhub.hub", "jupyterhub.proxy.chp", "jupyterhub.scheduling.userScheduler")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"{USER}.allowPrivilegeEscalation", False),
        (f"{USER}.serviceAccountName", None),
        (f"{USER}.extraPodConfig.automountServiceAccountToken", False),
        (f"{USER}.extraPodConfig.enableServiceLinks", False),
        (f"{USER}.extraPodConfig.priorityClassName", "ironbinder-session"),
        (f"{USER}.memory", {"guarantee": "256M", "limit": "2G"}),
        (f"{USER}.cloudMetadata.blockWithIptables", False),
        (f"{SPAWNER}.pod_security_context.runAsNonRoot", True),
        (f"{SPAWNER}.pod_security_context.seccompProfile", {"type": "RuntimeDefault"}),
        (f"{SPAWNER}.container_security_context.capabilities", {"drop": ["ALL"]}),
    ],
)
def test_a_session_is_fenced(path: str, expected: Any) -> None:
    assert at(config(), path) == expected


def test_a_session_has_the_bounds_that_it_was_given() -> None:
    told = config(
        session_memory_guarantee="1G",
        session_memory_limit="3G",
        session_cpu_guarantee=0.5,
        session_cpu_limit=2.0,
        session_ephemeral_storage_guarantee="1Gi",
        session_ephemeral_storage_limit="6Gi",
        session_max_age_seconds=7200,
    )
    assert at(told, f"{USER}.memory") == {"guarantee": "1G", "limit": "3G"}
    assert at(told, f"{USER}.cpu") == {"guarantee": 0.5, "limit": 2.0}
    assert at(told, f"{USER}.extraResource") == {
        "guarantees": {"ephemeral-storage": "1Gi"},
        "limits": {"ephemeral-storage": "6Gi"},
    }
    assert at(told, "jupyterhub.cull.maxAge") == 7200


@pytest.mark.parametrize("affinity", ["prefer", "require"])
def test_pods_follow_the_purpose_of_nodes(affinity: str) -> None:
    told = config(node_purpose_affinity=affinity)
    for pods in ("corePods", "userPods"):
        assert at(told, f"jupyterhub.scheduling.{pods}.nodeAffinity.matchNodePurpose") == affinity
    # BinderHub's own pod knows no purpose; and the head, where the core is, has the taint of control planes.
    core = at(told, "jupyterhub.scheduling.corePods.tolerations")
    tolerated = {entry["key"] for entry in core}
    assert tolerated >= {"hub.jupyter.org/dedicated", "hub.jupyter.org_dedicated"}
    required = affinity == "require"
    assert ("node-role.kubernetes.io/control-plane" in tolerated) is required
    assert told.get("nodeSelector") == ({"hub.jupyter.org/node-purpose": "core"} if required else None)
    leaves = [entry for entry in core if "tolerationSeconds" in entry]
    assert told["tolerations"] == (core if required else leaves)
    assert "tolerations" not in at(told, "jupyterhub.scheduling.userPods"), "sessions keep the chart's"


@pytest.mark.parametrize("affinity", ["prefer", "require"])
def test_pods_of_the_core_leave_a_lost_node_in_time_and_sessions_stay(affinity: str) -> None:
    told = config(node_purpose_affinity=affinity, core_pods_wait_seconds=7)
    for tolerations in (told["tolerations"], at(told, "jupyterhub.scheduling.corePods.tolerations")):
        leaves = {entry["key"]: entry for entry in tolerations if entry["effect"] == "NoExecute"}
        assert sorted(leaves) == ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]
        assert {entry["tolerationSeconds"] for entry in leaves.values()} == {7}
    assert "tolerations" not in at(told, "jupyterhub.scheduling").get("userPods", {})
    assert "tolerations" not in told["jupyterhub"]["singleuser"].get("extraPodConfig", {})


def test_every_pod_of_the_core_wins_over_sessions() -> None:
    told = config()
    assert told["extraPodSpec"] == {"priorityClassName": "ironbinder-core"}
    for pod in PODS:
        assert at(told, f"{pod}.extraPodSpec") == {"priorityClassName": "ironbinder-core"}


def test_a_hubs_own_values_win_and_keep_the_rest() -> None:
    own = {
        "jupyterhub": {
            "singleuser": {"extraPodConfig": {"enableServiceLinks": True, "hostname": "x"}},
            "hub": {"config": {"KubeSpawner": {"working_dir": "/srv"}}},
        }
    }
    told = config(own)
    assert at(told, f"{USER}.extraPodConfig.enableServiceLinks") is True
    assert at(told, f"{USER}.extraPodConfig.automountServiceAccountToken") is False
    assert at(told, f"{SPAWNER}.working_dir") == "/srv"
    assert at(told, f"{SPAWNER}.pod_security_context.runAsNonRoot") is True


def test_settings_need_no_session() -> None:
    assert Settings(registry_host="r", registry_prefix="b/x-").session_memory_limit == "2G"
    assert SessionSettings().node_purpose_affinity == "prefer"
