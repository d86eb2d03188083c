#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Asks an OpenID provider where people sign in."""

from __future__ import annotations

DOCUMENTATION = r"""
module: openid_discovery
short_description: Ask an OpenID provider for its endpoints
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Reads the provider's C(.well-known/openid-configuration), and gives the addresses that a JupyterHub has to know.
  - A provider that calls itself otherwise than O(issuer) is a failure, be it for a slash at the end.
options:
  issuer:
    description: The provider, as it calls itself.
    type: str
    required: true
  ca_files:
    description: PEM files with CAs to trust besides the system's.
    type: list
    elements: path
    default: []
  proxy_environment:
    description: HTTP proxy to go through, as C(http_proxy), C(https_proxy) and C(no_proxy). Empty for none.
    type: dict
    default: {}
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
    details: It reads only.
"""

EXAMPLES = r"""
- name: Ask the provider
  ironbinder.platform.openid_discovery:
    issuer: https://iam-escape.cloud.cnaf.infn.it/
  delegate_to: localhost
  register: provider
"""

RETURN = r"""
endpoints:
  description: C(authorize_url), C(token_url) and C(userdata_url).
  returned: success
  type: dict
claims:
  description: What the provider says that it tells of people; empty where it does not say.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpFailure, HttpTransport
from ansible_collections.ironbinder.platform.plugins.module_utils._net.openid import (
    DiscoveryError,
    discover,
)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "issuer": {"type": "str", "required": True},
            "ca_files": {"type": "list", "elements": "path", "default": []},
            "proxy_environment": {"type": "dict", "default": {}, "no_log": True},
        },
        supports_check_mode=True,
    )
    issuer, environment = module.params["issuer"], module.params["proxy_environment"]
    try:
        transport = HttpTransport(module.params["ca_files"], uses_proxies=True, environment=environment)
        told = discover(issuer, transport)
    except (HttpFailure, DiscoveryError) as error:
        module.fail_json(
            msg=f"The OpenID provider could not be asked where people sign in. Where: {issuer}. Observed: {error}. Next: correct "
            "issuer in the hub's auth, or name the provider's addresses in auth.endpoints; see docs/sign-in.md."
        )
    module.exit_json(changed=False, endpoints=told["endpoints"], claims=told["claims"])


if __name__ == "__main__":
    main()
