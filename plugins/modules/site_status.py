#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""How a site stands."""

from __future__ import annotations

DOCUMENTATION = r"""
module: site_status
short_description: Put together how a site stands, as a table and as JSON
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Puts together the nodes with their versions, the floating addresses, the hubs, etcd's size and quota, the snapshots, and the
    days that are left of every certificate; and says what needs attention, in the words of preflight.
  - Runs on the controller, as an action. It reads the registered results of M(ironbinder.platform.machine_upkeep_info) and
    M(ironbinder.platform.cluster_overview_info), and asks the public URL and the registry for the certificates that they serve.
  - What did not answer is named, and the rest is told.
options:
  machines_variable:
    description: Name under which the results of M(ironbinder.platform.machine_upkeep_info) were registered.
    type: str
    default: status_machine
  cluster_variable:
    description: Name under which the result of M(ironbinder.platform.cluster_overview_info) was registered.
    type: str
    default: status_cluster
  report_file:
    description: A file on the controller that receives the same as JSON. Not written in check mode.
    type: path
attributes:
  check_mode:
    description: Asks the same in check mode, and writes no report.
    support: full
  diff_mode:
    description: Changes nothing but its report.
    support: none
  idempotent:
    description: Changes nothing but its report.
    support: full
seealso:
  - module: ironbinder.platform.machine_upkeep_info
  - module: ironbinder.platform.cluster_overview_info
"""

EXAMPLES = r"""
- name: Put together how the site stands
  ironbinder.platform.site_status:
    report_file: status.json
  delegate_to: localhost
  run_once: true
  register: status
"""

RETURN = r"""
table:
  description: How the site stands, as people read it.
  returned: success
  type: str
status:
  description:
    - The same as data, C(site), C(asked_at), C(kubernetes), C(nodes), C(floating_pool), C(floating_addresses), C(hubs), C(etcd),
      C(snapshots), C(certificates), C(not_asked) and C(findings).
    - C(certificates) have C(host), C(name), C(file), C(kind), C(days), C(state), C(served) and C(port), by their end.
  returned: success
  type: dict
"""
