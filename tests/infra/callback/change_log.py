# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Write down which task changed what, so that a check can be compared with the run after it."""

from __future__ import annotations

DOCUMENTATION = r"""
name: change_log
type: notification
short_description: Write which task changed something on which host, run by run
description:
  - Each run of the recorded playbook adds one to the list of runs in the file. A run with C(--check) begins the list anew.
options:
  path:
    description: File that receives the runs as JSON.
    type: path
    required: true
    env: [{name: IRONBINDER_CHANGE_LOG}]
  playbook:
    description: Name of the playbook, without folder and suffix, that is written down; all others are passed over.
    type: str
    default: site
    env: [{name: IRONBINDER_CHANGE_LOG_PLAYBOOK}]
"""

import json
from pathlib import Path
from typing import Any

from ansible import context
from ansible.plugins.callback import CallbackBase

ROOT = Path(__file__).resolve().parents[3]


class CallbackModule(CallbackBase):
    """Collects the changes of one run."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "change_log"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Begin, if this is the playbook to write down."""
        self._recorded = Path(playbook._file_name).stem == self.get_option("playbook")
        self._run: dict[str, Any] = {"check": bool(context.CLIARGS["check"]), "changes": []}

    def v2_runner_on_ok(self, result: Any) -> None:
        """Write down a change, with the loop's items that made it."""
        answer = result._result
        if not (self._recorded and answer.get("changed")):
            return
        file, _, line = result._task.get_path().rpartition(":")
        # A task that keeps its words to itself keeps its items, too.
        loop = [] if result._task.no_log else answer.get("results", [])
        self._run["changes"].append(
            {
                "host": result._host.get_name(),
                "task": result._task.get_name(),
                "file": _within_project(file),
                "line": int(line),
                "items": [str(item["_ansible_item_label"]) for item in loop if item.get("changed")],
            }
        )

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Add the run to the file."""
        if not self._recorded:
            return
        path = Path(self.get_option("path"))
        runs = [] if self._run["check"] or not path.exists() else json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps([*runs, self._run], indent=1) + "\n", encoding="utf-8")


def _within_project(file: str) -> str:
    """Return the path as the project sees it, whichever way Ansible came to the file."""
    try:
        return str(Path(file).resolve().relative_to(ROOT))
    except ValueError:
        return file
