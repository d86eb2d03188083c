#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
from __future__ import annotations

DOCUMENTATION = r"""
module: base_image
short_description: Have the registry hold the base of people's images
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Asks the registry for an image whose tag names what it is made of. Where it is there, nothing is done.
  - Else builds it with this machine's Docker, and pushes it.
  - The registry is asked by the daemon, which trusts and finds it as builds do.
options:
  name:
    description: The image, C(registry/repository:tag). Its tag has to change with O(files).
    type: str
    required: true
  base:
    description: Image that it starts from. Pulled if missing.
    type: str
    required: true
  files:
    description: Files of the build, as the filter P(ironbinder.platform.base_image_context#filter) gives them.
    type: dict
    required: true
  username:
    description: Account that may push. Empty where the registry asks for none.
    type: str
    default: ""
  password:
    description: Its password.
    type: str
    default: ""
  socket_path:
    description: Socket of the daemon.
    type: path
    default: /var/run/docker.sock
  timeout_seconds:
    description: Longest silence of the daemon that is waited for.
    type: int
    default: 300
attributes:
  check_mode:
    support: full
    description: Asks the registry and makes nothing. Where there is no daemon or registry yet, says that a run will make it.
  diff_mode:
    support: full
    description: Shows the Dockerfile of an image that is made.
  idempotent:
    support: full
    description: One question to the registry.
"""

EXAMPLES = r"""
- name: Have the base that builds start from
  ironbinder.platform.base_image:
    name: registry.example.org:5000/binder/stfc-base:{{ context.tag }}
    base: docker.io/library/buildpack-deps:24.04
    files: "{{ context.files }}"
    username: binder
    password: "{{ site_registry_password }}"
"""

RETURN = r"""
digest:
  description: The registry's digest of the image; empty where a check could not ask.
  returned: success
  type: str
observed:
  description: In check mode, why the prediction is one; else empty.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import run_command
from ansible_collections.ironbinder.platform.plugins.module_utils._docker.base_image import (
    BaseImageFault,
    Wish,
    ensure,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._docker.engine import Account, DockerEngine
from ansible_collections.ironbinder.platform.plugins.module_utils._net.docker_hub import account_key


def main() -> None:
    """Ask, make, report."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "base": {"type": "str", "required": True},
            "files": {"type": "dict", "required": True},
            "username": {"type": "str", "default": ""},
            "password": {"type": "str", "default": "", "no_log": True},
            "socket_path": {"type": "path", "default": "/var/run/docker.sock"},
            "timeout_seconds": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    given = module.params
    wish = Wish(given["name"], given["base"], given["files"])
    account = Account(account_key(wish.name.partition("/")[0]), given["username"], given["password"])
    engine = DockerEngine(given["socket_path"], given["timeout_seconds"])
    try:
        made = ensure(engine, wish, account, run_command, check_mode=module.check_mode)
    except BaseImageFault as fault:
        module.fail_json(msg=str(fault))
    after = f"{wish.name}\n{wish.files.get('Dockerfile', '')}"
    module.exit_json(
        changed=made.changed,
        digest=made.digest,
        observed=made.observed,
        diff={"before": "" if made.changed else after, "after": after},
    )


if __name__ == "__main__":
    main()
