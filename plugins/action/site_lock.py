# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Take the site's lock for this run, and keep it."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import SystemClock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.files import write_atomically
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.site_lock import (
    LEASE_SECONDS,
    LOCK_DIR,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.run.lock_keeper import (
    LOST,
    RENEW_SECONDS,
    keep,
    process_apart,
    renew_command,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.run.process import (
    controller_name,
    is_alive,
    is_over,
    person,
    started,
)

OPTIONS = {
    "directory": {"type": "path", "default": LOCK_DIR},
    "renew_seconds": {"type": "float", "default": RENEW_SECONDS},
    "kept": {"type": "bool", "default": False},
}
_GIVEN_BACK = (
    "Somebody else has had the site's lock since this run took it, and has given it back: what this run knows of the site may be "
    "no longer so. What it has changed stays, and it goes no further. Start it again"
)


class ActionModule(ActionBase):
    """Knows the run and this controller; the module judges on the head."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Take the lock, or say who has it."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(argument_spec=OPTIONS)
        variables = task_vars or {}
        folder = str(options["directory"])
        if self._task.check_mode:
            return {**result, "changed": False, "taken": False, "before": {}}
        head = str(variables.get("ansible_delegated_vars", {}).get("inventory_hostname", "")) or str(
            self._task.delegate_to or variables.get("inventory_hostname", "")
        )
        note = _note(head, folder)
        noted = _read(note)
        lost = bool(noted and options["kept"] and self._is_lost(folder, noted["id"]))
        if noted and not lost and is_alive(noted["pid"], noted["started"]):
            # Taken by an earlier play of this run, and not lost since.
            return {**result, "changed": False, "taken": True, "before": {}}
        run = os.getppid()
        mine = {
            # The same where only the keeper was lost.
            "id": noted["id"] if noted else secrets.token_hex(4),
            "who": person(),
            "what": _playbook(variables),
            "controller": controller_name(),
            "pid": run,
            "started": started(run),
        }
        broken = str(variables.get("site_lock_break") or "").strip()
        try:
            answer = self._ask(mine, folder, [broken] if broken else [], variables)
            before = answer.get("before") or {}
            if not answer.get("failed") and not answer.get("taken") and is_over(before):
                # Killed here: nobody has to wait for its lease to lapse.
                answer = self._ask(mine, folder, [before["id"]], variables)
                before = answer.get("before") or {}
        except AnsibleConnectionFailure as error:
            said = " ".join(str(error).split())
            Display().warning(
                f"{head} cannot be asked for the site's lock, so another run may be at work: {said}"
            )
            return {**result, "changed": False, "taken": False, "before": {}}
        if answer.get("failed"):
            return {**result, **answer}
        if not answer["taken"]:
            return {
                **result,
                "failed": True,
                "before": before,
                "msg": refusal(head, before, broken, had=bool(noted)),
            }
        self._keep(note, mine, folder, float(options["renew_seconds"]))
        told = {"failed": True, "msg": _GIVEN_BACK} if lost else {"taken": True}
        return {**result, "changed": False, "before": before, **told}

    def _ask(
        self, mine: dict[str, Any], folder: str, instead_of: list[str], variables: dict[str, Any]
    ) -> dict[str, Any]:
        arguments = {"directory": folder, "holder": mine, "instead_of": instead_of}
        answer: dict[str, Any] = self._execute_module(
            "ironbinder.platform.site_lock", arguments, task_vars=variables
        )
        answer.pop("invocation", None)
        return answer

    def _is_lost(self, folder: str, lock_id: str) -> bool:
        """Whether the lease is no longer ours. Of a head that is away nothing is known."""
        try:
            return int(self._low_level_execute_command(renew_command(folder, lock_id))["rc"]) == LOST
        except AnsibleConnectionFailure:
            return False

    def _keep(self, note: Path, mine: dict[str, Any], folder: str, renew_seconds: float) -> None:
        """Leave a process behind that renews the lock; the note in the run's own folder says that it is ours."""

        def tell(command: str) -> int:
            try:
                return int(self._low_level_execute_command(command)["rc"])
            except AnsibleError:
                return 255

        def work() -> None:
            # What is said from here on would go through a pipe that is closed.
            display = Display()
            display._final_q = None
            display.verbosity = 0

            def lives() -> bool:
                return is_alive(mine["pid"], mine["started"])

            # Where it was lost the note stays, and names a process that is gone.
            keep(tell, lives, SystemClock(), folder=folder, lock_id=mine["id"], renew_seconds=renew_seconds)

        keeper = process_apart(work)
        write_atomically(note, json.dumps({"id": mine["id"], "pid": keeper, "started": started(keeper)}))


def _read(note: Path) -> dict[str, Any]:
    """Read what an earlier play of this run left, nothing where there was none."""
    try:
        told: dict[str, Any] = json.loads(note.read_text())
    except FileNotFoundError:
        return {}
    return told


def _note(head: str, folder: str) -> Path:
    """Name the file that says that this run has the lock. Ansible removes the folder, which is the run's own, at its end."""
    place = hashlib.sha256(f"{head}:{folder}".encode()).hexdigest()[:12]
    return Path(constants.DEFAULT_LOCAL_TMP) / f"ironbinder-site-lock-{place}"


def _playbook(variables: dict[str, Any]) -> str:
    """Name what the run was started with."""
    from ansible.context import CLIARGS  # noqa: PLC0415 filled in when a run begins

    names = [Path(name).name for name in CLIARGS.get("args") or ()]
    limit = str(variables.get("ansible_limit") or "")
    return " ".join(names) + (f" --limit {limit}" if limit else "")


def refusal(head: str, holder: dict[str, Any], broken: str, *, had: bool = False) -> str:
    """Say who changes the site, since when, and what to do. `had`: whether this run had the lock before."""
    since, heard = float(holder.get("since", 0)), float(holder.get("heard", 0))
    began = datetime.fromtimestamp(since, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    other = f" site_lock_break is {broken}, which is not this lock." if broken else ""
    mine = (
        "This run had the lock and has lost it: what it has changed stays, and it goes no further"
        if had
        else "Nothing was changed"
    )
    return (
        f"{holder.get('who') or 'somebody'} is changing this site: {holder.get('what') or 'a playbook'}, since {began}, "
        f"process {holder.get('pid')} there, last heard of {max(heard, 0):.0f} s ago by {head}. Two runs at once would undo "
        f"each other's work. {mine}.{other} Let it end and start again. If it was killed its lock lapses by "
        f"itself {LEASE_SECONDS:.0f} s after it was last heard of; if you know that it is over, break it: "
        f"-e site_lock_break={holder.get('id')}"
    )
