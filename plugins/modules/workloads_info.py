#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
from __future__ import annotations

DOCUMENTATION = r"""
module: workloads_info
short_description: Wait until workloads run, and say why one does not
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Waits until Deployments, DaemonSets and StatefulSets of a namespace are rolled out.
  - Gives up early where waiting will not help, and says of each workload why it is stuck, with the end of its log where it
    crashes.
extends_documentation_fragment:
  - ironbinder.platform.kubernetes
  - ironbinder.platform.kubernetes.wait
options:
  namespace:
    description: Namespace of the workloads.
    type: str
    required: true
  workloads:
    description: The workloads as kind/name, for example V(Deployment/controller).
    type: list
    elements: str
    required: true
  timeout_seconds:
    default: 300
  stuck_seconds:
    description: How long a reason that waiting does not cure may last.
    type: int
    default: 90
attributes:
  check_mode:
    support: full
    description: Nothing is asked and nothing is waited for, because in a check the workloads may not be there.
  diff_mode:
    support: none
    description: Nothing is ever changed.
  idempotent:
    support: full
    description: Nothing is ever changed.
"""

EXAMPLES = r"""
- name: Wait for MetalLB
  ironbinder.platform.workloads_info:
    namespace: metallb-system
    workloads: [Deployment/controller, DaemonSet/speaker]
    kubeconfig: inventories/stfc/.kube/config
  delegate_to: localhost
  become: false
"""

RETURN = r"""
workloads:
  description: The workloads, and after how many seconds each was ready.
  returned: success
  type: list
  elements: dict
  sample: [{"kind": "Deployment", "name": "controller", "ready": true, "seconds": 3.1}]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import SystemClock
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeError, connect
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.rollout import (
    RolloutError,
    wait_for_workloads,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.workloads import KINDS, Workload


def main() -> None:
    """Map the arguments to the work and its errors to Ansible's."""
    module = AnsibleModule(
        argument_spec={
            "namespace": {"type": "str", "required": True},
            "workloads": {"type": "list", "elements": "str", "required": True},
            "timeout_seconds": {"type": "int", "default": 300},
            "stuck_seconds": {"type": "int", "default": 90},
            "kubeconfig": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    wanted = [
        Workload(entry.partition("/")[0], entry.partition("/")[2], given["namespace"])
        for entry in given["workloads"]
    ]
    if any(entry.kind not in KINDS or not entry.name for entry in wanted):
        module.fail_json(
            msg=f"workloads has {given['workloads']}: write each as one of {', '.join(KINDS)}, a slash and a name"
        )
    if module.check_mode:
        module.exit_json(changed=False, workloads=[])
    try:
        states = wait_for_workloads(
            connect(given["kubeconfig"]),
            wanted,
            timeout_seconds=given["timeout_seconds"],
            stuck_seconds=given["stuck_seconds"],
            clock=SystemClock(),
            log=module.log,
        )
    except (KubeError, RolloutError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, workloads=[state.as_result() for state in states])


if __name__ == "__main__":
    main()
