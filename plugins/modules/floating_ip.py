#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
from __future__ import annotations

DOCUMENTATION = r"""
module: floating_ip
short_description: See to it that a service holds its floating address
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Finds the service of the cluster that holds a floating address. Where it is not the one that is meant to, says which one it
    is, or turns it into a NodePort.
  - Then waits until the service that is meant to hold the address does, or says why it does not.
extends_documentation_fragment:
  - ironbinder.platform.kubernetes
  - ironbinder.platform.kubernetes.wait
options:
  namespace:
    description: Namespace of the service that is meant to hold the address.
    type: str
    required: true
  service:
    description: Name of the service that is meant to hold the address.
    type: str
    default: proxy-public
  address:
    description: The floating address.
    type: str
    required: true
  release_holder:
    description:
      - Turn another service that holds the address into a NodePort, instead of failing with its name.
      - Its old state is in the result, and in a file where O(backup_dir) is given.
    type: bool
    default: false
  backup_dir:
    description:
      - Folder on the host that runs the module for the old state of a service that has to give up the address, each in a file of
        its own with mode 0600, which C(kubectl apply) puts back. It is written before the service is changed.
    type: path
  wait:
    description:
      - Wait until the service has the address.
      - Without it, only other services are looked at; the service itself need not exist yet.
    type: bool
    default: true
  timeout_seconds:
    default: 120
attributes:
  check_mode:
    support: full
    description: Looks, does not wait, and says which service would have to give up the address and where its state would be kept.
  diff_mode:
    support: full
    description: Shows the type of the service that gives up the address.
  idempotent:
    support: full
    description: An address in the right place is left there.
"""

EXAMPLES = r"""
- name: Give the hub its floating address
  ironbinder.platform.floating_ip:
    namespace: binder
    service: proxy-public
    address: 192.0.2.10
    kubeconfig: inventories/stfc/.kube/config
  delegate_to: localhost
  become: false
"""

RETURN = r"""
addresses:
  description: The addresses of the service at the end.
  returned: success, and failure after a service was changed
  type: list
  elements: str
holder:
  description: The service that held the address at the beginning, as namespace/name, or an empty text.
  returned: success, and failure after a service was changed
  type: str
released:
  description: The service that was turned into a NodePort, as namespace/name, or an empty text.
  returned: success, and failure after a service was changed
  type: str
released_manifest:
  description: That service before, as C(kubectl apply) takes it; without status and the server's bookkeeping.
  returned: success, and failure after a service was changed
  type: dict
backup_file:
  description: The file with it, or an empty text. In check mode the file that would be written.
  returned: success, and failure after a service was changed
  type: str
seconds:
  description: How long it took.
  returned: success, and failure after a service was changed
  type: float
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import SystemClock
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.floating_ip import (
    FloatingIp,
    FloatingIpError,
    FloatingIpResult,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.floating_ip_client import (
    KubernetesServices,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeError, connect


def _told(result: FloatingIpResult, address: str) -> dict[str, Any]:
    released = result.released
    return {
        "changed": result.changed,
        "addresses": list(result.addresses),
        "holder": str(result.holder or ""),
        "released": str(released or ""),
        "released_manifest": result.released_manifest,
        "backup_file": result.backup_file,
        "seconds": result.seconds,
        "diff": {
            "before": f"{released}: {released.type}, holds {address}\n" if released else "",
            "after": f"{released}: NodePort\n" if released else "",
        },
    }


def main() -> None:
    """Map the arguments to the work and its errors to Ansible's."""
    module = AnsibleModule(
        argument_spec={
            "namespace": {"type": "str", "required": True},
            "service": {"type": "str", "default": "proxy-public"},
            "address": {"type": "str", "required": True},
            "release_holder": {"type": "bool", "default": False},
            "backup_dir": {"type": "path"},
            "wait": {"type": "bool", "default": True},
            "timeout_seconds": {"type": "int", "default": 120},
            "kubeconfig": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    wanted = dict(module.params)
    wanted["backup_dir"] = wanted["backup_dir"] or ""
    try:
        client = KubernetesServices(connect(wanted.pop("kubeconfig")))
        result = FloatingIp(client, clock=SystemClock(), **wanted).ensure(check_mode=module.check_mode)
    except (FloatingIpError, KubeError) as error:
        done = getattr(error, "done", None)
        module.fail_json(msg=str(error), **(_told(done, module.params["address"]) if done else {}))
    module.exit_json(**_told(result, module.params["address"]))


if __name__ == "__main__":
    main()
