#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_dns
short_description: Give the pods of a cluster names that no name server knows
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Writes names into CoreDNS's configuration, as one block between two lines that say so. All else in it stays as kubeadm, or
    an admin, wrote it.
  - Has CoreDNS's pods start on another node as soon as asked for where theirs is lost. Where both were on one, nobody has names
    until then.
  - Starts CoreDNS's pods anew, one after the other, and waits for them. CoreDNS would read its file by itself, up to two
    minutes later.
extends_documentation_fragment:
  - ironbinder.platform.kubernetes
  - ironbinder.platform.kubernetes.wait
options:
  hosts:
    description: The names, {address [name, ...]}. Empty takes the block out.
    type: dict
    required: true
  lost_node_seconds:
    description: Seconds for which CoreDNS's pods stay with a node that is lost. Without it as long as they do, which is 300.
    type: int
  timeout_seconds:
    default: 120
attributes:
  check_mode:
    support: full
    description: Compares and writes nothing. Where there is no cluster yet, says what a run will do.
  diff_mode:
    support: full
    description: Shows CoreDNS's configuration, and what its pods tolerate, before and after.
  idempotent:
    support: full
    description: Two questions to the API where all is as it is to be.
"""

EXAMPLES = r"""
- name: Have pods know the Git host
  ironbinder.platform.cluster_dns:
    hosts:
      192.0.2.50: [git.example.org]
    kubeconfig: inventories/stfc/.kube/config
  delegate_to: localhost
  become: false
"""

RETURN = r"""
observed:
  description: In check mode, why the prediction is one and not a comparison; else empty.
  returned: success
  type: str
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import SystemClock
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.cluster_dns import (
    DEPLOYMENT,
    NAMESPACE,
    ClusterDns,
    DnsError,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeError, connect
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.rollout import (
    RolloutError,
    wait_for_workloads,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.workloads import Workload

# What waiting does not cure, of pods that only read a file anew.
STUCK_SECONDS = 60


def shown(tolerations: Sequence[Mapping[str, Any]]) -> str:
    """Write tolerations for people, a line each."""
    return "".join(f"toleration: {json.dumps(entry, sort_keys=True)}\n" for entry in tolerations)


def main() -> None:
    """Look, write, wait, report."""
    module = AnsibleModule(
        argument_spec={
            "hosts": {"type": "dict", "required": True},
            "lost_node_seconds": {"type": "int"},
            "timeout_seconds": {"type": "int", "default": 120},
            "kubeconfig": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    dns = ClusterDns(module.params["hosts"], module.params["lost_node_seconds"])
    observed = ""
    try:
        api = connect(module.params["kubeconfig"])
        dns.look(api)
        if dns.changed and not module.check_mode:
            dns.settle(api)
            wait_for_workloads(
                api,
                [Workload("Deployment", DEPLOYMENT, NAMESPACE)],
                timeout_seconds=module.params["timeout_seconds"],
                stuck_seconds=STUCK_SECONDS,
                clock=SystemClock(),
                log=module.log,
            )
    except (KubeError, DnsError, RolloutError) as error:
        observed = str(error)
        # In a check there may be no cluster yet. A refusal is one in a check, too.
        if not (module.check_mode and isinstance(error, KubeError) and error.passing):
            module.fail_json(msg=observed, changed=dns.changed)
    module.exit_json(
        changed=dns.changed or bool(observed and module.params["hosts"]),
        observed=observed,
        diff=[
            {"before": dns.before, "after": dns.after},
            {"before": shown(dns.tolerations_before), "after": shown(dns.tolerations)},
        ],
    )


if __name__ == "__main__":
    main()
