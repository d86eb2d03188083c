#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Proof that the Docker daemon uses its mirrors."""

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_mirror_info
short_description: Prove that the Docker daemon pulls through its mirrors of Docker Hub
version_added: 0.1.0
description:
  - Asks the daemon, not V(daemon.json), which mirrors of Docker Hub are in effect. One not restarted reports old ones.
  - Asks it likewise which proxy it uses.
  - With O(image), lets the daemon pull it and compares the digest it got with the one the mirror serves, asked without Docker.
  - Docker falls back to Docker Hub silently when a mirror fails. So every C(https://) mirror is also pulled from by its own name.
  - Speaks to the Docker Engine API on its socket. Neither the C(docker) command nor a Python package is needed.
author:
  - Ironbinder maintainers (@ironbinder)
attributes:
  check_mode:
    support: full
    description: The mirrors are compared and asked for the image, but the daemon pulls nothing.
  diff_mode:
    support: none
    description: Nothing is ever changed.
  idempotent:
    support: full
    description: The daemon holds the same images afterwards as before, so nothing is ever reported as changed.
options:
  expected_mirrors:
    description: Mirrors the daemon has to report, as V(scheme://host[:port]). A trailing slash does not matter.
    type: list
    elements: str
    default: []
  image:
    description:
      - Image on Docker Hub to prove the mirrors with. A small one will do.
      - Without it nothing is pulled.
    type: str
  expected_proxies:
    description:
      - The proxy that the daemon has to use, as C(http_proxy), C(https_proxy) and C(no_proxy). Empty not to ask for it.
      - The daemon does not tell a proxy's account, so that is not compared.
    type: dict
    default: {}
  ca_file:
    description: PEM file with CAs of the mirrors, for what is asked without Docker. The system's are trusted anyway.
    type: path
  socket_path:
    description: Socket of the daemon.
    type: path
    default: /var/run/docker.sock
  timeout_seconds:
    description: Longest silence of the daemon or of a mirror that is waited for.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Prove that builds do not depend on Docker Hub
  ironbinder.platform.docker_mirror_info:
    expected_mirrors: [https://mirror.example.org]
    image: docker.io/library/hello-world:latest
    ca_file: /etc/ssl/certs/ca-certificates.crt
"""

RETURN = r"""
server_version:
  description: Version of the daemon.
  returned: when the daemon answers
  type: str
  sample: 20.10.24+dfsg1
mirrors:
  description: Mirrors of Docker Hub that the daemon reports, in its order, without trailing slashes.
  returned: when the daemon answers
  type: list
  elements: str
  sample: [https://mirror.example.org]
missing_mirrors:
  description: Those of O(expected_mirrors) that the daemon does not report.
  returned: when the daemon answers
  type: list
  elements: str
  sample: []
proxies:
  description: The proxy that the daemon uses, without its account.
  returned: when the daemon answers
  type: dict
pulls:
  description: The pulls that proved the mirrors. Empty in check mode and without O(image).
  returned: success
  type: list
  elements: dict
  contains:
    source:
      description: The mirror, or V(docker.io) for the pull by the image's usual name.
      type: str
    image:
      description: Name that was pulled.
      type: str
    digest:
      description: Digest the daemon resolved the name to.
      type: str
    seconds:
      description: How long the pull took.
      type: float
"""

from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._docker.engine import (
    DockerEngine,
    DockerEngineError,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._docker.mirror import (
    DockerMirrorError,
    Image,
    manifest_digest,
    missing_mirrors,
    other_proxies,
    parse_image,
    prove_pulls,
)


def main() -> None:
    """Ask the daemon, prove the mirrors, report."""
    module = AnsibleModule(
        argument_spec={
            "expected_mirrors": {"type": "list", "elements": "str", "default": []},
            "image": {"type": "str"},
            "expected_proxies": {"type": "dict", "default": {}, "no_log": True},
            "ca_file": {"type": "path"},
            "socket_path": {"type": "path", "default": "/var/run/docker.sock"},
            "timeout_seconds": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    timeout = module.params["timeout_seconds"]
    expected = module.params["expected_mirrors"]
    result: dict[str, Any] = {"changed": False}

    def digest_at(mirror: str, image: Image) -> str:
        return manifest_digest(mirror, image, module.params["ca_file"], timeout)

    try:
        engine = DockerEngine(module.params["socket_path"], timeout)
        info = engine.info()
        result.update(asdict(info), missing_mirrors=missing_mirrors(info, expected), pulls=[])
        if result["missing_mirrors"]:
            raise DockerMirrorError(
                f"the Docker daemon reports the mirrors {list(info.mirrors)}, which lacks "
                f"{', '.join(result['missing_mirrors'])}: where daemon.json names it under registry-mirrors, "
                "the daemon was not restarted since (`systemctl restart docker`); elsewhere, add it there"
            )
        if others := other_proxies(info, module.params["expected_proxies"]):
            raise DockerMirrorError(
                f"the Docker daemon uses another {' and '.join(others)} than the site's (`docker info`): where daemon.json names "
                "`proxies`, these win, so take them out there; else it was not restarted since (`systemctl restart docker`)"
            )
        if module.params["image"]:
            image = parse_image(module.params["image"])
            if module.check_mode:
                for mirror in info.mirrors:
                    digest_at(mirror, image)
            else:
                result["pulls"] = [
                    asdict(pull) for pull in prove_pulls(engine, image, info.mirrors, digest_at)
                ]
    except (DockerEngineError, DockerMirrorError) as error:
        module.fail_json(msg=str(error), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
