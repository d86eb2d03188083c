#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
from __future__ import annotations

DOCUMENTATION = r"""
module: upgrade_plan
short_description: Plan an upgrade of a cluster, and say where one stands
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Compares what the API says of the control plane and of all nodes with the versions that are wanted, and plans the steps
    between the two, with what people will notice of each. Changes nothing.
  - Refuses what Kubernetes does not support, a downgrade, a skipped minor version, kubelets too far behind the API; APIs that
    somebody asks for and that the wanted version no longer has; a node or a hub that is down before it begins; and what
    can never be moved from a node that is to be emptied.
  - A plan follows from what runs. Made again after an upgrade that was stopped, it holds the rest.
extends_documentation_fragment:
  - ironbinder.platform.kubernetes
options:
  machines:
    description: The site's nodes, in the order in which they have their turn within their role.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the node object.
        type: str
        required: true
      is_head:
        description: Whether it is a control plane.
        type: bool
        default: false
      docker:
        description: Version of the Docker that builds there; empty for none. The API does not know it.
        type: str
        default: ''
      is_asked:
        description: Whether this run may change it.
        type: bool
        default: true
  control_plane_version:
    description: Wanted version of the control plane and of the heads' kubelets, such as V(1.36.3).
    type: str
    required: true
  nodes_version:
    description: Wanted version of the other kubelets.
    type: str
    required: true
  containerd_version:
    description: Wanted version of containerd; empty for any.
    type: str
    default: ''
  docker_version:
    description: Wanted version of Docker; empty for any.
    type: str
    default: ''
  batch:
    description:
      - How many workers have their turn at the same time, at most. One that takes pods is always left.
      - Workers that only take each other's pods have their turns one after another.
    type: int
    default: 1
  sessions:
    description: What becomes of sessions on a node that is emptied, for the plan's words.
    type: str
    default: are waited for
  hub_forgets:
    description: Whether a hub that restarts forgets its sessions, as one does whose database is in memory.
    type: bool
    default: false
  end_sessions:
    description: Whether what people do on a node is ended then. What it leaves and never ends is a reason not to begin.
    type: bool
    default: false
  namespaces:
    description:
      - Namespaces whose deployments have to be available before anything begins, unless some node has its turn already. The
        cluster's DNS has to be in any case.
    type: list
    elements: str
    default: []
  accepted_apis:
    description: Removed APIs, as the refusal names them, of which it is known that nobody asks for them any more.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
    description: Changes nothing in any mode.
  diff_mode:
    support: none
    description: Changes nothing.
  idempotent:
    support: full
    description: Changes nothing.
"""

EXAMPLES = r"""
- name: Plan the upgrade
  ironbinder.platform.upgrade_plan:
    machines:
      - {name: head1, is_head: true, docker: 29.8.1}
      - {name: worker1, docker: 29.8.1}
    control_plane_version: 1.36.3
    nodes_version: 1.36.3
    kubeconfig: inventories/stfc/.kube/config
  delegate_to: localhost
  become: false
  register: plan
"""

RETURN = r"""
lines:
  description: The plan for people, where each machine stands, the steps, and what people will notice.
  returned: always
  type: list
  elements: str
problems:
  description: Why it must not begin. Not empty where the module fails.
  returned: always
  type: list
  elements: str
steps:
  description:
    - The steps in order. C(kind) is V(snapshot), V(control_plane) or V(node). All C(hosts) of one have it at once.
    - Those of them in C(drain) are emptied before.
  returned: always
  type: list
  elements: dict
  sample: [{"kind": "node", "hosts": ["w1"], "changes": ["w1: kubelet 1.35.4 to 1.36.3"], "drain": ["w1"], "notices": []}]
heads:
  description: Heads whose own turn is to come, in order.
  returned: always
  type: list
  elements: str
workers:
  description: Other nodes whose turn is to come, in order.
  returned: always
  type: list
  elements: str
control_planes:
  description: Heads on which the control plane is to be upgraded.
  returned: always
  type: list
  elements: str
batches:
  description: How many of C(workers) have their turn at the same time, one batch after another.
  returned: always
  type: list
  elements: int
"""

from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.upgrade_facts import (
    read_cluster,
    read_machines,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.upgrade_hindrances import (
    hindered,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.upgrade_model import (
    Targets,
    Words,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.upgrade_plan import make_plan
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.upgrade_words import describe
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeError, connect


def main() -> None:
    """Map the arguments to the plan and its refusal to Ansible's."""
    machine = {
        "name": {"type": "str", "required": True},
        "is_head": {"type": "bool", "default": False},
        "docker": {"type": "str", "default": ""},
        "is_asked": {"type": "bool", "default": True},
    }
    module = AnsibleModule(
        argument_spec={
            "machines": {"type": "list", "elements": "dict", "required": True, "options": machine},
            "control_plane_version": {"type": "str", "required": True},
            "nodes_version": {"type": "str", "required": True},
            "containerd_version": {"type": "str", "default": ""},
            "docker_version": {"type": "str", "default": ""},
            "batch": {"type": "int", "default": 1},
            "sessions": {"type": "str", "default": "are waited for"},
            "hub_forgets": {"type": "bool", "default": False},
            "end_sessions": {"type": "bool", "default": False},
            "namespaces": {"type": "list", "elements": "str", "default": []},
            "accepted_apis": {"type": "list", "elements": "str", "default": []},
            "kubeconfig": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    targets = Targets(
        given["control_plane_version"],
        given["nodes_version"],
        given["containerd_version"],
        given["docker_version"],
    )
    try:
        api = connect(given["kubeconfig"])
        cluster, machines = read_cluster(api), read_machines(api, given["machines"])
        plan = make_plan(
            cluster,
            machines,
            targets,
            batch=given["batch"],
            accepted=given["accepted_apis"],
            words=Words(given["sessions"], given["hub_forgets"]),
        )
        plan = hindered(api, plan, given["namespaces"], end_sessions=given["end_sessions"])
    except KubeError as error:
        module.fail_json(msg=f"{error}. An upgrade begins from a cluster that answers; nothing was changed")
    heads = {one.name for one in machines if one.is_head}
    turns = plan.hosts("node")
    told = {
        "changed": False,
        "lines": describe(cluster, machines, targets, plan),
        "problems": list(plan.problems),
        "steps": [asdict(step) for step in plan.steps],
        "heads": [name for name in turns if name in heads],
        "workers": [name for name in turns if name not in heads],
        "control_planes": plan.hosts("control_plane"),
        "batches": [
            len(step.hosts) for step in plan.steps if step.kind == "node" and not heads & {*step.hosts}
        ],
    }
    if plan.problems:
        module.fail_json(
            msg="\n".join(["This upgrade must not begin. Nothing was changed.", *plan.problems]), **told
        )
    module.exit_json(**told)


if __name__ == "__main__":
    main()
