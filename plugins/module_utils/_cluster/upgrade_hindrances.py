# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What keeps an upgrade, or the next turn of one, from beginning on a cluster as it is now. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.cluster_dns import (
    DEPLOYMENT,
    NAMESPACE,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.drain_plan import (
    NeverEmpty,
    plan_drain,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.upgrade_facts import TURN
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.upgrade_model import Plan
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeApi

__all__ = ["Unavailable", "has_turn", "hindered", "never_empty", "unavailable"]


@dataclass(frozen=True)
class Unavailable:
    """A deployment of which fewer pods are available than it wants."""

    namespace: str
    name: str
    there: int
    wanted: int

    def __str__(self) -> str:
        """Say which, and its numbers."""
        return f"{self.there} of {self.wanted} pods of {self.name} in {self.namespace} are available"


def unavailable(api: KubeApi, namespaces: Sequence[str]) -> list[Unavailable]:
    """Return the deployments that are not wholly available: the next node must not take their last pod. Raises KubeError.

    The cluster's DNS counts in any case, and nothing else of its namespace unless that is named: admins have programs of their
    own there, and one of them may be down for good.

    Args:
        api: the cluster.
        namespaces: whose deployments count.
    """
    found = []
    for item in (api.get("/apis/apps/v1/deployments") or {}).get("items") or []:
        name, namespace = item["metadata"]["name"], str(item["metadata"].get("namespace"))
        wanted = (item.get("spec") or {}).get("replicas", 1)
        there = (item.get("status") or {}).get("availableReplicas") or 0
        counts = namespace in namespaces or (namespace, name) == (NAMESPACE, DEPLOYMENT)
        if counts and there < wanted:
            found.append(Unavailable(namespace, name, there, wanted))
    return found


def has_turn(api: KubeApi) -> bool:
    """Whether some node has its turn, so that its cordon may be what keeps a pod from running. Raises KubeError."""
    nodes = (api.get("/api/v1/nodes") or {}).get("items") or []
    return any(TURN in (item["metadata"].get("annotations") or {}) for item in nodes)


def never_empty(api: KubeApi, name: str, *, end_sessions: bool) -> str:
    """Say why a node can never be emptied, "" where it can. Raises KubeError.

    Args:
        api: the cluster.
        name: the node.
        end_sessions: whether what people do there is ended in the end.
    """
    try:
        plan_drain(api, name, end_sessions=end_sessions)
    except NeverEmpty as error:
        return error.why
    return ""


def hindered(api: KubeApi, plan: Plan, namespaces: Sequence[str], *, end_sessions: bool) -> Plan:
    """Return the plan, or why it must not begin now: a turn would find it, with the control plane upgraded already.

    Args:
        api: the cluster.
        plan: what is to be done.
        namespaces: whose deployments have to be available.
        end_sessions: whether what people do on a node is ended in the end.

    Raises:
        KubeError: the API does not answer, or refuses.
    """
    problems: list[str] = []
    if plan.steps and not has_turn(api):
        problems += [
            f"{one}, and no turn begins before all are: look at `kubectl -n {one.namespace} get pods`. One that is not "
            f"wanted is given up by `kubectl -n {one.namespace} scale deployment {one.name} --replicas=0`"
            for one in unavailable(api, namespaces)
        ]
    emptied = [name for step in plan.steps if step.kind == "node" for name in step.drain]
    problems += filter(None, (never_empty(api, name, end_sessions=end_sessions) for name in emptied))
    return Plan(tuple(problems), (), ()) if problems else plan
