#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Asks a BinderHub how it is."""

from __future__ import annotations

DOCUMENTATION = r"""
module: binderhub_health
short_description: Ask a BinderHub for its health and versions
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Reads a BinderHub's C(health) and C(versions) by its public URL.
  - A BinderHub too old to have them is asked for its main page instead.
  - BinderHub's check of the registry proves that it answers, not that a push works.
  - Proof of that takes M(ironbinder.platform.binder_launch).
extends_documentation_fragment: [ironbinder.platform.verifier]
options:
  fail_when_ill:
    description: Whether a BinderHub that says it is not well makes the task fail.
    type: bool
    default: true
  hub_token:
    description: Token of the hub, where people have to sign in. Only the main page of an old BinderHub asks for it.
    type: str
    default: ""
attributes:
  check_mode:
    description: Whether it can run in check mode.
    support: full
  diff_mode:
    description: Whether it shows a difference.
    support: none
  idempotent:
    description: Whether it can run again.
    support: full
"""

EXAMPLES = r"""
- name: Wait until BinderHub is well
  ironbinder.platform.binderhub_health:
    url: https://binder.example.org/binderhub/
  delegate_to: localhost
  register: health
  until: health is succeeded
  retries: 6
  delay: 5
"""

RETURN = r"""
ok:
  description: Whether BinderHub is well. A pod quota that is used up does not make it ill.
  returned: when BinderHub was reached
  type: bool
supported:
  description: Whether this BinderHub has a health page.
  returned: when BinderHub was reached
  type: bool
checks:
  description: BinderHub's checks, each with C(service) and C(ok). Without a health page there is one, of the main page.
  returned: when BinderHub was reached
  type: list
  elements: dict
  sample: [{service: Docker registry, ok: true}, {service: JupyterHub API, ok: true}]
versions:
  description: What BinderHub says of its versions; empty where it is too old to say.
  returned: when BinderHub was reached
  type: dict
kind:
  description: Short name of the failure, as M(ironbinder.platform.binder_launch) gives them; V(ill) for a BinderHub that says so.
  returned: failure
  type: str
"""

from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.errors import VerifyError
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.health import check_health
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.options import (
    SHARED_OPTIONS,
    transport_of,
)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **SHARED_OPTIONS,
            "fail_when_ill": {"type": "bool", "default": True},
            "hub_token": {"type": "str", "default": "", "no_log": True},
        },
        supports_check_mode=True,
    )
    url = module.params["url"]
    try:
        health = check_health(url, transport_of(module.params), module.params["hub_token"])
    except VerifyError as error:
        module.fail_json(msg=str(error), kind=error.kind)
    if not health.ok and module.params["fail_when_ill"]:
        failing = ", ".join(health.failing) or "nothing by name"
        module.fail_json(
            msg=f"BinderHub says that it is not well. Where: {url}. Observed: {failing} failing. Next: read BinderHub's "
            "log, and look at what is named.",
            kind="ill",
            **asdict(health),
        )
    module.exit_json(changed=False, **asdict(health))


if __name__ == "__main__":
    main()
