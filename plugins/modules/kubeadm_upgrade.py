#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
from __future__ import annotations

DOCUMENTATION = r"""
module: kubeadm_upgrade
short_description: Upgrade a control plane, or a node's own part of it, with kubeadm
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Runs C(kubeadm upgrade apply) or C(kubeadm upgrade node) where something that it changes has another version, and proves
    afterwards that all of it has the wanted one.
  - Needs a kubeadm of the wanted version. Installs no package and restarts no kubelet.
  - One that was killed is run again, and goes on where it was. One kubeadm works on a machine at a time, as with
    M(ironbinder.platform.kubeadm).
options:
  state:
    description: V(apply) upgrades the control plane of the first head, V(node) what a further machine has of it.
    type: str
    choices: [apply, node]
    required: true
  version:
    description: The wanted version without a leading v, such as V(1.36.3).
    type: str
    required: true
  patches_dir:
    description: Folder of kubeadm's patches on the target. Left out where there is none.
    type: path
    default: /var/lib/ironbinder/kubeadm-patches
  ignore_preflight_errors:
    description: Names of kubeadm's preflight checks whose errors are only warnings here.
    type: list
    elements: str
    default: []
  timeout_seconds:
    description: How long kubeadm itself may take, and how long one that still runs is waited for.
    type: int
    default: 900
  recovery_seconds:
    description: How long the control plane may take to answer afterwards.
    type: int
    default: 180
attributes:
  check_mode:
    support: full
    description: Asks, and says what has another version.
  diff_mode:
    support: none
    description: What changes is a cluster, not a text.
  idempotent:
    support: full
    description: Where everything has the wanted version, kubeadm is not run.
"""

EXAMPLES = r"""
- name: Upgrade the control plane
  ironbinder.platform.kubeadm_upgrade:
    state: apply
    version: 1.36.3
"""

RETURN = r"""
before:
  description: What had another version, with that version.
  returned: success
  type: dict
  sample: {"kube-apiserver": "1.35.4", "kubeadm-config": "1.35.4"}
seconds:
  description: Seconds of each of kubeadm's phases.
  returned: success
  type: dict
lines:
  description: kubeadm's own words about its failure, without secrets.
  returned: failure
  type: list
  elements: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import SystemClock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.lock import LockFile
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.kubeadm import LOCK_FILE
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.kubeadm_host import (
    KubeadmError,
    LocalHost,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.kubeadm_upgrade import (
    KubeadmUpgrade,
)


def main() -> None:
    """Map the arguments to the work and its errors to Ansible's."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["apply", "node"], "required": True},
            "version": {"type": "str", "required": True},
            "patches_dir": {"type": "path", "default": "/var/lib/ironbinder/kubeadm-patches"},
            "ignore_preflight_errors": {"type": "list", "elements": "str", "default": []},
            "timeout_seconds": {"type": "int", "default": 900},
            "recovery_seconds": {"type": "int", "default": 180},
        },
        supports_check_mode=True,
    )
    try:
        work = KubeadmUpgrade(LocalHost(), SystemClock(), LockFile(Path(LOCK_FILE)), **module.params)
        done = work.bring_about(check_mode=module.check_mode)
    except KubeadmError as error:
        module.fail_json(msg=str(error), lines=error.lines)
    module.exit_json(changed=done.changed, before=dict(done.before), seconds=dict(done.seconds))


if __name__ == "__main__":
    main()
