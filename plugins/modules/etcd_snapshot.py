#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A snapshot of etcd, taken now."""

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_snapshot
short_description: Take a snapshot of a head's etcd now, and prove that it can be restored
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Has the program of role C(head_upkeep) take one, as its timer does, with the tools of the image that etcd runs from.
  - The snapshot counts when its checksum is right and it was restored into a scratch folder with the same revision and as many
    keys. Only then are older ones removed.
  - What the timer's last attempt left, which preflight and the status tell of, stays as it is. What came of this one is in
    C(/var/lib/ironbinder/etcd-snapshot-on-demand.json).
  - For what comes before a change of the cluster, such as an upgrade.
options:
  directory:
    description: Folder of the snapshots.
    type: path
    default: /var/lib/ironbinder/etcd-snapshots
  keep:
    description: How many are kept, this one included. What is damaged is never removed, and does not count.
    type: int
    default: 14
attributes:
  check_mode:
    support: full
    description: Says that it would take one, and takes none.
  diff_mode:
    support: none
    description: A snapshot is no text.
  idempotent:
    support: none
    description: Takes another one each time.
"""

EXAMPLES = r"""
- name: Keep what there is before the head changes
  ironbinder.platform.etcd_snapshot:
    directory: /var/lib/ironbinder/etcd-snapshots
    keep: 14
  become: true
  register: snapshot
"""

RETURN = r"""
path:
  description: The snapshot. Its record is beside it, with C(.json) for C(.db).
  returned: success, not in check mode
  type: str
  sample: /var/lib/ironbinder/etcd-snapshots/etcd-20260801T011842Z-184467.db
sha256:
  description: Its checksum, in hexadecimal digits.
  returned: success, not in check mode
  type: str
revision:
  description: etcd's revision that it has.
  returned: success, not in check mode
  type: int
bytes:
  description: Its size.
  returned: success, not in check mode
  type: int
restored:
  description: Whether it was restored as a proof. False where the image of etcd has no C(etcdutl), which came with 3.6.5.
  returned: success, not in check mode
  type: bool
removed:
  description: Names of the snapshots that went.
  returned: success, not in check mode
  type: list
  elements: str
"""

import json

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import NOT_THERE, run_command

PROGRAM = "/usr/local/sbin/ironbinder-upkeep"
# Not the timer's: that one says whether the timer works.
STATE = "etcd-snapshot-on-demand.json"
TIMEOUT_SECONDS = 3600
TOLD = ("path", "sha256", "revision", "bytes", "restored", "removed")


def main() -> None:
    """Ask the program, report."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "default": "/var/lib/ironbinder/etcd-snapshots"},
            "keep": {"type": "int", "default": 14},
        },
        supports_check_mode=True,
    )
    if module.params["keep"] < 1:
        module.fail_json(
            msg=f"keep is {module.params['keep']}, and one snapshot has to stay: set it to 1 or more"
        )
    if module.check_mode:
        module.exit_json(changed=True)
    argv = [
        PROGRAM,
        "snapshot",
        f"--directory={module.params['directory']}",
        f"--keep={module.params['keep']}",
        f"--state-name={STATE}",
    ]
    ran = run_command(argv, TIMEOUT_SECONDS)
    if ran.rc == NOT_THERE:
        module.fail_json(
            msg=f"{PROGRAM} is not on this machine ({ran.said}): role head_upkeep puts it there, "
            "with `make run PLAY=playbooks/cluster.yml`"
        )
    if ran.rc != 0:
        module.fail_json(msg=f"no snapshot of etcd was taken, and none removed: {ran.said}")
    told = json.loads(ran.stdout)
    module.exit_json(changed=True, **{name: told[name] for name in TOLD})


if __name__ == "__main__":
    main()
