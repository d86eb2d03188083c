#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
from __future__ import annotations

DOCUMENTATION = r"""
module: kubeadm
short_description: Start a control plane, join a cluster or leave it, from whatever state a machine is in
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Runs C(kubeadm init) or C(kubeadm join) where it has not been done, and decides that by asking, not by looking for files.
  - A control plane is done when its API is ready and knows the node and C(kubeadm-config). A worker is done when its kubelet is
    healthy and the API knows the node.
  - A machine on which kubeadm was interrupted before the cluster ever worked is reset and begun again, or resumed where its API
    answers already.
  - A machine that has worked and is silent is waited for. It is never reset.
  - A working cluster that others made is adopted.
  - With O(state=absent) C(kubeadm reset) is run, and what it leaves is removed too, chains of kube-proxy, of the kubelet and of
    network plugins among it. A control plane, and a node that its cluster still has, are refused unless O(cluster_goes). A
    machine that is another node than O(node_name) by its marks or its kubelet's certificate always is.
  - One kubeadm works on a machine at a time. One that goes on after the run that began it was stopped, or its connection lost, is
    waited for, and the machine is judged anew when it has ended. C(kubeadm) itself holds V(/var/lib/ironbinder/kubeadm.lock) as
    long as it lives.
options:
  state:
    description: V(init) makes a control plane, V(join) a worker, V(absent) neither.
    type: str
    choices: [init, join, absent]
    required: true
  config:
    description:
      - kubeadm's configuration file on the target.
      - It carries a join token too, which therefore never appears in a process list.
      - Needed unless O(state=absent).
      - It is removed when the worker has joined.
    type: path
  node_name:
    description: Name of this machine's node object, the same as in O(config).
    type: str
    required: true
  cri_socket:
    description: Socket of the container runtime, for a reset.
    type: str
    default: unix:///run/containerd/containerd.sock
  ignore_preflight_errors:
    description: Names of kubeadm's preflight checks whose errors are only warnings here.
    type: list
    elements: str
    default: []
  cluster_goes:
    description: Whether the cluster itself is to go, with O(state=absent). All that it knows is lost then.
    type: bool
    default: false
  node_goes:
    description:
      - Whether the node was deleted from its cluster just before, with O(state=absent).
      - A check deletes none, and takes it as deleted. Otherwise the cluster is asked all the same.
    type: bool
    default: false
  timeout_seconds:
    description: How long kubeadm itself may take, and how long one that still runs is waited for.
    type: int
    default: 600
  recovery_seconds:
    description: How long a machine that has worked before, or has just been made, may take to answer.
    type: int
    default: 120
attributes:
  check_mode:
    support: full
    description: Asks, waits where it has to, and says what would be done.
  diff_mode:
    support: none
    description: What changes is a cluster, not a text.
  idempotent:
    support: full
    description: A machine that is done is left alone.
"""

EXAMPLES = r"""
- name: Start the control plane
  ironbinder.platform.kubeadm:
    state: init
    config: /var/lib/ironbinder/kubeadm-init.yaml
    node_name: head1

- name: Join a worker
  ironbinder.platform.kubeadm:
    state: join
    config: /var/lib/ironbinder/kubeadm-join.yaml
    node_name: worker1

- name: Have a machine that was removed from its cluster forget it
  ironbinder.platform.kubeadm:
    state: absent
    node_name: worker1
"""

RETURN = r"""
action:
  description: What the machine needed, V(none), V(adopt), V(run), V(resume), V(reset_and_run) or V(reset).
  returned: success
  type: str
seconds:
  description: Seconds of each of kubeadm's phases, of a reset, and in all.
  returned: success
  type: dict
  sample: {"certs": 1.2, "wait-control-plane": 5.1, "total": 8.4}
found:
  description: What was found on the machine before anything was done.
  returned: success
  type: dict
  sample: {"marker": true, "answers": true, "node_registered": true}
removed:
  description: With O(state=absent), what was left of the cluster in the kernel, a line each.
  returned: success
  type: list
  elements: str
  sample: ["iptables nat KUBE-SERVICES"]
lines:
  description: kubeadm's own words about its failure, without secrets.
  returned: failure
  type: list
  elements: str
"""

from dataclasses import asdict
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import SystemClock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.lock import LockFile
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.kernel_remains import KernelRemains
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.kubeadm import (
    LOCK_FILE,
    Kubeadm,
    KubeadmError,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.kubeadm_absent import Departure
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.kubeadm_host import LocalHost
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpTransport


def main() -> None:
    """Map the arguments to the work and its errors to Ansible's."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["init", "join", "absent"], "required": True},
            "config": {"type": "path"},
            "node_name": {"type": "str", "required": True},
            "cri_socket": {"type": "str", "default": "unix:///run/containerd/containerd.sock"},
            "ignore_preflight_errors": {"type": "list", "elements": "str", "default": []},
            "timeout_seconds": {"type": "int", "default": 600},
            "recovery_seconds": {"type": "int", "default": 120},
            "cluster_goes": {"type": "bool", "default": False},
            "node_goes": {"type": "bool", "default": False},
        },
        required_if=[("state", "init", ["config"]), ("state", "join", ["config"])],
        supports_check_mode=True,
    )
    try:
        given = dict(module.params)
        machine = (LocalHost(), HttpTransport(), SystemClock(), LockFile(Path(LOCK_FILE)))
        goes = {name: given.pop(name) for name in ("cluster_goes", "node_goes")}
        work = (
            Departure(*machine, remains=KernelRemains(), **goes, **given)
            if given["state"] == "absent"
            else Kubeadm(*machine, **given)
        )
        result = work.bring_about(check_mode=module.check_mode)
    except KubeadmError as error:
        module.fail_json(msg=str(error), lines=error.lines)
    module.exit_json(
        changed=result.changed,
        action=result.action.value,
        seconds=dict(result.seconds),
        found=asdict(result.found),
        removed=list(result.removed),
    )


if __name__ == "__main__":
    main()
