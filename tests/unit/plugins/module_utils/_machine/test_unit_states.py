# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Recorded answers of systemd, and what follows from each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.unit_states import (
    PROPERTIES,
    UnitWish,
    decide,
    difference,
    parse_show,
)

DATA = Path(__file__).parents[3] / "data/units"


def recorded(name: str) -> str:
    return (DATA / f"{name}.txt").read_text()


def test_an_answer_is_read_whole() -> None:
    state = parse_show(recorded("auto_restart"))
    assert state.name == "d1crash.service"
    assert (state.load_state, state.active_state, state.sub_state) == ("loaded", "activating", "auto-restart")
    assert (state.unit_file_state, state.kind, state.restart) == ("enabled", "simple", "always")
    # 2026-11-21 15:36:16.841090 UTC
    assert state.started_at == pytest.approx(1795275376.84109, abs=1e-5)
    assert state.fragment == "/etc/systemd/system/d1crash.service"
    assert state.drop_ins == ("/etc/systemd/system/d1crash.service.d/50-ironbinder-restart.conf",)
    assert (state.result, state.restarts, state.main_pid) == ("exit-code", 8, 0)
    assert not state.is_running
    assert not state.is_on_its_way
    assert parse_show(recorded("needs_reload")).needs_reload
    assert parse_show(recorded("not_found")).load_error == "Unit nonsense.service not found."
    assert parse_show(recorded("not_found")).started_at is None


@pytest.mark.parametrize("path", sorted(DATA.glob("*.txt")), ids=lambda path: path.stem)
def test_systemd_knows_every_property_that_is_asked_for(path: Path) -> None:
    assert {line.split("=", 1)[0] for line in path.read_text().splitlines()} == set(PROPERTIES)


# (recorded answer, what is wished, whether it is older than its files, what there is to do)
CASES: dict[str, tuple[str, dict[str, Any], bool, list[str]]] = {
    "runs, but not after a start of the machine": ("running", {}, False, ["enable"]),
    "runs as it should": ("running", {"enabled": None}, False, []),
    "runs with an old configuration": ("running", {"enabled": None}, True, ["restart"]),
    "and reads it again": ("running", {"enabled": None, "on_change": "reload"}, True, ["reload"]),
    "would stay dead": ("forking_without_policy", {}, False, ["drop_in", "daemon-reload"]),
    "may stay dead": ("forking_without_policy", {"comes_back_enabled": False}, False, []),
    "is to be stopped, so needs no policy": ("forking_without_policy", {"state": "stopped"}, False, ["stop"]),
    "its file was changed": (
        "needs_reload",
        {"comes_back_enabled": False},
        False,
        ["daemon-reload"],
    ),
    "its file and its configuration were changed": (
        "needs_reload",
        {"comes_back_enabled": False},
        True,
        ["daemon-reload", "restart"],
    ),
    "was never started": ("disabled", {}, False, ["drop_in", "daemon-reload", "enable", "start"]),
    "was stopped": ("stopped", {"comes_back_enabled": False}, False, ["start"]),
    "was stopped, and may be so": ("stopped", {"comes_back_enabled": False, "state": "as_is"}, True, []),
    "was stopped, and has worked": (
        "stopped",
        {"comes_back_enabled": False, "state": "as_is", "has_worked": True},
        True,
        ["start"],
    ),
    "failed too often, and has worked": (
        "start_limit",
        {"enabled": None, "state": "as_is", "has_worked": True},
        False,
        ["reset-failed", "start"],
    ),
    "waits for its next try, and has worked": (
        "auto_restart",
        {"state": "as_is", "has_worked": True},
        True,
        [],
    ),
    "is off as wished": ("disabled", {"state": "stopped", "enabled": False}, False, []),
    "is to be off": ("oneshot", {"state": "stopped", "enabled": False}, False, ["disable", "stop"]),
    "a oneshot has no policy": ("oneshot", {}, False, []),
    "failed too often": ("start_limit", {"enabled": None}, False, ["reset-failed", "start"]),
    "failed, as wished": ("start_limit", {"enabled": None, "state": "stopped"}, False, []),
    "waits for its next try": ("auto_restart", {}, False, ["start"]),
    "waits for its next try, which is its affair": ("auto_restart", {"state": "as_is"}, True, []),
    "waits for its next try, and is not wanted": ("auto_restart", {"state": "stopped"}, False, ["stop"]),
    "is being started": ("starting", {"enabled": None}, False, []),
    "is being started with an old configuration": ("starting", {"enabled": None}, True, ["restart"]),
    "runs with an old configuration, whoever started it": (
        "running",
        {"enabled": None, "state": "as_is"},
        True,
        ["restart"],
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_decision(case: tuple[str, dict[str, Any], bool, list[str]]) -> None:
    answer, wish, is_old, actions = case
    assert decide(parse_show(recorded(answer)), UnitWish("x", **wish), is_old=is_old) == actions


def test_the_difference_shows_what_changes_and_nothing_else() -> None:
    seen = parse_show(recorded("disabled"))
    shown = difference(seen, UnitWish("x"), decide(seen, UnitWish("x"), is_old=False))
    assert shown["before"] == "starts with the machine: disabled\nstate: inactive\nrestart policy: no\n"
    assert shown["after"] == "starts with the machine: enabled\nstate: active\nrestart policy: always\n"
    assert (
        difference(seen, UnitWish("x"), [])["after"] == "starts with the machine: disabled\nstate: inactive\n"
    )
