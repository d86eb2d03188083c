# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ansible's door to `storage_objects.claim_objects`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: storage_claims
short_description: Write the claims that hubs' sessions mount
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Gives PersistentVolumeClaims for shared volumes that have a size and, of a file server, the static volumes behind them.
options:
  _input:
    description: The hubs, as the filter P(ironbinder.platform.resolve_hubs#filter) gives them.
    type: dict
    required: true
  storage:
    description: The contract's C(site_storage).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Make the claims
  ironbinder.platform.cluster_objects:
    definition: "{{ site_resolved_hubs | ironbinder.platform.storage_claims(storage=site_storage) }}"
    kubeconfig: inventories/stfc/.kube/config
  delegate_to: localhost
  become: false
"""

RETURN = r"""
_value:
  description: Objects of Kubernetes, volumes first. Empty where no hub asks for any.
  type: list
  elements: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.storage_objects import claim_objects


def storage_claims(hubs: Any, storage: Any) -> list[dict[str, Any]]:
    """Map the errors of `claim_objects` to Ansible's."""
    try:
        return claim_objects(hubs, storage)
    except (AttributeError, TypeError, KeyError) as error:
        raise AnsibleFilterError(f"storage_claims: {error}") from error


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"storage_claims": storage_claims}
