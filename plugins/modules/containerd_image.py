#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""An image that containerd has, and the proof that it can get others."""

from __future__ import annotations

DOCUMENTATION = r"""
module: containerd_image
short_description: Prove that containerd serves the kubelet, and have it pull an image
version_added: 0.1.0
description:
  - Asks the daemon, not its configuration, whether its Kubernetes interface runs and in which folder it looks for registries.
  - Has the daemon pull the image where it has not got it, by the same code and from the same folder as for the kubelet.
author: Ironbinder maintainers (@ironbinder)
options:
  name:
    description: The image, with its registry and its tag or digest.
    type: str
    required: true
  hosts_dir:
    description: Folder with a C(hosts.toml) for each registry.
    type: path
    default: /etc/containerd/certs.d
  namespace:
    description: Where containerd keeps the image.
    type: str
    default: k8s.io
  timeout_seconds:
    description: How long the pull may take.
    type: int
    default: 600
attributes:
  check_mode:
    support: full
    description: >-
      Only asks for the image. A daemon that is missing or does not answer is taken for one that will run by then and has to pull.
  diff_mode:
    support: none
    description: An image is there or not.
  idempotent:
    support: full
    description: An image that is there is not pulled again.
"""

EXAMPLES = r"""
- name: Have the image that holds each pod's network
  ironbinder.platform.containerd_image:
    name: registry.k8s.io/pause:3.10.2
"""

RETURN = r"""
name:
  description: The image.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import run_command
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.containerd import (
    Containerd,
    ContainerdError,
)


def main() -> None:
    """Ask, pull, report."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "hosts_dir": {"type": "path", "default": "/etc/containerd/certs.d"},
            "namespace": {"type": "str", "default": "k8s.io"},
            "timeout_seconds": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
    )
    name = module.params["name"]
    daemon = Containerd(
        run_command, hosts_dir=module.params["hosts_dir"], namespace=module.params["namespace"]
    )
    try:
        if not module.check_mode:
            daemon.prove()
        is_there = daemon.has(name)
        if not is_there and not module.check_mode:
            daemon.pull(name, module.params["timeout_seconds"])
    except ContainerdError as error:
        if not module.check_mode:
            module.fail_json(msg=str(error))
        is_there = False
    module.exit_json(changed=not is_there, name=name)


if __name__ == "__main__":
    main()
