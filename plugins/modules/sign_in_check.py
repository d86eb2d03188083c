#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Tries the way on which people sign in to a hub, as far as one comes without an account."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sign_in_check
short_description: Prove that people come to where they sign in
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Opens a BinderHub's page without an account, and follows it to the hub's login. A page that opens without is a failure, and
    so is a loop.
  - With O(callback_url), begins to sign in, and compares the callback that the hub names.
  - With O(issuer), asks the provider for its login page, which it refuses to a client or a callback that it does not know, and
    shows it the client's secret with a code that is none. Nobody is signed in.
extends_documentation_fragment: [ironbinder.platform.verifier]
options:
  hub_url:
    description: Public URL of the JupyterHub.
    type: str
    required: true
  callback_url:
    description: Where the provider sends people back to. Empty where they sign in at the hub itself.
    type: str
    default: ""
  issuer:
    description: The OpenID provider, as it calls itself. Empty where it is of another kind, or cannot be reached from here.
    type: str
    default: ""
  client_id:
    description: What the provider calls the hub.
    type: str
    default: ""
  client_secret:
    description: The client's secret. Empty for not to try it.
    type: str
    default: ""
  proxy_environment:
    description: HTTP proxy to the provider, as C(http_proxy), C(https_proxy) and C(no_proxy). Empty for none.
    type: dict
    default: {}
attributes:
  check_mode:
    description: Whether it can run in check mode.
    support: partial
    details: Nothing is asked; the task is reported as skipped.
  diff_mode:
    description: Whether it shows a difference.
    support: none
  idempotent:
    description: Whether it can run again.
    support: full
    details: It reads only.
"""

EXAMPLES = r"""
- name: See that people can sign in
  ironbinder.platform.sign_in_check:
    url: https://binder.example.org/binderhub/
    hub_url: https://binder.example.org/jupyterhub/
    callback_url: https://binder.example.org/jupyterhub/hub/oauth_callback
    issuer: https://iam-escape.cloud.cnaf.infn.it/
    client_id: 0f3c6b1e-example
    client_secret: "{{ site_hub_auth_secrets.binder.client_secret }}"
  delegate_to: localhost
"""

RETURN = r"""
login_url:
  description: The page that asks people who they are.
  returned: success
  type: str
client:
  description: Whether the provider took the client's id and secret. Null where it was not asked.
  returned: success
  type: bool
kind:
  description:
    - Short name of the failure, for programs. Those of M(ironbinder.platform.binder_launch), and
    - C(sign_in_loop), C(sign_in_off), C(sign_in) for a login that does not open, C(callback), C(provider), C(client) for a
      client or callback that the provider does not know, C(client_secret).
  returned: failure
  type: str
"""

from collections.abc import Mapping
from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpFailure, HttpTransport
from ansible_collections.ironbinder.platform.plugins.module_utils._net.openid import (
    DiscoveryError,
    discover,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.errors import VerifyError
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.options import (
    SHARED_OPTIONS,
    transport_of,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.sign_in import (
    SignInCheck,
    check_sign_in,
)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **SHARED_OPTIONS,
            "hub_url": {"type": "str", "required": True},
            "callback_url": {"type": "str", "default": ""},
            "issuer": {"type": "str", "default": ""},
            "client_id": {"type": "str", "default": ""},
            "client_secret": {"type": "str", "default": "", "no_log": True},
            "proxy_environment": {"type": "dict", "default": {}, "no_log": True},
        },
        supports_check_mode=True,
    )
    params = module.params
    if module.check_mode:
        module.exit_json(changed=False, skipped=True, msg="Check mode: nobody was asked.")
    check = SignInCheck(
        binder_url=params["url"],
        hub_url=params["hub_url"],
        callback_url=params["callback_url"],
        client_id=params["client_id"],
        client_secret=params["client_secret"],
    )
    try:
        told = check_sign_in(check, transport_of(params), *_provider(params))
    except VerifyError as error:
        error.hide([params["client_secret"]])
        module.fail_json(msg=str(error), kind=error.kind)
    except (HttpFailure, DiscoveryError) as error:
        module.fail_json(
            msg="The provider by which people sign in gives no usable answer. "
            f"Where: {params['issuer']}. Observed: {error}. Next: see whether it runs, and whether site_https_proxy and "
            "site_ca_files are right.",
            kind="provider",
        )
    module.exit_json(changed=False, **told)


def _provider(params: Mapping[str, Any]) -> tuple[Optional[HttpTransport], str]:
    """Give the network to the provider and its address for tokens; None and "" where it is not to be asked."""
    if not params["issuer"]:
        return None, ""
    network = HttpTransport(
        params["ca_files"],
        params["validate_certs"],
        uses_proxies=True,
        environment=params["proxy_environment"],
    )
    return network, discover(params["issuer"], network)["endpoints"]["token_url"]


if __name__ == "__main__":
    main()
