#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_objects
short_description: Apply a manifest of many objects to a cluster, or remove it
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Brings all objects of a manifest into a cluster in one call, as C(kubectl apply) does. What is no longer in the manifest's
    objects is taken out of them, what others have added stays.
  - Namespaces come first, then definitions of kinds, which are waited for, then all else in the order of the manifest.
  - A webhook that does not answer yet is waited for; one that refuses is not.
  - Can wait until the workloads among the objects run, and says of each that does not why.
extends_documentation_fragment:
  - ironbinder.platform.kubernetes
  - ironbinder.platform.kubernetes.wait
requirements:
  - openshift >= 0.13 (Python package, on the host that runs the module)
options:
  definition:
    description: The objects, as one mapping or a list of them.
    type: raw
  manifest:
    description: The objects, as text of one or more YAML documents.
    type: str
  src:
    description: A file with the objects, on the host that runs the module.
    type: path
  namespace:
    description: Namespace of objects that name none.
    type: str
    default: default
  state:
    description: Whether the objects are to be there.
    type: str
    choices: [present, absent]
    default: present
  wait:
    description:
      - With V(present), wait until the Deployments, DaemonSets and StatefulSets among the objects are rolled out.
      - With V(absent), wait until the objects are gone.
    type: bool
    default: false
  timeout_seconds:
    description: How long to wait at most for all of it, definitions, webhooks and workloads together.
    default: 300
  stuck_seconds:
    description: How long a workload may be kept from running by something that waiting does not cure.
    type: int
    default: 90
  show_secrets:
    description:
      - While workloads are waited for, makes the kubelet look after pods as soon as a secret that they mount has its content. It
        would do so by itself, up to a minute later.
    type: list
    elements: dict
    default: []
    suboptions:
      namespace:
        description: Namespace of secret and pods.
        type: str
        required: true
      secret:
        description: Name of the secret.
        type: str
        required: true
      key:
        description: The key that has to have a value.
        type: str
        required: true
      pods:
        description: Selector of the pods' labels.
        type: str
        required: true
attributes:
  check_mode:
    support: full
    description:
      - Asks the server what it would do with each object. What it cannot know, because a namespace, a kind or the whole cluster
        is not there yet, is predicted, and the result says so.
  diff_mode:
    support: full
    description: Shows each object that changes, without the server's bookkeeping and without the values of secrets.
  idempotent:
    support: full
    description: Objects that are as they are to be cost one question each.
"""

EXAMPLES = r"""
- name: Install MetalLB
  ironbinder.platform.cluster_objects:
    src: /srv/metallb-native.yaml
    wait: true
    kubeconfig: inventories/stfc/.kube/config
  delegate_to: localhost
  become: false

- name: Give it its addresses
  ironbinder.platform.cluster_objects:
    definition:
      - apiVersion: metallb.io/v1beta1
        kind: IPAddressPool
        metadata: {name: floating, namespace: metallb-system}
        spec: {addresses: [192.0.2.10-192.0.2.12]}
    kubeconfig: inventories/stfc/.kube/config
  delegate_to: localhost
  become: false
"""

RETURN = r"""
objects:
  description: The objects in the order of the manifest.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: Its kind.
      type: str
    namespace:
      description: Its namespace as the manifest has it.
      type: str
    name:
      description: Its name.
      type: str
    action:
      description: V(created), V(changed), V(unchanged), V(deleted) or V(absent).
      type: str
    predicted:
      description: In check mode, why the server could not be asked; else empty.
      type: str
