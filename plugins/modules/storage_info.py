#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a cluster keeps beyond its pods."""

from __future__ import annotations

DOCUMENTATION = r"""
module: storage_info
short_description: Tell a cluster's storage classes, and what becomes of claims that are deleted
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Asks the API, and waits for nothing.
extends_documentation_fragment:
  - ironbinder.platform.kubernetes
options:
  namespaces:
    description: Namespaces whose claims are told.
    type: list
    elements: str
    default: []
  hubs:
    description: Hubs that are to go, each with its namespace. RV(kept) tells which of these namespaces stay.
    type: dict
    default: {}
  volumes:
    description: Names of volumes of which is told whether their claim is gone.
    type: list
    elements: str
    default: []
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
"""

EXAMPLES = r"""
- name: See what data a hub has
  ironbinder.platform.storage_info:
    namespaces: [binder]
    kubeconfig: inventories/stfc/.kube/config
  delegate_to: localhost
  become: false
"""

RETURN = r"""
classes:
  description: The StorageClasses.
  returned: success
  type: list
  elements: dict
  sample: [{"name": "ironbinder-local", "default": false, "provisioner": "rancher.io/local-path"}]
claims:
  description: The claims of O(namespaces), one line each, with what becomes of the data when the claim is deleted.
  returned: success
  type: list
  elements: str
kept:
  description: Of the namespaces of O(hubs) those that are not the hub's to delete, each with the reason.
  returned: success
  type: dict
  sample: {}
released:
  description: Those of O(volumes) that still belong to a claim which is gone.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.volumes import (
    claims_of,
    classes_of,
    released,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeError, connect
from ansible_collections.ironbinder.platform.plugins.module_utils._release.removal import why_it_stays


def main() -> None:
    """Ask, report."""
    module = AnsibleModule(
        argument_spec={
            "namespaces": {"type": "list", "elements": "str", "default": []},
            "hubs": {"type": "dict", "default": {}},
            "volumes": {"type": "list", "elements": "str", "default": []},
            "kubeconfig": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        api = connect(given["kubeconfig"])
        told = {
            "classes": classes_of(api),
            "claims": [str(claim) for claim in claims_of(api, given["namespaces"])],
            "kept": {
                namespace: why
                for hub, namespace in given["hubs"].items()
                if (why := why_it_stays(api.get(f"/api/v1/namespaces/{namespace}"), namespace, hub))
            },
            "released": released(api, given["volumes"]) if given["volumes"] else [],
        }
    except KubeError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **told)


if __name__ == "__main__":
    main()
