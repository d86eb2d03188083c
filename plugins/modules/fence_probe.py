#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Tries from inside what a session, a build and others reach, and judges it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: fence_probe
short_description: Prove what sessions and builds reach, and what they do not
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Starts pods called and labelled like sessions, build pods and others, which try every target at the same time and exchange
    bytes with it, and compares what they found with what each may reach.
  - A connection that fails proves a fence only if the same target answered a place that no fence holds. Else it is no proof, and
    the module fails.
  - The addresses are the site's own, read from the API and given as options. Nothing else is tried but O(targets).
  - V(started) starts the pods and returns at once, so that machines can do their part meanwhile, by
    M(ironbinder.platform.fence_probe_local); V(judged) collects everything, removes the pods and judges.
  - Where a target answered nobody and has the address of a machine, V(judged) returns that machine as RV(ask) and does not fail,
    since its own firewall may let nobody else in. M(ironbinder.platform.fence_probe_local) asks it as V(machine), and V(judged)
    with RV(run) and RV(reports) is the last word.
  - Pods end by themselves after at most twenty minutes, and what an interrupted run left behind is removed by the next one.
extends_documentation_fragment: [ironbinder.platform.kubernetes]
options:
  state:
    description: Which half of the work to do.
    type: str
    choices: [started, judged]
    required: true
  run:
    description: What V(started) returned as RV(run). Required with V(judged).
    type: dict
  reports:
    description: What machines found, as RV(ironbinder.platform.fence_probe_local#module:reports). Used with V(judged).
    type: list
    elements: dict
    default: []
  unreachable:
    description: Machines that took no part because Ansible does not reach them. The verdict names them, and is none.
    type: list
    elements: str
    default: []
  hubs:
    description: The hubs, as the filter P(ironbinder.platform.resolve_hubs#filter) returns them. Required with V(started).
    type: dict
  image:
    description: Image with C(python3) that every node can pull. Required with V(started).
    type: str
  origins:
    description: Places that are judged.
    type: list
    elements: str
    choices: [session, build, run, other, unknown]
    default: [session, build, run, other, unknown]
  build_node:
    description: Node on whose Docker M(ironbinder.platform.fence_probe_local) runs a RUN step.
    type: str
    default: ""
  other_namespace:
    description: Namespace that is fenced like a hub's and has none; it is made if missing. Empty where there is none.
    type: str
    default: ""
  targets:
    description:
      - Further targets, each with C(name), C(kind), C(address), C(port), and, where it matters, C(protocol) (V(tcp), V(udp) or
        V(dns)), C(talk) (V(any), V(tls), V(http), V(banner), V(dns)), C(says) (a text of its answer), C(query) (a name to ask
        for) and C(expect) (V(true) or V(false) by place, or by C(place@node)).
    type: list
    elements: dict
    default: []
  skipped:
    description: Targets that are not tried, by name, each with the reason why that is right here.
    type: dict
    default: {}
  session_networks:
    description: What the site opens for sessions, as C(site_session_allowed_networks).
    type: list
    elements: raw
    default: []
  build_networks:
    description: What the site opens for builds, as C(site_build_allowed_networks).
    type: list
    elements: raw
    default: []
  denied_networks:
    description: Public networks that are the site's own, as C(site_guard_denied_networks).
    type: list
    elements: str
    default: []
  guard_enabled:
    description: Whether role P(ironbinder.platform.guard#role) fences. Then nobody on a node reaches a service address that no
      service has, not even who has no fence.
    type: bool
    default: true
  node_port_clients:
    description: Who alone may ask BinderHub's NodePort, as C(site_guard_node_port_clients). Judged with O(guard_enabled).
    type: list
    elements: str
    default: []
  api_address:
    description: Address of the API.
    type: str
    default: ""
  api_port:
    description: Port of the API.
    type: int
    default: 6443
  public_url:
    description: Where people reach the hubs.
    type: str
    default: ""
  registry:
    description: Registry that the builds push to, C(host:port).
    type: str
    default: ""
  mirror_url:
    description: URL of the mirror.
    type: str
    default: ""
  service_subnet:
    description: Range of the services.
    type: str
    default: ""
  trust:
    description:
      - Whether to try, too, whom each place trusts; nothing of it without C(enabled).
      - The other keys are C(plain_registry), C(provider) and C(spec) of the launch that proves it, C(base_image) of people's
        images, C(mounts_bundle), whether build pods mount their node's CAs, C(extra_hosts) and C(skipped).
    type: dict
    default: {}
  build_environment:
    description: What build pods are told besides, a proxy for example. No value with an account in it is shown.
    type: dict
    default: {}
  machines:
    description: Machines with SSH, {name address}.
    type: dict
    default: {}
  ssh_ports:
    description: Ports of their SSH where it is not 22, by name.
    type: dict
    default: {}
  timeout_seconds:
    description: How long the pods may take to start, and to end.
    type: int
    default: 180
attributes:
  check_mode:
    support: partial
    description: Does nothing in a check.
    details: Nothing is started and nothing is judged; the task is reported as skipped.
  diff_mode:
    support: none
    description: Nothing lasting is changed.
  idempotent:
    support: full
    description: Every run starts its own pods and removes them. V(changed) is always false.
"""

EXAMPLES = r"""
- name: Start the probes
  ironbinder.platform.fence_probe:
    state: started
    hubs: "{{ site_resolved_hubs }}"
    image: quay.io/jupyterhub/repo2docker:2026.4.0
    build_node: worker1
    kubeconfig: inventories/stfc/.kube/config
  delegate_to: localhost
  register: probes

- name: Judge what they found
  ironbinder.platform.fence_probe:
    state: judged
    run: "{{ probes.run }}"
    kubeconfig: inventories/stfc/.kube/config
  delegate_to: localhost
"""

RETURN = r"""
run:
  description: The run, for the other half and for M(ironbinder.platform.fence_probe_local).
  returned: when V(started), and with RV(ask)
  type: dict
ask:
  description: Machines to ask what only they may reach, before it is judged again.
  returned: when V(judged)
  type: list
  elements: str
reports:
  description: Everything that was found so far, for O(reports).
  returned: with RV(ask)
  type: list
  elements: dict
fences:
  description: The verdict, with C(ok), C(summary), C(problems), C(skipped), C(cells) and C(table). A cell has C(target),
    C(origin), C(node), C(expected), C(found), C(verdict) and C(detail).
  returned: when V(judged)
  type: dict
trust:
  description: The verdict on whom each place trusts, in the same form. It never fails the module, but role
    P(ironbinder.platform.trust_check#role).
  returned: when V(judged), with O(trust)
  type: dict
"""

import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import SystemClock
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeError, connect
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.patience import patient
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_facts import Facts
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_pods import FenceError
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_rules import FENCED
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_run import Fences, Wish, lost
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_targets import TargetError
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.trust_rules import git_url
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.trust_run import (
    TrustWish,
    passwords,
)


def _addresses(name: str) -> list[str]:
    """Return the IPv4 addresses of a name, or the address itself; none where it does not resolve."""
    try:
        return [str(ipaddress.ip_address(name))]
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_STREAM)
    except OSError:
        return []
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


_MAPPINGS = ("build_environment", "machines", "skipped", "ssh_ports", "trust")


def _wish(params: Mapping[str, Any]) -> Wish:
    networks = {"session": params["session_networks"], "build": params["build_networks"]}
    names = {urlsplit(f"//{params['registry']}").hostname, urlsplit(params["mirror_url"]).hostname}
    for entry in [*networks["session"], *networks["build"]]:
        names.add(entry.get("host") if isinstance(entry, Mapping) else None)
    # A network is none, and stays what it is.
    names |= {name for name in params["node_port_clients"] if "/" not in name}
    told = dict(params["trust"])
    asks = boolean(told.pop("enabled", False))
    # Templates of older Ansible give texts.
    told |= {name: boolean(told[name]) for name in ("plain_registry", "mounts_bundle") if name in told}
    trust = TrustWish(**told, build_environment=params["build_environment"]) if asks else None
    extra = {
        name: address for address, given in (trust.extra_hosts if trust else {}).items() for name in given
    }
    for url in (params["public_url"], git_url(trust.provider, trust.spec) if trust else ""):
        names.add(urlsplit(url).hostname)
    facts = Facts(
        hubs=params["hubs"],
        api_address=params["api_address"],
        api_port=params["api_port"],
        public_url=params["public_url"],
        registry=params["registry"],
        mirror_url=params["mirror_url"],
        service_subnet=params["service_subnet"],
        machines=params["machines"],
        ssh_ports=params["ssh_ports"],
        denied_networks=params["denied_networks"],
        guard_enabled=params["guard_enabled"],
        node_port_clients=params["node_port_clients"],
        other_namespace=params["other_namespace"],
        # Names that only the site's machines and pods know.
        addresses={name: [extra[name]] if name in extra else _addresses(name) for name in names if name},
    )
    return Wish(
        facts=facts,
        image=params["image"],
        roles=params["origins"],
        build_node=params["build_node"],
        targets=params["targets"],
        skipped=params["skipped"],
        networks=networks,
        ready_seconds=params["timeout_seconds"],
        trust=trust,
    )


def main() -> None:
    """Map the arguments to the work and its errors to Ansible's."""
    texts = (
        "api_address",
        "build_node",
        "mirror_url",
        "other_namespace",
        "public_url",
        "registry",
        "service_subnet",
    )
    lists = ("build_networks", "session_networks")
    module = AnsibleModule(
        argument_spec={
            "kubeconfig": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["started", "judged"], "required": True},
            "run": {"type": "dict"},
            "reports": {"type": "list", "elements": "dict", "default": []},
            "unreachable": {"type": "list", "elements": "str", "default": []},
            "hubs": {"type": "dict"},
            "image": {"type": "str"},
            "origins": {"type": "list", "elements": "str", "choices": list(FENCED), "default": list(FENCED)},
            "targets": {"type": "list", "elements": "dict", "default": []},
            "denied_networks": {"type": "list", "elements": "str", "default": []},
            "node_port_clients": {"type": "list", "elements": "str", "default": []},
            "guard_enabled": {"type": "bool", "default": True},
            "api_port": {"type": "int", "default": 6443},
            "timeout_seconds": {"type": "int", "default": 180},
            **{name: {"type": "dict", "default": {}} for name in _MAPPINGS},
            **{name: {"type": "str", "default": ""} for name in texts},
            **{name: {"type": "list", "elements": "raw", "default": []} for name in lists},
        },
        required_if=[
            ("state", "started", ["hubs", "image"]),
            ("state", "judged", ["run"]),
        ],
        supports_check_mode=True,
    )
    params = module.params
    module.no_log_values |= passwords(params["build_environment"])
    if module.check_mode:
        module.exit_json(changed=False, skipped=True, msg="Check mode: nothing was tried.")
    clock = SystemClock()
    try:
        fences = Fences(patient(connect(params["kubeconfig"]), clock), clock)
        if params["state"] == "started":
            module.exit_json(changed=False, run=fences.start(_wish(params)))
        machines = [*params["reports"], *(lost(name) for name in params["unreachable"])]
        reports = fences.reports(params["run"], machines, params["timeout_seconds"])
        verdict = fences.judge(params["run"], reports)
    except (KubeError, FenceError, TargetError) as error:
        module.fail_json(msg=str(error))
    trust = fences.judge_trust(params["run"], reports)
    more = {"trust": trust.as_dict()} if trust else {}
    ask = fences.asked_again(params["run"], verdict)
    if ask:
        # Of what is judged later all is here, and no pod is left.
        run = {**params["run"], "places": [], "asked": True}
        told = [asdict(report) for report in reports]
        module.exit_json(changed=False, fences=verdict.as_dict(), ask=ask, run=run, reports=told, **more)
    if not verdict.ok:
        text = "\n".join([verdict.summary, *(f"  {line}" for line in verdict.problems), "", verdict.table])
        module.fail_json(msg=text, fences=verdict.as_dict(), **more)
    module.exit_json(changed=False, fences=verdict.as_dict(), ask=[], **more)


if __name__ == "__main__":
    main()
