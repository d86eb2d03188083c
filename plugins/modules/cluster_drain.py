#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Close, empty, open and remove a node of a cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_drain
short_description: Close, empty, open again or remove a node of a cluster
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Evicts what a controller starts again elsewhere at once, and waits for people's sessions, for builds, and for pods that no
    controller started.
  - Refuses before anything is changed what can never end well. A PodDisruptionBudget that lets no pod go is named, and so are
    two of them for one pod, a pod that never ends, and with O(for_good) data that are on this node alone.
  - Pods of DaemonSets and of the kubelet itself, and pods that have ended, are left to the node.
  - Warns of claims whose data are on this node alone, as pods that use them wait for as long as the node is closed.
extends_documentation_fragment:
  - ironbinder.platform.kubernetes
  - ironbinder.platform.kubernetes.wait
options:
  node:
    description: Name of the node object.
    type: str
    required: true
  state:
    description:
      - V(cordoned) takes no new pods, V(uncordoned) takes them again, V(drained) is V(cordoned) and empty.
      - V(uncordoned) also ends the node's turn in an upgrade that was stopped; the next one plans anew what the node is to have.
      - V(absent) deletes the node object, whatever runs there, and never that of the last head.
    type: str
    choices: [cordoned, uncordoned, drained, absent]
    required: true
  timeout_seconds:
    description: How long people's work, and budgets that let nothing go at the moment, are waited for.
    default: 900
  end_sessions:
    description: Whether sessions, builds and pods that no controller started are ended after O(timeout_seconds).
    type: bool
    default: false
  for_good:
    description: Whether the node will not come back, so that a volume that only it has is a reason to refuse.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Looks, refuses what a run would refuse, and says what would move and what people do there. Waits for nothing.
  diff_mode:
    support: full
    description: Whether the node takes pods, and the pods that are to go.
  idempotent:
    support: full
    description: A node that is as it should be is left alone. One that does not exist is empty, and absent.
"""

EXAMPLES = r"""
- name: Empty a node, and end what people do after an hour
  ironbinder.platform.cluster_drain:
    node: worker2
    state: drained
    timeout_seconds: 3600
    end_sessions: true
    kubeconfig: inventories/stfc/.kube/config
  delegate_to: localhost
  become: false

- name: Take it out of the cluster
  ironbinder.platform.cluster_drain:
    node: worker2
    state: absent
    kubeconfig: inventories/stfc/.kube/config
  delegate_to: localhost
  become: false
"""

RETURN = r"""
report:
  description: What was done with O(state=drained), C(evicted), C(ended), C(waited_for) and C(seconds). In a check what is there.
  returned: success, with O(state=drained)
  type: dict
  sample: {"node": "worker2", "found": true, "cordoned": true, "evicted": ["binder/hub-1"], "seconds": 4.2}
found:
  description: Whether the cluster had the node.
  returned: success, with O(state=absent)
  type: bool
machine_id:
  description: The machine-id of the machine that is this node, or was. Empty where it never reported one, and without a node.
  returned: success, with O(state=drained) and O(state=absent)
  type: str
bound:
  description: Claims whose data are on this node alone, as namespace/name.
  returned: success, with O(state=drained) and O(state=cordoned)
  type: list
  elements: str
people:
  description: Sessions, builds and lone pods, one line each, before anything was done. On failure those still there.
  returned: with O(state=drained), also on failure while the API answers
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import SystemClock
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.drain import (
    DrainError,
    DrainPlan,
    DrainReport,
    bound_to,
    cordon,
    drain,
    machine_id,
    plan_drain,
    refuse_last_head,
    remove_node,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.node_pods import MOVES, pods_of
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.upgrade_facts import TURN
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeApi, KubeError, connect


def _shown(plan: DrainPlan, closed: bool) -> dict[str, Any]:
    pods = [] if closed else sorted(pod.key for pod in (*plan.moves, *plan.people))
    return {"takes pods": not (closed or plan.cordoned), "pods": pods} if plan.found else {}


def _drained(api: KubeApi, given: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Empty the node, or say what that would be."""
    how = {"end_sessions": given["end_sessions"], "for_good": given["for_good"]}
    plan = plan_drain(api, given["node"], **how)
    people = [str(pod) for pod in plan.people]
    if check_mode:
        names = sorted(pod.key for pod in plan.moves)
        report = DrainReport(plan.node, plan.found, plan.found and not plan.cordoned, evicted=names)
        changed = report.changed or bool(plan.people)
    else:
        report = drain(
            api, given["node"], timeout_seconds=given["timeout_seconds"], clock=SystemClock(), **how
        )
        changed = report.changed
    diff = {"before": _shown(plan, closed=False), "after": _shown(plan, closed=True)}
    told = {
        "report": report.as_result(),
        "people": people,
        "machine_id": plan.machine_id,
        "bound": list(plan.bound),
    }
    return {"changed": changed, **told, "diff": diff}


def _settle(api: KubeApi, given: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring the node into its state."""
    node, state = given["node"], given["state"]
    if state == "drained":
        return _drained(api, given, check_mode)
    found = api.get(f"/api/v1/nodes/{node}")
    if state == "absent":
        if found is not None and check_mode:
            refuse_last_head(api, node, found)
        changed = found is not None if check_mode else remove_node(api, node, clock=SystemClock())
        diff = {"before": {"node": node} if changed else {}, "after": {}}
        told = {"found": found is not None, "machine_id": machine_id(found or {})}
        return {"changed": changed, **told, "diff": diff}
    closed = state == "cordoned"
    was = bool(((found or {}).get("spec") or {}).get("unschedulable"))
    turn = (((found or {}).get("metadata") or {}).get("annotations") or {}).get(TURN)
    ended = {"turn in an upgrade": turn} if turn and not closed else {}
    return {
        "changed": cordon(api, node, closed=closed, check_mode=check_mode),
        "diff": {"before": {"takes pods": not was, **ended}, "after": {"takes pods": not closed}},
        **({"bound": bound_to(api, found)} if closed and found else {}),
    }


def _still_there(api: KubeApi, given: dict[str, Any]) -> dict[str, Any]:
    """Name who works on a node that is not emptied, for a caller who takes it away with its cluster."""
    if given["state"] != "drained":
        return {}
    try:
        return {"people": [str(pod) for pod in pods_of(api, given["node"]) if pod.kind != MOVES]}
    except KubeError:
        return {}


def main() -> None:
    """Map the arguments to the work and its errors to Ansible's."""
    module = AnsibleModule(
        argument_spec={
            "node": {"type": "str", "required": True},
            "state": {
                "type": "str",
                "required": True,
                "choices": ["cordoned", "uncordoned", "drained", "absent"],
            },
            "timeout_seconds": {"type": "int", "default": 900},
            "end_sessions": {"type": "bool", "default": False},
            "for_good": {"type": "bool", "default": False},
            "kubeconfig": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    try:
        api = connect(module.params["kubeconfig"])
        result = _settle(api, module.params, module.check_mode)
    except DrainError as error:
        module.fail_json(msg=str(error), **_still_there(api, module.params))
    except KubeError as error:
        module.fail_json(msg=str(error))
    if result.get("bound"):
        module.warn(
            f"data of {', '.join(result['bound'])} are on {module.params['node']} alone: a hub or session that uses them "
            "starts nowhere else, and waits until the node takes pods again"
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
