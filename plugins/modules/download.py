#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A file of another server, by way of the site's proxy where it has one."""

from __future__ import annotations

DOCUMENTATION = r"""
module: download
short_description: Fetch a file, through a proxy whose account nobody sees, and trusting the site's CAs
version_added: 0.1.0
description:
  - Does what M(ansible.builtin.get_url) does for HTTP and HTTPS, with two differences. The proxy is an argument that is in no log
    and no list of processes, where C(environment) would put its password into both. And further CAs are an argument, too.
  - A file is written whole or not at all, and only if it is what its checksum says.
author: Ironbinder maintainers (@ironbinder)
options:
  url:
    description: The file, by C(http://) or C(https://). A few redirects are followed.
    type: str
    required: true
  dest:
    description: Where it is to be. Its folder has to exist. Without it RV(content) is returned and nothing is written.
    type: path
  mode:
    description: Mode of the file, quoted.
    type: str
    default: "0644"
  checksum:
    description:
      - C(sha256:<digest>), or C(sha256:<URL>) of a file that has it.
      - A file that has this digest is not fetched again. Without a checksum one that is there is never fetched again.
    type: str
    default: ""
  force:
    description: Fetch it also where it is there, and write it where it differs.
    type: bool
    default: false
  ca_certificates:
    description: Certificates to trust beside the machine's own, in PEM.
    type: str
    default: ""
  proxy_environment:
    description: The proxy as C(http_proxy), C(https_proxy) and C(no_proxy). Empty for what the machine's environment says.
    type: dict
    default: {}
  timeout_seconds:
    description: Longest silence.
    type: int
    default: 30
  limit_bytes:
    description: Most that is taken.
    type: int
    default: 268435456
attributes:
  check_mode:
    support: full
    description: Says whether the file would be fetched, and asks nobody. Without O(dest) it does the same as ever.
  diff_mode:
    support: none
    description: The file is somebody else's.
  idempotent:
    support: full
    description: A file that is as it should be is not touched.
"""

EXAMPLES = r"""
- name: Fetch a key through the site's proxy
  ironbinder.platform.download:
    url: https://pkgs.k8s.io/core:/stable:/v1.36/deb/Release.key
    dest: /etc/apt/keyrings/kubernetes.asc
    proxy_environment: "{{ site_http_proxy_environment }}"
"""

RETURN = r"""
dest:
  description: Where it is.
  returned: with O(dest)
  type: str
content:
  description: What it holds, as text.
  returned: without O(dest)
  type: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._net.download import (
    Download,
    DownloadError,
    Wish,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpFailure, HttpTransport


def main() -> None:
    """Fetch, compare, write."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "dest": {"type": "path"},
            "mode": {"type": "str", "default": "0644"},
            "checksum": {"type": "str", "default": ""},
            "force": {"type": "bool", "default": False},
            "ca_certificates": {"type": "str", "default": ""},
            "proxy_environment": {"type": "dict", "default": {}, "no_log": True},
            "timeout_seconds": {"type": "int", "default": 30},
            "limit_bytes": {"type": "int", "default": 256 << 20},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        transport = HttpTransport(
            ca_pem=params["ca_certificates"], uses_proxies=True, environment=params["proxy_environment"]
        )
        download = Download(transport, params["timeout_seconds"], params["limit_bytes"])
        if not params["dest"]:
            module.exit_json(changed=False, content=download.fetch(params["url"]).decode(errors="replace"))
        wish = Wish(
            params["url"], Path(params["dest"]), int(params["mode"], 8), params["checksum"], params["force"]
        )
        changed = download.is_needed(wish) if module.check_mode else download.bring(wish)
    except (DownloadError, HttpFailure, OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changed, dest=params["dest"])


if __name__ == "__main__":
    main()
