#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A control plane's component that runs with the arguments that it is to have."""

from __future__ import annotations

DOCUMENTATION = r"""
module: control_plane_arguments
short_description: Have a component of a kubeadm control plane run with certain arguments
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Changes arguments of a component on a head that works already. A new cluster has them from C(kubeadm init).
  - Writes them to C(ClusterConfiguration) in the ConfigMap V(kubeadm-config), from which the next C(kubeadm upgrade) makes the
    manifest anew; and into the static pod's manifest, from which the component runs now. Everything else in both stays as it
    is, also what an admin wrote there.
  - Waits until the pod runs with them. Where it does not, it gets its old manifest back. The API server of a cluster with one
    head is away for some seconds when its own arguments change; other components are not missed.
  - Runs on the head, as root, and needs C(kubectl) and C(kubeadm) there.
options:
  component:
    description: The component.
    type: str
    choices: [kube-apiserver, kube-controller-manager, kube-scheduler]
    required: true
  arguments:
    description: Its arguments, by their names without dashes. Others that it has stay.
    type: dict
    required: true
  node_name:
    description: Name of this machine's node object.
    type: str
    required: true
  timeout_seconds:
    description: How long the component may take to run with them.
    type: int
    default: 180
attributes:
  check_mode:
    support: full
    description: Says whether anything would be written.
  diff_mode:
    support: full
    description: Both texts.
  idempotent:
    support: full
    description: One question to the API where all is as it is to be.
"""

EXAMPLES = r"""
- name: Have a lost node noticed after 20 seconds
  ironbinder.platform.control_plane_arguments:
    component: kube-controller-manager
    arguments:
      node-monitor-grace-period: 20s
    node_name: head1
"""

RETURN = r"""
texts:
  description: What was written, or would be.
  returned: success
  type: list
  elements: str
  sample: ["kubeadm-config (ClusterConfiguration)", "/etc/kubernetes/manifests/kube-controller-manager.yaml"]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import SystemClock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import run_command
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.control_plane_arguments import (
    SECTIONS,
    ArgumentsError,
    ControlPlaneArguments,
)


def main() -> None:
    """Map the arguments to the work and its errors to Ansible's."""
    module = AnsibleModule(
        argument_spec={
            "component": {"type": "str", "choices": sorted(SECTIONS), "required": True},
            "arguments": {"type": "dict", "required": True},
            "node_name": {"type": "str", "required": True},
            "timeout_seconds": {"type": "int", "default": 180},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        told = ControlPlaneArguments(
            run_command,
            SystemClock(),
            component=params["component"],
            node_name=params["node_name"],
            arguments={name: str(value) for name, value in params["arguments"].items()},
            timeout_seconds=params["timeout_seconds"],
        ).bring_about(check_mode=module.check_mode)
    except ArgumentsError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(
            msg=f"{error.filename}: {error.strerror}; this needs a head of a cluster that works, and root (become: true)"
        )
    texts = [name for name, before in told.before.items() if before != told.after[name]]
    module.exit_json(
        changed=told.changed,
        texts=texts,
        diff=[
            {
                "before_header": name,
                "after_header": name,
                "before": told.before[name],
                "after": told.after[name],
            }
            for name in texts
        ],
    )


if __name__ == "__main__":
    main()
