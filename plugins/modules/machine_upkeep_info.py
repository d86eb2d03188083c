#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A node's certificates, and a head's etcd and snapshots."""

from __future__ import annotations

DOCUMENTATION = r"""
module: machine_upkeep_info
short_description: Tell when a node's certificates end, and how a head's etcd and its snapshots are
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Reads the certificates that kubeadm and the kubelet made, and asks the ports of a head's API and etcd whether they serve them.
  - Reads what the timers of role C(head_upkeep) left, and asks etcd for its size and quota. Reads only.
options: {}
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
- name: Look at certificates and snapshots
  ironbinder.platform.machine_upkeep_info:
  become: true
  register: upkeep
"""

RETURN = r"""
upkeep:
  description: What was seen. Of a machine that is no head the certificates only.
  returned: success
  type: dict
  contains:
    certificates:
      description: >-
        Each with C(name), C(file), C(kind), C(not_after) in seconds since the epoch or C(error), and where a port serves it
        C(port) and C(served), V(same), V(other) or V(silent).
      type: list
      elements: dict
    etcd: {description: "C(version), C(bytes), C(in_use_bytes) and C(quota_bytes).", type: dict}
    snapshots: {description: "The last attempt, and C(snapshots), each with its record and its size now.", type: dict}
    renewal: {description: The last attempt to renew certificates., type: dict}
    timer_at: {description: "When the timer of snapshots came, in seconds since the epoch.", type: float}
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.upkeep import upkeep_facts


def main() -> None:
    """Look, report."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.exit_json(changed=False, upkeep=upkeep_facts(Path("/")))


if __name__ == "__main__":
    main()
