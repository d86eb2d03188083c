#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Tries from a machine, and from a RUN step of a build there, what M(fence_probe) wants to know."""

from __future__ import annotations

DOCUMENTATION = r"""
module: fence_probe_local
short_description: Try targets from a machine, and from a RUN step of a build on it
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - The part of M(ironbinder.platform.fence_probe) that no pod can do.
  - On a node it tries every target from the node itself, which shows that they are alive, and, with O(image), from a RUN step of
    a C(docker build) without cache. Then it sees whether a step may ask for C(--network=host).
  - On a proxy it tries only what a proxy needs, and service addresses that no service has where something answers at them.
  - As V(machine) it tries what has this machine's own address, which firewalls may hide from everybody else.
  - It never fails because of what it finds; M(ironbinder.platform.fence_probe) judges.
options:
  run:
    description: What M(ironbinder.platform.fence_probe) returned as RV(ironbinder.platform.fence_probe#module:run).
    type: dict
    required: true
  role:
    description: What this machine is.
    type: str
    choices: [node, proxy, machine]
    required: true
  node:
    description: Name of the machine, which is that of its node where it is one.
    type: str
    default: ""
  image:
    description: Image with C(python3) for the RUN step; Docker pulls it if missing. Empty to build nothing.
    type: str
    default: ""
attributes:
  check_mode:
    support: partial
    description: Does nothing in a check.
    details: Nothing is tried; the task is reported as skipped.
  diff_mode:
    support: none
    description: Nothing lasting is changed.
  idempotent:
    support: full
    description: The image of the build is removed. V(changed) is always false.
"""

EXAMPLES = r"""
- name: Try the targets from a RUN step
  ironbinder.platform.fence_probe_local:
    run: "{{ probes.run }}"
    role: node
    node: worker1
    image: quay.io/jupyterhub/repo2docker:2026.4.0
  delegate_to: worker1
  become: true
  register: tried
"""

RETURN = r"""
reports:
  description: What was found, for M(ironbinder.platform.fence_probe). Each has C(origin), C(results), C(ipv6) and C(trouble).
  returned: always
  type: list
  elements: dict
"""

from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_pods import order
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_rules import (
    Origin,
    Target,
    expected,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_step import (
    probe_from_both,
    probe_from_here,
)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "run": {"type": "dict", "required": True},
            "role": {"type": "str", "choices": ["node", "proxy", "machine"], "required": True},
            "node": {"type": "str", "default": ""},
            "image": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=False, skipped=True, msg="Check mode: nothing was tried.")
    run, role, node = module.params["run"], module.params["role"], module.params["node"]
    targets = [Target(**entry) for entry in run["targets"]]
    networks, resolved = run["networks"], run["resolved"]
    here, step = Origin(role, "", node), Origin("run", "", node)

    def asked_here(target: Target) -> bool:
        if role == "proxy":
            # No more: what watches its network should not take us for an attacker. Nobody on a node shows that an address of
            # the services' range is alive.
            proof = target.kind == "unassigned" and target.provable
            return proof or bool(expected(target, here, networks, resolved))
        if role == "machine":
            return target.address == run["machines"].get(node)
        # A node's own gateway is not its pods'.
        return not target.local

    asked = [target for target in targets if asked_here(target)]
    argument = order(asked, here, networks, resolved)
    if module.params["image"]:
        build = order(targets, step, networks, resolved)
        reports = probe_from_both(here, argument, module.params["image"], build)
    else:
        reports = [probe_from_here(here, argument)]
    module.exit_json(changed=False, reports=[asdict(report) for report in reports])


if __name__ == "__main__":
    main()
