# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What emptying a node means, and why it could never end well. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.node_pods import (
    BARE,
    MOVES,
    Pod,
    bound_here,
    budgets,
    pods_of,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeApi

__all__ = ["DrainError", "DrainPlan", "NeverEmpty", "bound_to", "machine_id", "plan_drain"]

_HOSTNAME = "kubernetes.io/hostname"


class DrainError(Exception):
    """Why a node is not empty, or may not go. Its text names pods, people and budgets, and what to do next."""


class NeverEmpty(DrainError):
    """It can never end well. `why` names each reason, without the word that nothing was changed, for whoever has changed more."""

    def __init__(self, why: str) -> None:
        super().__init__(f"{why}. Nothing was changed.")
        self.why = why


@dataclass(frozen=True)
class DrainPlan:
    """What emptying a node means now: pods that move, and pods that nobody starts again. `found`: the API has the node.

    `bound` are claims whose data are on this node alone: a pod that wants one waits until the node takes pods again.
    `machine_id` is that of the machine which is this node, empty where its kubelet never reported one.
    """

    node: str
    found: bool
    cordoned: bool
    moves: Sequence[Pod] = ()
    people: Sequence[Pod] = ()
    machine_id: str = ""
    bound: Sequence[str] = ()


def machine_id(node: dict[str, Any]) -> str:
    """Read from a node object which machine it is: the machine-id that its kubelet reported, or ""."""
    info = (node.get("status") or {}).get("nodeInfo") or {}
    return str(info.get("machineID") or "")


def plan_drain(api: KubeApi, node: str, *, end_sessions: bool = False, for_good: bool = False) -> DrainPlan:
    """Look at what emptying a node means; changes nothing.

    Args:
        api: the cluster.
        node: the node.
        end_sessions: whether what people do may be ended.
        for_good: whether the node will not come back, so that what only it has is lost.

    Raises:
        NeverEmpty: it can never end well; each reason is named.
        KubeError: the API does not answer, or refuses.
    """
    found = api.get(f"/api/v1/nodes/{node}")
    if found is None:
        return DrainPlan(node, found=False, cordoned=False)
    pods = pods_of(api, node)
    plan = DrainPlan(
        node,
        found=True,
        cordoned=bool((found.get("spec") or {}).get("unschedulable")),
        moves=[pod for pod in pods if pod.kind == MOVES],
        people=[pod for pod in pods if pod.kind != MOVES],
        machine_id=machine_id(found),
        bound=bound_to(api, found),
    )
    reasons = [*_blocked_for_ever(api, plan, end_sessions), *(_lost(plan.bound) if for_good else [])]
    if reasons:
        raise NeverEmpty(f"{node} can never be emptied: {'; '.join(reasons)}")
    return plan


def _blocked_for_ever(api: KubeApi, plan: DrainPlan, end_sessions: bool) -> list[str]:
    concerned = [*plan.moves, *(plan.people if end_sessions else ())]
    known = budgets(api, {pod.namespace for pod in concerned})
    reasons = []
    for pod in concerned:
        # The API asks no budget then: https://github.com/kubernetes/kubernetes/blob/master/pkg/registry/core/pod/storage/eviction.go
        if pod.leaving or pod.pending:
            continue
        mine = [budget for budget in known if budget.covers(pod)]
        if len(mine) > 1:
            names = " and ".join(f"{budget.namespace}/{budget.name}" for budget in mine)
            reasons.append(f"{pod} has two PodDisruptionBudgets, {names}, and is evicted by none: delete one")
        elif mine and mine[0].never and pod.ready:
            reasons.append(
                f"{pod} is kept by {mine[0]}, so it never lets one go: give it one replica more, or "
                f"`kubectl -n {mine[0].namespace} delete pdb {mine[0].name}`"
            )
    if not end_sessions:
        reasons += [
            f"{pod} was started by no controller, never ends, and nobody would start it again: delete it, or end it with "
            "the rest by end_sessions=true"
            for pod in plan.people
            if pod.kind == BARE and pod.endless and not pod.leaving
        ]
    return reasons


def bound_to(api: KubeApi, node: dict[str, Any]) -> list[str]:
    """Return the claims whose data are on this node object's machine alone. Raises KubeError."""
    labels = node["metadata"].get("labels") or {}
    return bound_here(api, labels.get(_HOSTNAME, node["metadata"]["name"]))


def _lost(claims: Sequence[str]) -> list[str]:
    if not claims:
        return []
    return [
        f"data of {', '.join(claims)} are on this node alone and would be lost: copy them, and delete "
        f"{'that claim and its volume' if len(claims) == 1 else 'these claims and their volumes'}"
    ]
