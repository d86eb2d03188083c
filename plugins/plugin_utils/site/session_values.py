# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a session is, and where it and the hub's own pods run, as values of the official JupyterHub chart.

Together they make a session's pod one that Kubernetes' level `restricted` lets in:
https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.lost_nodes import staying
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.nodes import (
    CONTROL_PLANE,
    DEDICATED,
    PURPOSE_LABEL,
    REQUIRE,
)

__all__ = ["CORE_PRIORITY", "SESSION_PRIORITY", "SessionSettings", "core_values", "session_values"]

# Classes of the cluster, which role binderhub makes before it releases a hub.
CORE_PRIORITY = "ironbinder-core"
SESSION_PRIORITY = "ironbinder-session"


@dataclass(frozen=True, kw_only=True)
class SessionSettings:
    """Bounds of a session. Memory is written as JupyterHub does (512M, 2G), disk as Kubernetes does (512Mi, 4Gi).

    `session_max_age_seconds` 0 is no bound. `node_purpose_affinity` is `prefer` or `require`. The hub's own pods stay with a lost
    node for `core_pods_wait_seconds`, sessions for the 300 seconds that Kubernetes gives them.
    """

    session_memory_guarantee: str = "256M"
    session_memory_limit: str = "2G"
    session_cpu_guarantee: float = 0.05
    session_cpu_limit: float = 1.0
    session_ephemeral_storage_guarantee: str = "256Mi"
    session_ephemeral_storage_limit: str = "4Gi"
    session_max_age_seconds: int = 43200
    node_purpose_affinity: str = "prefer"
    core_pods_wait_seconds: int = 10


def _tolerations(settings: SessionSettings) -> list[dict[str, Any]]:
    """Let core pods onto core nodes, and off a lost one.

    The chart's own list, which a list of ours replaces, and the control plane.
    A node that is only for the core is often the head, which has the taint of control planes.
    """
    leaves = staying(settings.core_pods_wait_seconds)
    dedicated: list[dict[str, Any]] = [
        {"key": key, "operator": "Equal", "value": "core", "effect": "NoSchedule"} for key in DEDICATED
    ]
    if settings.node_purpose_affinity != REQUIRE:
        return [*dedicated, *leaves]
    return [*dedicated, {"key": CONTROL_PLANE, "operator": "Exists", "effect": "NoSchedule"}, *leaves]


def core_values(settings: SessionSettings, user_scheduler_replicas: int) -> dict[str, Any]:
    """Say where the hub's own pods run, and that they win over sessions, as values of the BinderHub chart."""
    purpose = {"nodeAffinity": {"matchNodePurpose": settings.node_purpose_affinity}}
    first = {"extraPodSpec": {"priorityClassName": CORE_PRIORITY}}
    # BinderHub's own pod follows neither the purpose nor the tolerations of JupyterHub's.
    binder: dict[str, Any] = (
        {"nodeSelector": {PURPOSE_LABEL: "core"}, "tolerations": _tolerations(settings)}
        if settings.node_purpose_affinity == REQUIRE
        else {"tolerations": staying(settings.core_pods_wait_seconds)}
    )
    return {
        **binder,
        **first,
        "jupyterhub": {
            "hub": first,
            "proxy": {"chp": first},
            "scheduling": {
                "corePods": {**purpose, "tolerations": _tolerations(settings)},
                "userPods": purpose,
                "userScheduler": {
                    "enabled": user_scheduler_replicas > 0,
                    "replicas": user_scheduler_replicas,
                    **first,
                },
            },
        },
    }


def session_values(settings: SessionSettings) -> dict[str, Any]:
    """Bound and fence a session, as values of the JupyterHub chart.

    The user's number, 1000, and that of the group are the chart's own, and those of every image that repo2docker makes.
    """
    return {
        "cull": {
            "enabled": True,
            "users": True,
            "every": 600,
            "timeout": 3600,
            "maxAge": settings.session_max_age_seconds,
        },
        # What the chart has no key for are traits of the spawner, which keeps what the chart's own keys say beside them.
        "hub": {
            "config": {
                "KubeSpawner": {
                    "pod_security_context": {
                        "runAsNonRoot": True,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "container_security_context": {"capabilities": {"drop": ["ALL"]}},
                }
            }
        },
        "singleuser": {
            # The chart's defaults are no limit at all, for people nobody knows.
            "memory": {
                "guarantee": settings.session_memory_guarantee,
                "limit": settings.session_memory_limit,
            },
            "cpu": {"guarantee": settings.session_cpu_guarantee, "limit": settings.session_cpu_limit},
            # Without a guarantee of its own a session would reserve all that it may use.
            "extraResource": {
                "guarantees": {"ephemeral-storage": settings.session_ephemeral_storage_guarantee},
                "limits": {"ephemeral-storage": settings.session_ephemeral_storage_limit},
            },
            "allowPrivilegeEscalation": False,
            # Neither an account at the API, nor the addresses of all services in the environment.
            "serviceAccountName": None,
            "extraPodConfig": {
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "priorityClassName": SESSION_PRIORITY,
            },
            # The chart would give every session a privileged init container, whose image each node needs, to keep
            # it from the metadata server of a cloud. No pod with one is `restricted`.
            "cloudMetadata": {"blockWithIptables": False},
        },
    }
