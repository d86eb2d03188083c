#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A service that runs with the configuration it has."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_unit
short_description: Have a unit of systemd run with its present configuration, now and after every start of the machine
version_added: 0.1.0
description:
  - Enables and starts a unit, and restarts what was started before its configuration was changed or its program was replaced.
    So a run that was killed between a file and a restart is made good by the next one.
  - Gives a service that has no restart policy one by a drop-in, so that it comes back by itself, whatever ended it.
  - Takes off a mask, by which somebody kept the unit from ever being started, unless O(state=stopped).
  - Has systemd read its units again where it says that it should, of the unit or of what the unit triggers, such as a timer's
    service.
  - Waits until the unit is active, and a moment longer where systemd calls a program active before it has read its configuration.
    A failure carries the last lines of the unit's journal.
  - A unit that is as it should be costs one call of C(systemctl), and one more for each unit that it triggers.
author: Ironbinder maintainers (@ironbinder)
options:
  name:
    description: The unit. Without a suffix it is a service.
    type: str
    required: true
  also:
    description:
      - Further units, which have to be loaded as their files are, to run, and to start with the machine. They come first, in
        this order.
      - For what belongs to O(name), such as its slice or a timer, so that all of them are one task.
    type: list
    elements: str
    default: []
  state:
    description:
      - V(started) or V(stopped).
      - V(as_is) neither starts nor stops it, and restarts it only where it runs, as C(systemctl try-restart) does.
    type: str
    choices: [started, stopped, as_is]
    default: started
  worked_where:
    description:
      - Files of which one says that the unit has done its work here before. With O(state=as_is) it is then started again where
        somebody stopped it, or where it failed too often; one that systemd goes on starting is left to that.
    type: list
    elements: path
    default: []
  enabled:
    description: Whether it starts with the machine. Units that cannot be enabled, such as static ones, are left as they are.
    type: bool
    default: true
  comes_back_enabled:
    description:
      - Whether a service whose policy is C(Restart=no) gets C(Restart=always). What C(systemctl stop) stops stays stopped.
      - Services of type C(oneshot) have none.
    type: bool
    default: true
  config_files:
    description:
      - Files that the service reads when it starts. It is restarted where one of them is newer than its process, or is a drop-in
        that is gone and that systemd has not forgotten yet.
      - Not with O(on_change=reload), as a reload leaves no time behind.
    type: list
    elements: path
    default: []
  config_changed:
    description: Whether what it reads was changed by the caller, or would be in a check.
    type: bool
    default: false
  on_change:
    description: What makes it read its configuration again.
    type: str
    choices: [restart, reload]
    default: restart
  timeout_seconds:
    description: How long it may take to start or to stop.
    type: int
    default: 180
attributes:
  check_mode:
    support: full
    description: Says what it would do. A unit that does not exist is taken for one that a package will bring.
  diff_mode:
    support: full
    description: The unit's state before and after, and the drop-in.
  idempotent:
    support: full
    description: A unit that is as it should be is left alone. A C(oneshot) that does not stay active is started each time.
"""

EXAMPLES = r"""
- name: Run containerd with this configuration
  ironbinder.platform.service_unit:
    name: containerd
    config_files: [/etc/containerd/config.toml]
    config_changed: "{{ containerd_files is changed }}"

- name: Let the kubelet start with the machine, and restart one that runs
  ironbinder.platform.service_unit:
    name: kubelet
    state: as_is
    config_files: [/etc/default/kubelet]
"""

RETURN = r"""
actions:
  description: What was done, or would be, in order, to all units. Verbs of C(systemctl), and V(drop_in).
  returned: success
  type: list
  elements: str
  sample: [drop_in, daemon-reload, restart]
unit:
  description: The unit as it is now.
  returned: success
  type: dict
  sample: {"name": "containerd.service", "active_state": "active", "restart": "always", "main_pid": 345}
journal:
  description: Last lines of the unit's journal.
  returned: failure
  type: list
  elements: str
"""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import SystemClock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import run_command
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.proc import Proc
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.unit_states import (
    COMES_BACK,
    UnitWish,
    difference,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.units import (
    Brought,
    UnitError,
    Units,
)


def changed_at(path: str) -> Optional[float]:
    """When a file was changed last, in seconds since the epoch."""
    try:
        return Path(path).stat().st_mtime
    except OSError:
        return None


def shown(units: Units, wish: UnitWish, done: Brought) -> list[dict[str, str]]:
    """Show what was done to one unit as Ansible shows differences; nothing where nothing was done."""
    if not done.actions:
        return []
    diff = [difference(done.before, wish, done.actions)]
    if "drop_in" in done.actions:
        path = str(units.drop_in(done.before.name))
        diff.append({"before": "", "after": COMES_BACK, "before_header": path, "after_header": path})
    return diff


def main() -> None:
    """Ask, do, report."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "also": {"type": "list", "elements": "str", "default": []},
            "state": {"type": "str", "choices": ["started", "stopped", "as_is"], "default": "started"},
            "worked_where": {"type": "list", "elements": "path", "default": []},
            "enabled": {"type": "bool", "default": True},
            "comes_back_enabled": {"type": "bool", "default": True},
            "config_files": {"type": "list", "elements": "path", "default": []},
            "config_changed": {"type": "bool", "default": False},
            "on_change": {"type": "str", "choices": ["restart", "reload"], "default": "restart"},
            "timeout_seconds": {"type": "int", "default": 180},
        },
        supports_check_mode=True,
    )
    params = dict(module.params)
    others = [UnitWish(name=name) for name in params.pop("also")]
    params["has_worked"] = any(Path(path).exists() for path in params.pop("worked_where"))
    wish = UnitWish(**params)
    units = Units(
        run=run_command,
        clock=SystemClock(),
        changed_at=changed_at,
        now=time.time,
        was_replaced=Proc().program_was_replaced,
    )
    diff: list[dict[str, str]] = []
    actions: list[str] = []
    try:
        for one in (*others, wish):
            done = units.bring_about(one, check_mode=module.check_mode)
            actions += done.actions
            diff += shown(units, one, done)
    except UnitError as error:
        module.fail_json(msg=str(error), journal=list(error.journal))
    module.exit_json(changed=bool(actions), actions=actions, unit=asdict(done.after), diff=diff)


if __name__ == "__main__":
    main()
