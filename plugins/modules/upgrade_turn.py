#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
from __future__ import annotations

DOCUMENTATION = r"""
module: upgrade_turn
short_description: Begin and end the turn of a node in an upgrade
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - V(begun) cordons a node and marks it by an annotation, so that any later run knows that its turn has begun, and whether an
    admin had cordoned it before. It first waits until deployments are available, unless some node has its turn already.
  - V(ended) waits until the node is Ready in the wanted versions and all pods that belong to it are, lets it take pods again
    unless an admin had cordoned it, and waits until deployments are available.
  - A node that is not healthy in time is left cordoned.
extends_documentation_fragment:
  - ironbinder.platform.kubernetes
  - ironbinder.platform.kubernetes.wait
options:
  node:
    description: Name of the node object.
    type: str
    required: true
  state:
    description: What is to be brought about.
    type: str
    choices: [begun, ended]
    required: true
  kubelet_version:
    description: Version that the kubelet has to have at the end; empty for any.
    type: str
    default: ''
  containerd_version:
    description: Version that containerd has to have at the end; empty for any.
    type: str
    default: ''
  namespaces:
    description: Namespaces whose deployments have to be available at the end. The cluster's DNS has to be in any case.
    type: list
    elements: str
    default: []
  empties:
    description: Whether the node is going to be emptied, so that V(begun) refuses first what can never be.
    type: bool
    default: false
  end_sessions:
    description: Whether what people do there is ended then.
    type: bool
    default: false
  timeout_seconds:
    description: How long the node may take, and then the deployments.
    default: 300
attributes:
  check_mode:
    support: full
    description: Looks, does not wait, and says whether the node would change.
  diff_mode:
    support: none
    description: What changes is a cordon and a mark.
  idempotent:
    support: full
    description: A turn that has begun is not begun again, and one that has ended is only looked at.
"""

EXAMPLES = r"""
- name: Let no new pod come to worker1
  ironbinder.platform.upgrade_turn:
    node: worker1
    state: begun
    kubeconfig: inventories/stfc/.kube/config
  delegate_to: localhost
  become: false
"""

RETURN = r"""
node:
  description: Name of the node object.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import SystemClock
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.upgrade_turn import (
    Healthy,
    TurnError,
    begin,
    end,
    look_first,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeError, connect
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.patience import patient


def main() -> None:
    """Map the arguments to the work and its errors to Ansible's."""
    module = AnsibleModule(
        argument_spec={
            "node": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["begun", "ended"], "required": True},
            "kubelet_version": {"type": "str", "default": ""},
            "containerd_version": {"type": "str", "default": ""},
            "namespaces": {"type": "list", "elements": "str", "default": []},
            "empties": {"type": "bool", "default": False},
            "end_sessions": {"type": "bool", "default": False},
            "timeout_seconds": {"type": "int", "default": 300},
            "kubeconfig": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        clock = SystemClock()
        api = connect(given["kubeconfig"])
        # In a check there may be no cluster yet, which is told at once.
        api = api if module.check_mode else patient(api, clock)
        if given["state"] == "begun":
            look_first(
                api,
                given["node"],
                given["namespaces"],
                empties=given["empties"],
                end_sessions=given["end_sessions"],
                clock=clock,
                timeout_seconds=given["timeout_seconds"],
                check_mode=module.check_mode,
            )
            changed = begin(api, given["node"], check_mode=module.check_mode)
        else:
            healthy = Healthy(given["kubelet_version"], given["containerd_version"], given["namespaces"])
            changed = end(
                api,
                given["node"],
                healthy,
                clock=clock,
                timeout_seconds=given["timeout_seconds"],
                check_mode=module.check_mode,
            )
    except (KubeError, TurnError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changed, node=given["node"])


if __name__ == "__main__":
    main()
