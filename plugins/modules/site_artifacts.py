#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""List what a site fetches."""

from __future__ import annotations

DOCUMENTATION = r"""
module: site_artifacts
short_description: List every image, package, chart and file that a site fetches
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Lists what the site's pins and hubs need, each where its project has it and where the site's mirror has to.
  - Runs on the controller, as an action. It reads the inventory, Ansible's facts, and BinderHub's chart, which names images.
options:
  file:
    description: File on the controller that receives the list as JSON.
    type: path
attributes:
  check_mode:
    description: Lists the same in check mode, and writes no file.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
  idempotent:
    description: Changes no machine.
    support: full
seealso:
  - module: ironbinder.platform.site_check
"""

EXAMPLES = r"""
- name: List what the site fetches
  ironbinder.platform.site_artifacts:
    file: artifacts.json
  delegate_to: localhost
  run_once: true
  register: artifacts
"""

RETURN = r"""
table:
  description: The list as people read it.
  returned: success
  type: str
artifacts:
  description: >-
    Each with C(kind) (C(image), C(package), C(chart) or C(file)), C(name), C(upstream), C(mirrored) and C(used_for).
  returned: success
  type: list
  elements: dict
notes:
  description: What the list cannot say, a sentence each.
  returned: success
  type: list
  elements: str
"""
