#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Check a whole site before anything is changed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: site_check
short_description: Find every mistake of a site before anything is changed
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Runs every rule of the site contract over the whole inventory and over what was seen on the machines, and reports all
    findings at once, errors before warnings.
  - Runs on the controller, as an action. It reads the inventory, Ansible's facts and the registered results of
    M(ironbinder.platform.site_probe). Rules never see a secret, only what can be said about it.
  - C(docs/site-contract.md) lists the rules.
requirements:
  - netaddr
  - jsonschema
  - PyYAML
  - cryptography
options:
  probe_variable:
    description: Name under which the results of M(ironbinder.platform.site_probe) were registered.
    type: str
    default: preflight_probe
  ports_variable:
    description: Name under which the results of M(ironbinder.platform.port_probe) were registered.
    type: str
    default: preflight_ports
  facts_variable:
    description: Name under which the results of M(ansible.builtin.gather_facts) were registered.
    type: str
    default: preflight_facts
  report_file:
    description: A file on the controller that receives the findings as JSON. Not written in check mode.
    type: path
  refuse:
    description: Whether an error makes the task fail.
    type: bool
    default: true
  strict:
    description: Whether a warning counts as an error when refusing.
    type: bool
    default: false
  settled:
    description: Names of rules to leave out, as what they ask for is what the caller brings about next.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Checks the same in check mode, and writes no report.
    support: full
  diff_mode:
    description: Changes nothing but its report.
    support: none
  idempotent:
    description: Changes nothing but its report.
    support: full
seealso:
  - module: ironbinder.platform.site_probe
"""

EXAMPLES = r"""
- name: Check the site
  ironbinder.platform.site_check:
    report_file: findings.json
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
findings:
  description: All findings, errors first.
  returned: always
  type: list
  elements: dict
  contains:
    id: {description: The rule., type: str, sample: pool-malformed}
    severity: {description: "C(error) or C(warning).", type: str, sample: error}
    variable: {description: The variable at fault., type: str, sample: site_floating_pool}
    host: {description: The host at fault., type: str, sample: head1}
    observed: {description: What was seen., type: str, sample: "'192.0.2.9-192.0.2.1' is reversed"}
    accepted: {description: "Why the site accepts the finding, empty where it does not.", type: str, sample: ""}
    commands: {description: "What to run for that, each as it is.", type: list, elements: str, sample: []}
    remedy: {description: What to do., type: str, sample: write it as 192.0.2.1-192.0.2.9}
error_count:
  description: How many findings are errors.
  returned: always
  type: int
warning_count:
  description: How many findings are warnings.
  returned: always
  type: int
table:
  description: The findings as lines for a screen.
  returned: always
  type: str
"""
