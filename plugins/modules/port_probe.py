#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Try ports of other machines, for site_check."""

from __future__ import annotations

DOCUMENTATION = r"""
module: port_probe
short_description: Try the ports at which machines of a site will talk to each other
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Connects to ports that M(ironbinder.platform.site_probe) has opened on other machines, or that are in use there, and closes
    the connections again.
  - All options are filled in from the site contract and from what M(ironbinder.platform.site_probe) saw, by the action plugin of
    the same name. On the turn of the first head it tries from the controller, too, what the controller will need.
  - Where there is nothing to try, the machine is not asked.
options:
  name:
    description: Who tries, as the inventory calls it. Filled in.
    type: str
    default: ""
  tried:
    description:
      - What is tried, each with C(target), C(address), C(protocol), C(port) and C(token).
      - A listener that was opened for this proves itself by the token. Without one a connection of TCP is all that is tried.
    type: list
    elements: dict
  probe_variable:
    description: Name under which the results of M(ironbinder.platform.site_probe) were registered. For the action.
    type: str
    default: preflight_probe
attributes:
  check_mode:
    description: Does the same in check mode.
    support: full
  diff_mode:
    description: Changes nothing.
    support: none
  idempotent:
    description: Changes nothing.
    support: full
seealso:
  - module: ironbinder.platform.site_probe
  - module: ironbinder.platform.site_check
"""

EXAMPLES = r"""
- name: Try the ports of the others
  ironbinder.platform.port_probe:
  register: preflight_ports
"""

RETURN = r"""
tried:
  description: What came of each attempt.
  returned: always
  type: list
  elements: dict
  contains:
    target: {description: The other machine., type: str, sample: head1}
    address: {description: Its address., type: str, sample: 192.0.2.11}
    protocol: {description: "C(tcp) or C(udp).", type: str, sample: tcp}
    port: {description: The port., type: int, sample: 6443}
    source: {description: The address that this machine has towards it., type: str, sample: 192.0.2.21}
    proved: {description: Whether a listener was there that would prove itself., type: bool, sample: true}
    state:
      description:
        - C(answered) by the listener that was meant, C(connected) to somebody, C(refused), C(timeout), C(unreachable) with the
          reason, or C(other) with the reason.
      type: str
      sample: answered
    by: {description: "C(controller) where the controller tried.", type: str, sample: controller}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._net.knock import knock


def main() -> None:
    """Answer Ansible."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "default": ""},
            "tried": {"type": "list", "elements": "dict"},
            "probe_variable": {"type": "str", "default": "preflight_probe"},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, tried=knock(module.params["name"], module.params["tried"] or []))


if __name__ == "__main__":
    main()
