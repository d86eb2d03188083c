#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Count how many sessions and builds a site bears."""

from __future__ import annotations

DOCUMENTATION = r"""
module: site_capacity
short_description: Count how many sessions and builds a site bears, and write down what follows
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Counts from memory, processors and disks of the nodes, and from what the site gives a session, how many sessions and builds
    run at once, and what quota, kubelets and kernels should be told.
  - Runs on the controller, as an action. It reads the inventory, Ansible's facts and the registered results of
    M(ironbinder.platform.site_probe).
  - Writes C(group_vars/all/capacity.yml) of the inventory. Values that the inventory sets elsewhere are left out of it.
  - Refuses where a node could not be looked at.
options:
  probe_variable:
    description: Name under which the results of M(ironbinder.platform.site_probe) were registered.
    type: str
    default: preflight_probe
  facts_variable:
    description: Name under which the results of M(ansible.builtin.gather_facts) were registered.
    type: str
    default: preflight_facts
  write:
    description: Whether the file is written.
    type: bool
    default: true
attributes:
  check_mode:
    description: Counts the same in check mode, and says whether the file would change.
    support: full
  diff_mode:
    description: The file.
    support: full
  idempotent:
    description: A file that is right is left alone.
    support: full
seealso:
  - module: ironbinder.platform.site_check
  - module: ironbinder.platform.site_probe
"""

EXAMPLES = r"""
- name: Count what the site bears
  ironbinder.platform.site_capacity:
  delegate_to: localhost
  run_once: true
  register: capacity
"""

RETURN = r"""
table:
  description: The plan as people read it, a line for each node, totals, and how each number was found.
  returned: success
  type: str
values:
  description: Variables of the contract with the numbers that were found, also those that the inventory sets otherwise.
  returned: success
  type: dict
  sample: {"site_total_quota": 18}
sessions:
  description: How many sessions fit at once.
  returned: success
  type: int
session:
  description: >-
    What a session requests and may use: C(memory_mib), C(memory_limit_mib), C(millicores), C(disk_mib), C(disk_limit_mib).
  returned: success
  type: dict
nodes:
  description: C(sessions), C(builds) and C(bound), the resource that runs out first, of each node.
  returned: success
  type: dict
file:
  description: The file with the values.
  returned: success
  type: str
"""
