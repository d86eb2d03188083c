#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_nodes
short_description: Label and taint the nodes of a cluster, and wait until they are ready
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Gives every named node the labels and taints that it is to have, all in one call, and waits until all are ready.
  - Labels and taints that are not named are left alone.
  - Then removes the tokens that nodes joined with.
extends_documentation_fragment:
  - ironbinder.platform.kubernetes
  - ironbinder.platform.kubernetes.wait
options:
  nodes:
    description: The nodes. All of them are waited for.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the node object.
        type: str
        required: true
      labels:
        description: Labels by key. A null takes a label off.
        type: dict
        default: {}
      taints:
        description: Taints that the node is to have, or not to have.
        type: list
        elements: dict
        default: []
        suboptions:
          key:
            description: Key of the taint.
            type: str
            required: true
          effect:
            description: Effect of the taint.
            type: str
            choices: [NoSchedule, PreferNoSchedule, NoExecute]
            required: true
          value:
            description: Value of the taint.
            type: str
            default: ''
          state:
            description: Whether the node is to have it.
            type: str
            choices: [present, absent]
            default: present
  not_on_all:
    description:
      - Labels that at least one node of the cluster has to be without. Where every node has one, it is taken off the first by
        name, also where that is not one of O(nodes).
    type: list
    elements: str
    default: []
  spent_tokens:
    description:
      - How descriptions begin of the tokens that nodes join with. When all nodes are as they have to be, these are removed, which
        also takes away those of a run that was stopped. Empty leaves every token.
    type: str
    default: ''
  until:
    description: How far the nodes have to be, V(registered) with the cluster or V(ready) to run pods.
    type: str
    choices: [registered, ready]
    default: ready
  timeout_seconds:
    default: 300
attributes:
  check_mode:
    support: full
    description: Looks and does not wait. Where there is no cluster yet, or a node has not joined, says what a run will do.
  diff_mode:
    support: full
    description: Shows the named labels and taints of each node that changes.
  idempotent:
    support: full
    description: Nodes that are as they are to be are left alone.
"""

EXAMPLES = r"""
- name: Label the nodes and wait for them
  ironbinder.platform.cluster_nodes:
    nodes:
      - name: head1
        labels: {hub.jupyter.org/node-purpose: core}
        taints:
          - {key: node-role.kubernetes.io/control-plane, effect: NoSchedule}
      - name: worker1
        labels: {hub.jupyter.org/node-purpose: user}
    not_on_all: [node.kubernetes.io/exclude-from-external-load-balancers]
    kubeconfig: inventories/stfc/.kube/config
  delegate_to: localhost
  become: false
"""

RETURN = r"""
nodes:
  description: All nodes of the cluster by name, as M(ironbinder.platform.cluster_nodes_info) gives them.
  returned: always
  type: dict
observed:
  description: In check mode, why the prediction is one and not a comparison; else empty.
  returned: success
  type: str
removed_tokens:
  description: Names of the secrets of spent tokens that were removed, or would be.
  returned: success
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import SystemClock
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.join_tokens import (
    join_tokens,
    remove_join_tokens,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.node_wishes import (
    NodeKeeper,
    TaintWish,
    Wish,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.nodes import NodesError
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeError, connect


def read_wish(entry: dict[str, Any]) -> Wish:
    """Read an entry of the option `nodes`; YAML may have made a number or a truth of a label's value."""

    def text(value: Any) -> Any:
        return str(value).lower() if isinstance(value, bool) else value if value is None else str(value)

    return Wish(
        entry["name"],
        {key: text(value) for key, value in entry["labels"].items()},
        [
            TaintWish(one["key"], one["effect"], one["value"], one["state"] == "present")
            for one in entry["taints"]
        ],
    )


def report(keeper: NodeKeeper) -> dict[str, Any]:
    """Return what was done, also where it was not enough."""
    return {
        "changed": keeper.changed,
        "nodes": {name: node.as_result() for name, node in keeper.nodes.items()},
        "diff": {"before": keeper.before, "after": keeper.after},
    }


def main() -> None:
    """Map the arguments to the work and its errors to Ansible's."""
    taint = {
        "key": {"type": "str", "required": True, "no_log": False},
        "effect": {
            "type": "str",
            "required": True,
            "choices": ["NoSchedule", "PreferNoSchedule", "NoExecute"],
        },
        "value": {"type": "str", "default": ""},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    }
    node = {
        "name": {"type": "str", "required": True},
        "labels": {"type": "dict", "default": {}},
        "taints": {"type": "list", "elements": "dict", "default": [], "options": taint},
    }
    module = AnsibleModule(
        argument_spec={
            "nodes": {"type": "list", "elements": "dict", "required": True, "options": node},
            "not_on_all": {"type": "list", "elements": "str", "default": []},
            "spent_tokens": {"type": "str", "default": "", "no_log": False},
            "until": {"type": "str", "choices": ["registered", "ready"], "default": "ready"},
            "timeout_seconds": {"type": "int", "default": 300},
            "kubeconfig": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    wishes = [read_wish(entry) for entry in given["nodes"]]
    keeper = NodeKeeper(wishes, given["not_on_all"])
    observed, spent, tokens = "", given["spent_tokens"], []
    try:
        api = connect(given["kubeconfig"])
        if module.check_mode:
            observed = "; ".join(keeper.predict(api))
            # Before all have joined they are not spent.
            tokens = join_tokens(api, spent) if spent and not observed else []
        else:
            keeper.settle(api, given["until"], timeout_seconds=given["timeout_seconds"], clock=SystemClock())
            tokens = remove_join_tokens(api, spent) if spent else []
    except (KubeError, NodesError) as error:
        observed = str(error)
        # In a check there may be no cluster yet. A refusal is one in a check, too.
        if not (module.check_mode and isinstance(error, KubeError) and error.passing):
            module.fail_json(msg=observed, **report(keeper))
        keeper.expect_all()
    told = report(keeper)
    module.exit_json(
        observed=observed, removed_tokens=tokens, **{**told, "changed": told["changed"] or bool(tokens)}
    )


if __name__ == "__main__":
    main()
