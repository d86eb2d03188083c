# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What systemd says about a unit, and what follows from it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Optional

__all__ = ["COMES_BACK", "PROPERTIES", "UnitState", "UnitWish", "decide", "difference", "parse_show"]

PROPERTIES = (
    "Id",
    "LoadState",
    "LoadError",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "Type",
    "Restart",
    "NeedDaemonReload",
    "MainPID",
    "ExecMainStartTimestamp",
    "FragmentPath",
    "DropInPaths",
    "Result",
    "NRestarts",
    "Triggers",
)
# `always`, because a daemon that somebody ended politely is missed as much as one that crashed; what
# `systemctl stop` stops stays stopped. Five seconds never reach systemd's limit of five starts in ten.
COMES_BACK = """# Written by Ironbinder: the unit has no restart policy of its own, and would stay dead.
[Service]
Restart=always
RestartSec=5
"""
# As `systemctl --timestamp=us+utc` has it: Fri 2025-11-21 15:31:20.123456 UTC.
_TIME = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(\.\d+)? UTC")
_LOADED_BUT_OFF = ("disabled", "enabled-runtime")
_ENABLED = ("enabled", "enabled-runtime")
_RUNNING = ("active", "reloading")


@dataclass(frozen=True)
class UnitState:
    """One unit as `systemctl show` has it, https://man7.org/linux/man-pages/man5/org.freedesktop.systemd1.5.html

    `started_at` are seconds since the epoch, None where no process was started.
    """

    name: str
    load_state: str = ""
    load_error: str = ""
    active_state: str = ""
    sub_state: str = ""
    unit_file_state: str = ""
    kind: str = ""
    restart: str = ""
    needs_reload: bool = False
    main_pid: int = 0
    started_at: Optional[float] = None
    fragment: str = ""
    drop_ins: Sequence[str] = ()
    result: str = ""
    restarts: int = 0
    triggers: Sequence[str] = ()

    @property
    def is_running(self) -> bool:
        """Whether it does its work."""
        return self.active_state in _RUNNING

    @property
    def is_on_its_way(self) -> bool:
        """Whether it is being started; not, whether it waits for its next try after a crash."""
        return self.active_state == "activating" and self.sub_state != "auto-restart"

    @property
    def is_done(self) -> bool:
        """Whether it ran once, and well, and has no process that stays."""
        return self.kind == "oneshot" and self.active_state == "inactive" and self.result == "success"


def _seconds(text: str) -> Optional[float]:
    found = _TIME.search(text)
    if not found:
        return None
    moment = datetime.strptime(found.group(1), "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)
    return moment.timestamp() + float(found.group(2) or 0)


def parse_show(text: str) -> UnitState:
    """Read the answer of `systemctl show --timestamp=us+utc` for `PROPERTIES` of one unit.

    Properties that an older systemd does not know, or a unit has not, are empty. Paths with spaces
    do not occur in units of packages.
    """
    told = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    def number(name: str) -> int:
        return int(told[name]) if told.get(name, "").isdigit() else 0

    return UnitState(
        name=told.get("Id", ""),
        load_state=told.get("LoadState", ""),
        load_error=told.get("LoadError", "").split(" ", 1)[-1].strip('"'),
        active_state=told.get("ActiveState", ""),
        sub_state=told.get("SubState", ""),
        unit_file_state=told.get("UnitFileState", ""),
        kind=told.get("Type", ""),
        restart=told.get("Restart", ""),
        needs_reload=told.get("NeedDaemonReload") == "yes",
        main_pid=number("MainPID"),
        started_at=_seconds(told.get("ExecMainStartTimestamp", "")),
        fragment=told.get("FragmentPath", ""),
        drop_ins=tuple(told.get("DropInPaths", "").split()),
        result=told.get("Result", ""),
        restarts=number("NRestarts"),
        triggers=tuple(told.get("Triggers", "").split()),
    )


@dataclass(frozen=True)
class UnitWish:
    """What a unit shall be. Field by field as documented in the module service_unit."""

    name: str
    state: str = "started"
    enabled: Optional[bool] = True
    comes_back_enabled: bool = True
    config_files: Sequence[str] = ()
    config_changed: bool = False
    on_change: str = "restart"
    timeout_seconds: float = 180.0
    has_worked: bool = False


def decide(seen: UnitState, wish: UnitWish, *, is_old: bool) -> list[str]:
    """Say what there is to do, in order, as systemctl's verbs and `drop_in`.

    Args:
        seen: the unit, which exists.
        wish: what it shall be.
        is_old: whether what runs was started before its configuration or its program.
    """
    actions = []
    # A policy is for what stays: a unit of type oneshot may not have `always`, and sockets have none.
    if (
        wish.comes_back_enabled
        and wish.state != "stopped"
        and seen.name.endswith(".service")
        and seen.restart == "no"
        and seen.kind != "oneshot"
    ):
        actions.append("drop_in")
    if actions or seen.needs_reload:
        actions.append("daemon-reload")
    if wish.enabled and seen.unit_file_state in _LOADED_BUT_OFF:
        actions.append("enable")
    if wish.enabled is False and seen.unit_file_state in _ENABLED:
        actions.append("disable")
    return actions + _to_run(seen, wish, is_old)


def _to_run(seen: UnitState, wish: UnitWish, is_old: bool) -> list[str]:
    if wish.state == "stopped":
        return [] if seen.active_state in ("inactive", "failed") else ["stop"]
    if seen.is_running:
        return [wish.on_change] if is_old else []
    # One that starts and crashes is on its own way.
    if wish.state == "as_is" and not (wish.has_worked and seen.active_state in ("inactive", "failed")):
        return []
    if seen.is_on_its_way:
        # What it reads may have changed since it began to.
        return ["restart"] if is_old else []
    # systemd refuses to start what has failed too often in a row, and tells of it only then.
    return ["reset-failed", "start"] if seen.active_state == "failed" else ["start"]


def difference(seen: UnitState, wish: UnitWish, actions: Sequence[str]) -> dict[str, str]:
    """Show what `actions` change, in Ansible's form of a difference."""
    enabled = {"enable": "enabled", "disable": "disabled", "unmask": "unmasked"}
    runs = {
        "start": "active",
        "stop": "inactive",
        "restart": "active, restarted",
        "reload": "active, reloaded",
    }
    before = {"starts with the machine": seen.unit_file_state or "no unit yet", "state": seen.active_state}
    after = dict(before)
    for action in actions:
        if action in enabled:
            after["starts with the machine"] = enabled[action]
        if action in runs:
            after["state"] = runs[action]
    if "drop_in" in actions:
        before["restart policy"], after["restart policy"] = seen.restart, "always"
    name = seen.name or wish.name

    def text(what: Mapping[str, str]) -> str:
        return "".join(f"{key}: {value}\n" for key, value in what.items())

    return {"before": text(before), "after": text(after), "before_header": name, "after_header": name}
