#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Add the tokens of new hubs. The action plugin of the same name does it, on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: site_tokens
short_description: Add the tokens of new hubs to a site's secrets
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Looks for hubs of C(site_hubs) without tokens, and writes 32 random bytes for each that is missing into the file of secrets.
    Every line that is there stays as it is, comments, order and line ends included, but for an empty token, which is filled in.
    The file's mode and owner stay, too.
  - A file that is encrypted as a whole is encrypted again, with the same password and vault id. One whose tokens are encrypted
    one by one is left alone, and so is one that does not set the variable that the tokens come from.
  - A hub that has its tokens gets no secret of build tokens afterwards, since another one would end links that people have.
  - Runs on the controller, as an action plugin, and never shows what it wrote.
options:
  path:
    description: The file with the site's secrets.
    type: path
    required: true
  refuse:
    description: Whether a file to which nothing can be added is a failure. Else it is a warning.
    type: bool
    default: true
attributes:
  check_mode:
    description: Says what it would add.
    support: full
  diff_mode:
    description: Never shows what it writes.
    support: none
  idempotent:
    description: A file that lacks nothing stays as it is.
    support: full
"""

EXAMPLES = r"""
- name: Add the tokens of new hubs
  ironbinder.platform.site_tokens:
    path: "{{ inventory_dir }}/group_vars/all/secrets.yml"
"""

RETURN = r"""
added:
  description: Names of the hubs that got a token, by variable.
  returned: always
  type: dict
  sample: {site_hub_api_tokens: [private], site_hub_proxy_tokens: [private]}
path:
  description: The file.
  returned: always
  type: str
"""
