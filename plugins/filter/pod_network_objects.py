# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The objects of a pod network's manifest."""

from __future__ import annotations

DOCUMENTATION = r"""
name: pod_network_objects
short_description: Read a pod network's manifest, and give Calico its range of pods
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Reads the objects of a manifest; what is none is an error with its remedy.
  - Upstream's manifest of Calico has the range of pods in a comment only, and Calico then takes one of its own. With
    O(calico_subnet) this sets it in the environment of the DaemonSet C(calico-node). A manifest that sets another range is an
    error, as is one without that DaemonSet.
options:
  _input:
    description: Text of the manifest.
    type: str
    required: true
  source:
    description: Where it is from, for errors.
    type: str
    required: true
  digest:
    description: The manifest's own digest as C(sha256:) with 64 digits. Empty compares nothing.
    type: str
    default: ''
  calico_subnet:
    description: Range of the pods of all nodes, where the manifest is Calico's.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: Apply Calico
  ironbinder.platform.cluster_objects:
    definition: >-
      {{ lookup('ansible.builtin.file', 'calico.yaml')
         | ironbinder.platform.pod_network_objects(source='calico.yaml', calico_subnet='10.244.0.0/16') }}
    kubeconfig: inventories/stfc/.kube/config
"""

RETURN = r"""
_value:
  description: The objects of the manifest.
  type: list
  elements: dict
"""

from hashlib import sha256
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.manifest import (
    ManifestError,
    read_manifest,
    read_objects,
)

RANGE = "CALICO_IPV4POOL_CIDR"


def pod_network_objects(
    text: str, source: str, calico_subnet: str = "", digest: str = ""
) -> list[dict[str, Any]]:
    """Return the objects of a manifest."""
    found = f"sha256:{sha256(text.encode()).hexdigest()}"
    if digest and digest.lower() != found:
        raise AnsibleFilterError(
            f"{source} has the digest {found}, and {digest} was asked for: it is not the manifest that was pinned. Compare it "
            "with upstream's; where it is right, set site_pod_network_manifest_digest to its digest"
        )
    remedy = "Open it and compare, or name another with site_pod_network_manifest"
    try:
        objects = list(read_objects(read_manifest(text, source), source).values())
    except ManifestError as error:
        raise AnsibleFilterError(f"{error}. {remedy}") from error
    if not calico_subnet:
        return objects
    containers = [
        container
        for item in objects
        if (item["kind"], item["metadata"]["name"]) == ("DaemonSet", "calico-node")
        for container in item["spec"]["template"]["spec"]["containers"]
        if container.get("name") == "calico-node"
    ]
    if not containers:
        raise AnsibleFilterError(f"{source} is not Calico's: it has no DaemonSet calico-node. {remedy}")
    for container in containers:
        variables = container.setdefault("env", [])
        given = next((entry for entry in variables if entry.get("name") == RANGE), None)
        if given is None:
            variables.append({"name": RANGE, "value": calico_subnet})
        elif given.get("value") != calico_subnet:
            raise AnsibleFilterError(
                f"{source} sets {RANGE} of the DaemonSet calico-node to {given.get('value')!r}, and site_pod_subnet is "
                f"{calico_subnet}: make them the same"
            )
    return objects


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"pod_network_objects": pod_network_objects}
