#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A cluster at a glance."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_overview_info
short_description: Tell a cluster's nodes with their versions, its floating addresses and its hubs
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Asks the API, and waits for nothing.
extends_documentation_fragment:
  - ironbinder.platform.kubernetes
options:
  hubs:
    description: The hubs to look at, each with its C(namespace) and its C(release), by name. Other keys are not read.
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
    description: Nothing is ever changed.
  diff_mode:
    support: none
    description: Nothing is ever changed.
  idempotent:
    support: full
    description: Nothing is ever changed.
seealso:
  - module: ironbinder.platform.site_status
"""

EXAMPLES = r"""
- name: Look at the cluster
  ironbinder.platform.cluster_overview_info:
    kubeconfig: inventories/stfc/.kube/config
    hubs: {binder: {namespace: binder, release: binder}}
  delegate_to: localhost
  become: false
"""

RETURN = r"""
cluster:
  description: What the API says.
  returned: success
  type: dict
  contains:
    version: {description: Version of the API., type: str}
    nodes:
      description: >-
        Each with C(name), C(ready), C(reason), C(schedulable), C(roles), C(address), C(kubelet), C(runtime), C(system) and
        C(kernel).
      type: list
      elements: dict
    floating:
      description: Services of type LoadBalancer, each with C(namespace), C(name), C(addresses) and C(wanted).
      type: list
      elements: dict
    hubs:
      description: Each with C(namespace), C(chart), C(revision), C(state), C(sessions) and C(workloads), by name.
      type: dict
    unlisted_hubs:
      description: Namespaces, by name, of hubs that Ironbinder released and that are not among O(hubs).
      type: dict
kubeconfig_not_after:
  description: When the certificate in the kubeconfig ends, in seconds since the epoch. Null where it holds none.
  returned: success
  type: float
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.overview import overview
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeError, connect
from ansible_collections.ironbinder.platform.plugins.module_utils._net.x509 import (
    CertificateError,
    first_certificate,
    in_kubeconfig,
    not_after,
)


def main() -> None:
    """Ask, report."""
    module = AnsibleModule(
        argument_spec={
            "hubs": {"type": "dict", "default": {}},
            "kubeconfig": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    hubs = {
        name: {key: str(hub.get(key) or name) for key in ("namespace", "release")}
        for name, hub in module.params["hubs"].items()
    }
    try:
        told = overview(connect(module.params["kubeconfig"]), hubs)
    except KubeError as error:
        module.fail_json(msg=str(error))
    try:
        text = Path(module.params["kubeconfig"]).read_text(encoding="utf-8", errors="replace")
        ends = not_after(first_certificate(in_kubeconfig(text)))
    except CertificateError:  # it has a token, or names a file
        ends = None
    module.exit_json(changed=False, cluster=told, kubeconfig_not_after=ends)


if __name__ == "__main__":
    main()
