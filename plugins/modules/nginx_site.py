#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""One site of a machine's NGINX."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nginx_site
short_description: Put a site into a machine's NGINX, once NGINX accepts it together with all others
version_added: 0.1.0
description:
  - Writes a file into V(/etc/nginx/conf.d) after C(nginx) has tested the machine's whole configuration with it. What is refused
    changes nothing.
  - Asks the NGINX that runs which configuration it has, and has it read its files again where that is another one. So a run
    that was stopped between writing and reloading is finished by the next one, and a reload that cannot bind a port, which NGINX
    counts as a success, is found out.
  - Does not start an NGINX that does not run.
author: Ironbinder maintainers (@ironbinder)
options:
  name:
    description: Name of the site, and of its files.
    type: str
    required: true
  configuration:
    description:
      - Text of the file in V(conf.d). Every C(@generation@) in it is replaced by a value that stands for this text, and for
        O(certificate_and_key), and O(more_certificates).
      - It has to answer O(generation_url) with that value, to the machine itself.
    type: str
    required: true
  generation_url:
    description: Where the running NGINX tells the machine itself which configuration it has.
    type: str
    required: true
  certificate_and_key:
    description:
      - PEM text of certificate, chain and key, kept in V(/etc/nginx/<name>.pem), which O(configuration) names. One file, so that
        a certificate never waits for its key.
      - Empty removes that file.
    type: str
    default: ""
  more_certificates:
    description: The same of further names, by name, each kept in V(/etc/nginx/<name of the site>.<name>.pem).
    type: dict
    default: {}
  logs:
    description: Files in V(/var/log/nginx) to make before NGINX does, which would let everyone read them.
    type: list
    elements: str
    default: []
  replaces:
    description:
      - Files in V(/etc/nginx/sites-enabled) that NGINX shall no longer read, such as V(default).
      - A link is removed. A file is moved to V(sites-available), see RV(replaced).
    type: list
    elements: str
    default: []
  adopt:
    description:
      - Whether a site of O(replaces) may be one that somebody made.
      - Else only the package's own V(default) is replaced, as long as it is unchanged and shows nothing but the package's page.
    type: bool
    default: false
  timeout_seconds:
    description: How long a reload may take.
    type: int
    default: 20
attributes:
  check_mode:
    support: full
    description: Says what it would do, on machines without NGINX, too. The configuration is not tested, as that makes files.
  diff_mode:
    support: full
    description: One difference a file. Certificate and key are not shown.
  idempotent:
    support: full
    description: An NGINX that runs this configuration is left alone.
"""

EXAMPLES = r"""
- name: Put a site into NGINX
  ironbinder.platform.nginx_site:
    name: hello
    configuration: |
      server {
          listen 127.0.0.1:8080;
          location = /.generation { return 200 "@generation@"; }
      }
    generation_url: http://127.0.0.1:8080/.generation
"""

RETURN = r"""
generation:
  description: What stands for this configuration.
  returned: success
  type: str
  sample: 0fb1c2d3a4958677
replaced:
  description: Files of O(replaces) that were no links, each with C(path) and what it is called now, C(kept_as).
  returned: success
  type: list
  elements: dict
  sample:
    - path: /etc/nginx/sites-enabled/default
      kept_as: /etc/nginx/sites-available/default.before-ironbinder
running:
  description: Whether NGINX runs this configuration now. In check mode, whether it did so before.
  returned: success
  type: bool
  sample: true
"""

import grp
import pwd
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import SystemClock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import run_command
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.nginx_site import (
    Machine,
    NginxError,
    NginxSite,
    Site,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpTransport

# Who has NGINX's logs on Debian and Ubuntu.
LOG_USER = "www-data"
LOG_GROUP = "adm"


def machine_here() -> Machine:
    """NGINX as Debian and Ubuntu package it."""
    try:
        return Machine(log_owner=(pwd.getpwnam(LOG_USER).pw_uid, grp.getgrnam(LOG_GROUP).gr_gid))
    except KeyError as error:
        raise NginxError(
            f"{error.args[0]}: NGINX's logs belong to {LOG_USER} and {LOG_GROUP}, add them"
        ) from error


def main() -> None:
    """Compare, do, report."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "configuration": {"type": "str", "required": True},
            "generation_url": {"type": "str", "required": True},
            "certificate_and_key": {"type": "str", "default": "", "no_log": True},
            "more_certificates": {"type": "dict", "default": {}, "no_log": True},
            "logs": {"type": "list", "elements": "str", "default": []},
            "replaces": {"type": "list", "elements": "str", "default": []},
            "adopt": {"type": "bool", "default": False},
            "timeout_seconds": {"type": "int", "default": 20},
        },
        supports_check_mode=True,
    )
    wanted = Site(
        name=module.params["name"],
        text=module.params["configuration"],
        generation_url=module.params["generation_url"],
        pem=module.params["certificate_and_key"],
        logs=module.params["logs"],
        replaces=module.params["replaces"],
        adopt=module.params["adopt"],
        more_pems=module.params["more_certificates"],
    )
    result: dict[str, Any] = {"changed": False}
    try:
        site = NginxSite(wanted, machine_here(), run_command, HttpTransport(), SystemClock())
        result["generation"] = site.generation
        if not site.installed and not module.check_mode:
            raise NginxError("this machine has no NGINX: install the package nginx first")
        changes = site.changes()
        replaced = [
            {"path": str(one.path), "kept_as": str(one.kept_as)} for one in changes if one.kept_as is not None
        ]
        if not module.check_mode:
            site.put_in_place(changes)
        result.update(changed=bool(changes), replaced=replaced, running=site.runs())
        # An NGINX that does not run reads what is there when it starts, which is another task's matter. One that was told to read
        # a file that somebody edited answers as if it had ours: what stands for the configuration is a part of it.
        if (site.reloads(changes) or not result["running"]) and site.active:
            result["changed"] = True
            if not module.check_mode:
                site.make_run(module.params["timeout_seconds"])
                result["running"] = True
    except (NginxError, OSError) as error:
        module.fail_json(msg=str(error), **result)
    if module._diff:
        result["diff"] = [
            {"before": change.before, "after": change.after, "before_header": str(change.path)}
            | {"after_header": str(change.path)}
            for change in changes
        ]
    module.exit_json(**result)


if __name__ == "__main__":
    main()
