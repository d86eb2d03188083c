#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Have a site to oneself while it is changed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: site_lock
short_description: Have a site to oneself while it is changed
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Takes the site's lock on the first head, or says who has it, since when, and how to break it.
  - The lock is a lease in a file, as there is no cluster yet when the first run begins. A process on the controller renews it for
    as long as C(ansible-playbook) lives, and gives it back when that ends, however it ends.
  - A run that was killed together with that process loses its lock after three minutes without a sign of life; on the same
    controller at once, as it is known there that the process is gone.
  - A check takes no lock, and none keeps it out. Asked again in the same run, it looks whether the lock is still there.
  - Where the head cannot be reached this is a warning; every stage that needs the head fails by itself.
options:
  directory:
    description: Folder of the lease, on the head.
    type: path
    default: /var/lib/ironbinder
  renew_seconds:
    description: How often the lock is renewed. It lapses after 180 seconds without.
    type: float
    default: 30
  kept:
    description:
      - Whether a run that has the lock already has to have kept it all the while. The head is asked by one short command, and the
        task fails where somebody else has the lock, or had it meanwhile.
      - For what a controller that slept for longer than the lock lasts must not go on with.
    type: bool
    default: false
  holder:
    description: Who takes the lock. Filled in by the action plugin.
    type: dict
    default: {}
  instead_of:
    description: Ids of locks that are over. Filled in by the action plugin, also with C(site_lock_break).
    type: list
    elements: str
    default: []
attributes:
  action:
    support: full
    description: The action plugin knows the run, and keeps the lock.
  check_mode:
    support: full
    description: Takes no lock.
  diff_mode:
    support: none
    description: A lock is nothing that stays.
  idempotent:
    support: full
    description: A run has its lock once.
"""

EXAMPLES = r"""
- name: Take the site's lock
  ironbinder.platform.site_lock:
  delegate_to: "{{ groups.head | first }}"
  run_once: true
  become: true
"""

RETURN = r"""
taken:
  description: Whether this run has the lock.
  returned: success
  type: bool
before:
  description: Who had it, also where that lock had lapsed.
  returned: always
  type: dict
  sample: {"id": "3f9a0c21", "who": "alice@ctl1", "what": "site.yml", "since": 1795312931.2, "heard": 12.8}
"""

from dataclasses import asdict
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import SystemClock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.lock import LockBusy
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.site_lock import (
    LOCK_DIR,
    Holder,
    take,
)


def main() -> None:
    """Judge and take. That somebody else has the lock is for the action plugin to tell, which knows this controller."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "default": LOCK_DIR},
            "renew_seconds": {"type": "float", "default": 30},
            "kept": {"type": "bool", "default": False},
            "holder": {"type": "dict", "default": {}},
            "instead_of": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=False, taken=False, before={})
    folder = Path(module.params["directory"])
    try:
        given = module.params["holder"]
        mine = Holder(**{**given, "pid": int(given["pid"])})
        taken = take(folder, mine, SystemClock(), instead_of=module.params["instead_of"])
    except (KeyError, TypeError, ValueError) as error:
        module.fail_json(
            msg=f"holder is not what the action plugin fills in ({error}): name no options but directory"
        )
    except LockBusy as busy:
        module.fail_json(
            msg=f"{busy.path} is held on this head for {busy.seconds:.0f} s by a run that looks whose the site's lock is: "
            f"`fuser -v {busy.path}` names it. Nothing was changed."
        )
    except OSError as error:
        module.fail_json(
            msg=f"the site's lock cannot be written: {error.filename or folder}: {error.strerror or error}. "
            "This needs root (become: true), a disk with room and one that can be written. Nothing was changed."
        )
    module.exit_json(changed=False, taken=taken.done, before=asdict(taken.before) if taken.before else {})


if __name__ == "__main__":
    main()
