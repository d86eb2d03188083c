#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_nodes_info
short_description: Tell what the API knows of the nodes, and wait for them
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Gives the address, the range of pods, the labels and the readiness of every node of a cluster.
  - Can wait until named nodes have joined, have their addresses, or are ready, and says of each that is late why it is.
extends_documentation_fragment:
  - ironbinder.platform.kubernetes
  - ironbinder.platform.kubernetes.wait
options:
  names:
    description: Names of the nodes to wait for. All others are told of too, but not waited for.
    type: list
    elements: str
    default: []
  until:
    description:
      - V(registered) waits until the named nodes have joined the cluster.
      - V(addressed) waits until they have an address and a range for their pods.
      - V(ready) waits until they can run pods.
    type: str
    choices: [registered, addressed, ready]
    default: registered
  timeout_seconds:
    description: How long to wait at most. The default asks once.
    default: 0
attributes:
  check_mode:
    support: full
    description: Asks once and never fails, because in a check the cluster may not be there yet.
  diff_mode:
    support: none
    description: Nothing is ever changed.
  idempotent:
    support: full
    description: Nothing is ever changed.
"""

EXAMPLES = r"""
- name: Wait until the workers are ready
  ironbinder.platform.cluster_nodes_info:
    names: [worker1, worker2]
    until: ready
    timeout_seconds: 120
    kubeconfig: inventories/stfc/.kube/config
  delegate_to: localhost
  become: false
"""

RETURN = r"""
nodes:
  description: The nodes by name.
  returned: success
  type: dict
  sample:
    worker1:
      name: worker1
      address: 192.0.2.21
      pod_cidr: 10.244.1.0/24
      ready: true
      reason: kubelet is posting ready status
      labels: {kubernetes.io/os: linux}
      taints: [{key: node-role.kubernetes.io/control-plane, effect: NoSchedule}]
observed:
  description: In check mode, why the nodes are not as they should be; else empty.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import SystemClock
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.nodes import (
    UNTIL,
    NodesError,
    wait_for_nodes,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeError, connect


def main() -> None:
    """Map the arguments to the work and its errors to Ansible's."""
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "default": []},
            "until": {"type": "str", "choices": list(UNTIL), "default": "registered"},
            "timeout_seconds": {"type": "int", "default": 0},
            "kubeconfig": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    wanted = dict(module.params)
    observed = ""
    nodes = {}
    try:
        api = connect(wanted.pop("kubeconfig"))
        if module.check_mode:
            wanted = {"names": []}
        nodes = wait_for_nodes(api, clock=SystemClock(), **wanted)
    except (KubeError, NodesError) as error:
        if not module.check_mode:
            module.fail_json(msg=str(error))
        observed = str(error)
    module.exit_json(
        changed=False, nodes={name: node.as_result() for name, node in nodes.items()}, observed=observed
    )


if __name__ == "__main__":
    main()
