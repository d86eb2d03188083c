#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
from __future__ import annotations

DOCUMENTATION = r"""
module: kubelet_patch
short_description: Write what the kubelet of this machine needs as a patch for kubeadm
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Reads what the machine's kernel lets the kubelet do, as M(ironbinder.platform.machine_limits_info) does, and writes a patch of
    the kubelet's configuration that kubeadm merges when it makes, joins or upgrades this node.
  - Refuses a machine whose pods would have no names. One that is a node already is only warned of, since its kubelet may have
    been told another file.
  - A node that runs takes the patch at its next C(kubeadm upgrade node).
options:
  folder:
    description: Folder of kubeadm's patches, C(patches.directory) in kubeadm's configuration. Made where it is missing.
    type: path
    default: /var/lib/ironbinder/kubeadm-patches
  settings:
    description:
      - Settings of the kubelet that the site wants, by their names in C(KubeletConfiguration).
      - What the machine's limits ask for wins over them.
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
    description: Says whether the patch would change.
  diff_mode:
    support: full
    description: The file.
  idempotent:
    support: full
    description: A patch that is right is left alone.
"""

EXAMPLES = r"""
- name: Write what the kubelet of this machine needs
  ironbinder.platform.kubelet_patch:
"""

RETURN = r"""
patch:
  description: The kubelet's settings that this machine needs, O(settings) among them.
  returned: success
  type: dict
  sample: {"failCgroupV1": false}
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.kubelet_patch import (
    no_names,
    patch_of,
    text_of,
    write_patch,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.limits import read_machine_limits
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.proc import MachineError

# Written by kubeadm when it makes a node.
KUBELET_CONFIG = Path("/var/lib/kubelet/config.yaml")


def main() -> None:
    """Map the arguments to the work and its errors to Ansible's."""
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "default": "/var/lib/ironbinder/kubeadm-patches"},
            "settings": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    try:
        limits = read_machine_limits()
        problem = no_names(limits)
        if problem and not KUBELET_CONFIG.exists():
            module.fail_json(msg=problem)
        if problem:
            module.warn(f"{problem} This machine is a node already and is left as it is.")
        patch = {**module.params["settings"], **patch_of(limits)}
        written = write_patch(Path(module.params["folder"]), text_of(patch), module.check_mode)
    except MachineError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(
            msg=f"{error.filename}: {error.strerror}; this needs root (become: true) and a disk with room"
        )
    name = str(written.path)
    module.exit_json(
        changed=written.changed,
        patch=patch,
        diff={"before": written.before, "after": written.after, "before_header": name, "after_header": name},
    )


if __name__ == "__main__":
    main()
