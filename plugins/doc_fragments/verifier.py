# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the modules that look at a BinderHub from outside have in common."""

from __future__ import annotations


class ModuleDocFragment:
    """Options of `module_utils/_verify/options.py`, and where these modules run."""

    DOCUMENTATION = r"""
options:
  url:
    description: Public URL of the BinderHub, for example C(https://binder.example.org/binderhub/).
    type: str
    required: true
  ca_files:
    description: PEM files with CAs to trust besides the system's.
    type: list
    elements: path
    default: []
  validate_certs:
    description: Whether to check TLS certificates. Without, the task proves less than what a browser needs.
    type: bool
    default: true
notes:
  - It runs where people's browsers are thought to be, which is the controller as a rule.
  - Proxies named in the environment are not used.
"""
