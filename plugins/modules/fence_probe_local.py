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
  - Where the run is also about trust, it asks registry, mirror, Git host and public URL for a page from the node, from a RUN
    step on the base of people's images and by the node's daemons; as V(head), from inside the pods of BinderHub and the hub.
  - It never fails because of what it finds; M(ironbinder.platform.fence_probe) judges.
options:
  run:
    description: What M(ironbinder.platform.fence_probe) returned as RV(ironbinder.platform.fence_probe#module:run).
    type: dict
    required: true
  role:
    description: What this machine is.
    type: str
    choices: [node, proxy, machine, head]
    required: true
  node:
    description: Name of the machine, which is that of its node where it is one.
    type: str
    default: ""
  image:
    description: Image with C(python3) for the RUN step; Docker pulls it if missing. Empty to build nothing.
    type: str
    default: ""
  registry:
    description: Registry of the base of people's images.
    type: str
    default: ""
  username:
    description: Account that may pull it. Empty where the registry asks for none.
    type: str
    default: ""
  password:
    description: Its password.
    type: str
    default: ""
  build_environment:
    description: What build pods are told, of which a RUN step gets the proxies. No value with an account in it is shown.
    type: dict
    default: {}
  hosts_dir:
    description: Folder with the registries that containerd knows.
    type: path
    default: /etc/containerd/certs.d
  socket_path:
    description: Socket of the Docker daemon.
    type: path
    default: /var/run/docker.sock
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

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import run_command
from ansible_collections.ironbinder.platform.plugins.module_utils._docker.engine import (
    Account,
    DockerEngine,
    DockerEngineError,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.containerd import (
    Containerd,
    ContainerdError,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify import trust_step
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
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_verdict import Report
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.trust_run import passwords

DAEMON_SECONDS = 20.0


def fences(params: dict[str, Any]) -> list[Report]:
    """Try the targets from this machine, and from a RUN step where there is an image."""
    run, role, node = params["run"], params["role"], params["node"]
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
    if params["image"] and "run" in run.get("roles", ["run"]):
        return probe_from_both(here, argument, params["image"], order(targets, step, networks, resolved))
    return [probe_from_here(here, argument)]


def trust(params: dict[str, Any]) -> list[Report]:
    """Ask whom this node, its daemons and a RUN step on it trust."""
    part, node = params["run"]["trust"], params["node"]
    engine = DockerEngine(params["socket_path"], DAEMON_SECONDS)
    daemon = Containerd(run_command, hosts_dir=params["hosts_dir"], namespace="k8s.io")

    def dockerd(image: str) -> str:
        try:
            return engine.registry_digest(image, Account("")) or "manifest unknown"
        except DockerEngineError as error:
            return str(error)

    def containerd(image: str) -> str:
        try:
            daemon.pull(image, DAEMON_SECONDS)
        except ContainerdError as error:
            return str(error)
        return "manifest unknown"

    account = trust_step.Account(params["registry"], params["username"], params["password"])
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(trust_step.from_node, part, node)]
        if params["image"]:
            environment = params["build_environment"]
            step = pool.submit(
                trust_step.from_build, part, node, params["image"], account, environment=environment
            )
            asked.append(step)
        daemons = pool.submit(
            trust_step.from_daemons, part, node, {"dockerd": dockerd, "containerd": containerd}
        )
        return [*(one.result() for one in asked), *daemons.result()]


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "run": {"type": "dict", "required": True},
            "role": {"type": "str", "choices": ["node", "proxy", "machine", "head"], "required": True},
            "node": {"type": "str", "default": ""},
            "image": {"type": "str", "default": ""},
            "registry": {"type": "str", "default": ""},
            "username": {"type": "str", "default": ""},
            "password": {"type": "str", "default": "", "no_log": True},
            "build_environment": {"type": "dict", "default": {}},
            "hosts_dir": {"type": "path", "default": "/etc/containerd/certs.d"},
            "socket_path": {"type": "path", "default": "/var/run/docker.sock"},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=False, skipped=True, msg="Check mode: nothing was tried.")
    params = module.params
    module.no_log_values |= passwords(params["build_environment"])
    about_trust = bool(params["run"].get("trust"))
    if params["role"] == "head":
        found = trust_step.from_hubs(params["run"]["trust"]) if about_trust else []
    else:
        # At the same time: most of it is waiting.
        with ThreadPoolExecutor(2) as pool:
            work = [pool.submit(fences, params)] if params["run"].get("roles", True) else []
            work += [pool.submit(trust, params)] if about_trust and params["role"] == "node" else []
            found = [report for one in work for report in one.result()]
    module.exit_json(changed=False, reports=[asdict(report) for report in found])


if __name__ == "__main__":
    main()
