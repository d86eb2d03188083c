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
  - Runs on the controller. The action plugin of the same name fills O(site) from the inventory, from Ansible's facts and from
    the registered results of M(ironbinder.platform.site_probe). It never hands over a secret, only what can be said about it.
  - C(docs/site-contract.md) lists the rules.
requirements:
  - netaddr
  - PyYAML
  - cryptography (to look at certificates)
options:
  site:
    description:
      - The site as data. Filled in by the action plugin.
    type: dict
    default: {}
  probe_variable:
    description: Name under which the results of M(ironbinder.platform.site_probe) were registered.
    type: str
    default: preflight_probe
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

import json
import os
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

try:
    import netaddr  # noqa: F401
    import yaml  # noqa: F401

    MISSING = ""
except ImportError:
    MISSING = traceback.format_exc()


def write_report(path: str, report: dict[str, Any]) -> None:
    """Write the report whole or not at all."""
    target = Path(path)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".site-check-")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump(report, stream, indent=2, sort_keys=True)
        stream.write("\n")
    Path(name).replace(target)


def main() -> None:
    """Answer Ansible."""
    module = AnsibleModule(
        argument_spec={
            "site": {"type": "dict", "default": {}},
            "probe_variable": {"type": "str", "default": "preflight_probe"},
            "facts_variable": {"type": "str", "default": "preflight_facts"},
            "report_file": {"type": "path"},
            "refuse": {"type": "bool", "default": True},
            "strict": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
        no_log=True,  # keeps the whole site out of the system's journal
    )
    if MISSING:
        module.fail_json(msg=missing_required_lib("netaddr and PyYAML"), exception=MISSING)

    # These import netaddr and yaml, so only here.
    from ansible_collections.ironbinder.platform.plugins.module_utils._controller_view import look  # noqa: PLC0415
    from ansible_collections.ironbinder.platform.plugins.module_utils._site_check import check_site  # noqa: PLC0415
    from ansible_collections.ironbinder.platform.plugins.module_utils._site_model import Site  # noqa: PLC0415

    site = dict(module.params["site"])
    site.setdefault("clock", time.time())
    site.setdefault("controller", look(Site.from_data(site)))
    report = check_site(site).as_data()
    try:
        if module.params["report_file"] and not module.check_mode:
            write_report(module.params["report_file"], report)
    except OSError as error:
        module.fail_json(
            msg=f"the report could not be written to {module.params['report_file']}: {error}", **report
        )
    refused = report["error_count"] or (module.params["strict"] and report["warning_count"])
    if module.params["refuse"] and refused:
        module.fail_json(msg=report["table"], **report)
    module.exit_json(changed=False, **report)


if __name__ == "__main__":
    main()