workloads:
  description: With O(wait), the workloads and after how many seconds each was ready.
  returned: success
  type: list
  elements: dict
  sample: [{"kind": "Deployment", "name": "controller", "ready": true, "seconds": 3.1}]
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import SystemClock
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.manifest import (
    ManifestError,
    Ref,
    read_manifest,
    read_objects,
    secret_texts,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.objects import (
    ObjectKeeper,
    ObjectsError,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.shown_secret import ShownSecret
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeApi, KubeError, connect
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.rollout import (
    RolloutError,
    wait_for_workloads,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.workloads import KINDS, Workload

# What these name is no secret.
SECRET = {
    name: {"type": "str", "required": True, "no_log": False}
    for name in ("namespace", "secret", "key", "pods")
}
ARGUMENTS: dict[str, Any] = {
    "definition": {"type": "raw"},
    "manifest": {"type": "str"},
    "src": {"type": "path"},
    "namespace": {"type": "str", "default": "default"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "wait": {"type": "bool", "default": False},
    "timeout_seconds": {"type": "int", "default": 300},
    "stuck_seconds": {"type": "int", "default": 90},
    "show_secrets": {"type": "list", "elements": "dict", "default": [], "options": SECRET, "no_log": False},
    "kubeconfig": {"type": "path", "required": True},
}
FORMS = ("definition", "manifest", "src")


def read(given: dict[str, Any]) -> dict[Ref, dict[str, Any]]:
    """Read the objects in whichever form they are given. Raises ManifestError."""
    if given["definition"] is not None:
        documents = given["definition"]
        return read_objects(documents if isinstance(documents, list) else [documents], "definition")
    if given["manifest"] is not None:
        return read_objects(read_manifest(given["manifest"], "manifest"), "manifest")
    try:
        text = Path(given["src"]).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ManifestError(f"cannot read {given['src']}: {error}") from error
    return read_objects(read_manifest(text, given["src"]), given["src"])


def roll_out(module: AnsibleModule, api: KubeApi, keeper: ObjectKeeper) -> list[dict[str, Any]]:
    """Wait for the workloads among the objects."""
    given = module.params
    workloads = [
        Workload(outcome.ref.kind, outcome.ref.name, outcome.ref.namespace or given["namespace"])
        for outcome in keeper.outcomes
        if outcome.ref.kind in KINDS and outcome.ref.group == "apps"
    ]
    states = wait_for_workloads(
        api,
        workloads,
        timeout_seconds=keeper.left_seconds,
        stuck_seconds=given["stuck_seconds"],
        clock=SystemClock(),
        log=module.log,
        meanwhile=[ShownSecret(api, **entry).show for entry in given["show_secrets"]],
    )
    return [state.as_result() for state in states]


def main() -> None:
    """Map the arguments to the work and its errors to Ansible's."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS, mutually_exclusive=[FORMS], required_one_of=[FORMS], supports_check_mode=True
    )
    given = module.params
    try:
        objects = read(given)
    except ManifestError as error:
        module.fail_json(msg=str(error))
    module.no_log_values |= secret_texts(list(objects.values()))
    present = given["state"] == "present"
    keeper = ObjectKeeper(
        objects,
        clock=SystemClock(),
        timeout_seconds=given["timeout_seconds"],
        namespace=given["namespace"],
        check_mode=module.check_mode,
    )
    workloads: list[dict[str, Any]] = []
    problem = ""
    try:
        api = connect(given["kubeconfig"])
        if present:
            keeper.apply(api)
        else:
            keeper.delete(api, wait=given["wait"])
        if present and given["wait"] and not module.check_mode:
            workloads = roll_out(module, api, keeper)
    except (KubeError, ObjectsError, RolloutError) as error:
        problem = str(error)
        # In a check there may be no cluster yet. A refusal is one in a check, too.
        if module.check_mode and getattr(error, "passing", False):
            keeper.predict_all(problem, present)
            problem = ""
    result = {
        "changed": any(outcome.changed for outcome in keeper.outcomes),
        "diff": [outcome.as_diff() for outcome in keeper.outcomes if outcome.changed],
    }
    if problem:
        module.fail_json(msg=problem, **result)
    # Not beside an error, which a hundred objects would hide.
    module.exit_json(
        objects=[outcome.as_result() for outcome in keeper.outcomes], workloads=workloads, **result
    )


if __name__ == "__main__":
    main()
