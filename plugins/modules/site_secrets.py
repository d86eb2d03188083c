#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Make a site's secrets once. The action plugin of the same name does it, on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: site_secrets
short_description: Make the secrets of a new site, once
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Writes a C(secrets.yml) with two tokens of 32 random bytes for each hub, readable by its owner only.
  - Encrypts it with ansible-vault where Ansible was given a vault password, by whatever way. Fails where the configuration names
    a vault id for encrypting whose password was not given.
  - Never touches a file that has content, and never shows what it wrote. An empty file, as a run that was killed may have left
    it, counts as not there.
  - Runs on the controller, as an action plugin.
options:
  path:
    description: The file to write.
    type: path
    required: true
  hubs:
    description: Names of the hubs.
    type: list
    elements: str
    default: [binder]
  registry_username:
    description: Account at the registry, if it has one.
    type: str
    default: ""
  registry_password:
    description: Its password.
    type: str
    default: ""
  registry_pull_username:
    description: Account that only pulls, for sessions, if the registry has one. A registry of the site's own makes it.
    type: str
    default: ""
  registry_pull_password:
    description: Its password. Empty makes one for an account that has a name.
    type: str
    default: ""
attributes:
  check_mode:
    description: Says whether it would write the file.
    support: full
  diff_mode:
    description: Never shows what it writes.
    support: none
  idempotent:
    description: A file that has content stays as it is.
    support: full
"""

EXAMPLES = r"""
- name: Make the secrets
  ironbinder.platform.site_secrets:
    path: inventories/stfc/group_vars/all/secrets.yml
"""

RETURN = r"""
encrypted:
  description: Whether the file is encrypted, be it new or old.
  returned: success
  type: bool
"""
