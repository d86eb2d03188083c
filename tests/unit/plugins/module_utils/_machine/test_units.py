# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A machine's systemd, played back: recorded answers in their order, and the commands that were given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import TOOK_TOO_LONG, Ran
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.unit_states import (
    COMES_BACK,
    UnitWish,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.units import (
    DROP_IN,
    UnitError,
    Units,
)

DATA = Path(__file__).parents[3] / "data/units"
# When the recorded unit `running` was started: 2026-11-21 15:36:19.009097 UTC.
STARTED = 1795275379.009097
JOURNAL = "Started.\nmy configuration is bad in line 3\nFailed with result 'exit-code'.\n"


def recorded(name: str, *changes: tuple[str, str]) -> str:
    text = (DATA / f"{name}.txt").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class Systemd:
    """Answers `show` from a list, whose last one it repeats; every other verb succeeds but for `refused`."""

    def __init__(self, *answers: str, refused: dict[str, Ran] | None = None) -> None:
        self.answers = list(answers)
        self.refused = refused or {}
        self.asked = 0
        self.given: list[str] = []

    def __call__(self, argv: Sequence[str], timeout_seconds: float) -> Ran:
        assert timeout_seconds > 0
        if argv[0] == "journalctl":
            return Ran(0, JOURNAL)
        assert argv[0] == "systemctl"
        if argv[1] in self.refused:
            return self.refused[argv[1]]
        if argv[1] == "show":
            self.asked += 1
            return Ran(0, self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
        self.given.append(" ".join(argv[1:]))
        return Ran(0)


Make = Callable[..., Units]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def units(systemd: Systemd, *, files: dict[str, float] | None = None, replaced: bool = False) -> Units:
        return Units(
            run=systemd,
            clock=Clock(),
            changed_at=(files or {}).get,
            now=lambda: STARTED + 1000,
            was_replaced=lambda pid: replaced and pid == 532,
            drop_in_dir=tmp_path,
        )

    return units


RUNNING = recorded("running", ("UnitFileState=disabled", "UnitFileState=enabled"))


def test_a_unit_that_is_as_it_should_be_costs_one_process(make: Make) -> None:
    systemd = Systemd(RUNNING)
    brought = make(systemd, files={"/etc/x": STARTED - 1}).bring_about(
        UnitWish("d1good", config_files=["/etc/x"])
    )
    assert brought.actions == []
    assert (systemd.asked, systemd.given) == (1, [])


# (when the file was changed, seconds after the start; None: there is none; is it restarted)
AGES: dict[str, tuple[float | None, bool]] = {
    "before": (-0.5, False),
    "in the same moment": (0.0, False),
    "after": (0.5, True),
    "by a clock that was wrong": (5000.0, False),
    "never": (None, False),
}


@pytest.mark.parametrize(("age", "is_restarted"), AGES.values(), ids=AGES.keys())
@pytest.mark.parametrize("check_mode", [True, False])
def test_a_process_older_than_its_files_is_restarted(
    make: Make, age: float | None, is_restarted: bool, check_mode: bool
) -> None:
    systemd = Systemd(RUNNING)
    units = make(systemd, files={} if age is None else {"/etc/x": STARTED + age})
    brought = units.bring_about(UnitWish("d1good", config_files=["/etc/w", "/etc/x"]), check_mode=check_mode)
    assert brought.actions == (["restart"] if is_restarted else [])
    assert systemd.given == (["restart d1good.service"] if is_restarted and not check_mode else [])


def test_a_drop_in_that_is_gone_and_not_forgotten(make: Make) -> None:
    """A run that ended between the two is made good; other drop-ins are nobody's business."""
    loaded = "/etc/systemd/system/d1good.service.d/50-ironbinder-restart.conf"
    assert loaded in RUNNING
    for known, actions in ((loaded, ["restart"]), ("/etc/else", [])):
        systemd = Systemd(RUNNING)
        assert make(systemd).bring_about(UnitWish("d1good", config_files=[known])).actions == actions
    there = make(Systemd(RUNNING), files={loaded: STARTED - 1})
    assert there.bring_about(UnitWish("d1good", config_files=[loaded])).actions == []


def test_a_process_whose_program_was_replaced_is_restarted(make: Make) -> None:
    assert make(Systemd(RUNNING), replaced=True).bring_about(UnitWish("d1good")).actions == ["restart"]


def test_a_reload_leaves_no_time_so_only_the_caller_asks_for_it(make: Make) -> None:
    files = {"/etc/x": STARTED + 1}
    wish = UnitWish("d1good", config_files=["/etc/x"], on_change="reload")
    assert make(Systemd(RUNNING), files=files, replaced=True).bring_about(wish).actions == []
    systemd = Systemd(RUNNING)
    asked = UnitWish("d1good", config_changed=True, on_change="reload")
    assert make(systemd).bring_about(asked).actions == ["reload"]
    assert systemd.given == ["reload d1good.service"]


def test_a_service_without_a_policy_gets_one(make: Make, tmp_path: Path) -> None:
    after = recorded("forking_without_policy", ("Restart=no", "Restart=always"))
    systemd = Systemd(recorded("forking_without_policy"), after)
    drop_in = tmp_path / "d1fork.service.d" / DROP_IN
    assert make(systemd).bring_about(UnitWish("d1fork"), check_mode=True).actions == [
        "drop_in",
        "daemon-reload",
    ]
    assert not drop_in.exists()
    systemd = Systemd(recorded("forking_without_policy"), after)
    brought = make(systemd).bring_about(UnitWish("d1fork"))
    # What runs goes on.
    assert systemd.given == ["daemon-reload"]
    assert drop_in.read_text() == COMES_BACK
    assert drop_in.stat().st_mode & 0o777 == 0o644
    assert brought.after.restart == "always"
    assert make(systemd).bring_about(UnitWish("d1fork")).actions == []


def test_a_policy_that_a_later_drop_in_takes_back_is_an_error(make: Make) -> None:
    systemd = Systemd(recorded("forking_without_policy"))
    with pytest.raises(UnitError, match="still has no restart policy"):
        make(systemd).bring_about(UnitWish("d1fork"))


def test_in_a_check_a_missing_unit_is_one_that_a_package_brings(make: Make) -> None:
    wish = UnitWish("nonsense")
    assert make(Systemd(recorded("not_found"))).bring_about(wish, check_mode=True).actions == [
        "enable",
        "start",
    ]
    kubelet = UnitWish("nonsense", state="as_is")
    assert make(Systemd(recorded("not_found"))).bring_about(kubelet, check_mode=True).actions == ["enable"]
    off = UnitWish("nonsense", state="stopped", enabled=False)
    assert make(Systemd(recorded("not_found"))).bring_about(off).actions == []


@pytest.mark.parametrize("answer", ["not_found", "bad_setting"])
def test_a_unit_whose_file_has_just_come_is_found_by_reading_them_again(make: Make, answer: str) -> None:
    systemd = Systemd(recorded(answer), RUNNING)
    assert make(systemd).bring_about(UnitWish("d1good")).actions == ["daemon-reload"]
    assert systemd.given == ["daemon-reload"]


def test_a_check_does_not_know_what_reading_a_broken_unit_again_will_bring(make: Make) -> None:
    systemd = Systemd(recorded("bad_setting"))
    assert make(systemd).bring_about(UnitWish("d1bad"), check_mode=True).actions == ["daemon-reload"]
    assert systemd.given == []


REFUSED = {
    "not_found": "install the package that brings it",
    "masked": "`systemctl unmask` does not take that off",
    "bad_setting": "has a bad unit file setting",
}


@pytest.mark.parametrize(("answer", "said"), REFUSED.items())
def test_what_systemd_cannot_load_is_named_with_its_remedy(make: Make, answer: str, said: str) -> None:
    with pytest.raises(UnitError, match=said):
        make(Systemd(recorded(answer))).bring_about(UnitWish("x"))


def test_a_masked_unit_is_stopped_enough(make: Make) -> None:
    assert make(Systemd(recorded("masked"))).bring_about(UnitWish("x", state="stopped")).actions == []


def test_a_mask_is_taken_off_and_what_is_below_it_put_right(make: Make) -> None:
    masked = recorded("masked")
    systemd = Systemd(masked, recorded("stopped"), RUNNING)
    wish = UnitWish("d1fork", comes_back_enabled=False)
    assert make(systemd).bring_about(wish, check_mode=True).actions == ["unmask", "start"]
    assert systemd.given == []
    systemd.answers.insert(0, masked)
    assert make(systemd).bring_about(wish).actions == ["unmask", "start"]
    assert systemd.given == ["unmask d1fork", "start d1fork.service"]


def test_a_mask_over_what_runs_is_taken_off_and_it_goes_on(make: Make) -> None:
    masked = recorded("masked", ("ActiveState=inactive", "ActiveState=active"))
    systemd = Systemd(masked, masked, RUNNING)
    wish = UnitWish("x", enabled=None)
    assert make(systemd).bring_about(wish, check_mode=True).actions == ["unmask"]
    assert make(systemd).bring_about(wish).actions == ["unmask"]
    assert systemd.given == ["unmask x"]


def test_a_mask_until_the_next_start_of_the_machine(make: Make) -> None:
    systemd = Systemd(recorded("masked"), recorded("masked"), RUNNING)
    assert make(systemd).bring_about(UnitWish("x", enabled=None)).actions == ["unmask"]
    assert systemd.given == ["unmask x", "unmask --runtime x"]


def test_a_masked_unit_that_runs_is_stopped_and_stays_masked(make: Make) -> None:
    masked = recorded("masked", ("ActiveState=inactive", "ActiveState=active"))
    systemd = Systemd(masked, recorded("masked"))
    assert make(systemd).bring_about(UnitWish("x", state="stopped", enabled=False)).actions == ["stop"]
    assert systemd.given == ["stop systemd-logind.service"]


def test_a_program_that_gives_up_at_once_is_told_with_its_journal(make: Make) -> None:
    # The first answer after the start is systemd's belief; a second later it knows better.
    systemd = Systemd(recorded("stopped"), RUNNING, recorded("auto_restart"))
    with pytest.raises(UnitError) as failure:
        make(systemd).bring_about(UnitWish("d1crash", comes_back_enabled=False))
    assert "it ended within 1 s" in str(failure.value)
    assert "my configuration is bad in line 3" in str(failure.value)
    assert "50-ironbinder-restart.conf" in str(failure.value)
    assert failure.value.journal == JOURNAL.splitlines()


def test_a_program_that_came_back_meanwhile_has_ended_too(make: Make) -> None:
    systemd = Systemd(recorded("stopped"), RUNNING, recorded("running", ("NRestarts=0", "NRestarts=1")))
    with pytest.raises(UnitError, match="it ended within"):
        make(systemd).bring_about(UnitWish("d1good", comes_back_enabled=False))


def test_one_that_is_being_started_is_waited_for_and_not_touched(make: Make) -> None:
    systemd = Systemd(recorded("starting"), recorded("starting"), RUNNING)
    assert make(systemd).bring_about(UnitWish("d1slow", enabled=None)).actions == []
    assert systemd.given == []


def test_one_that_never_starts_is_given_up(make: Make) -> None:
    systemd = Systemd(recorded("starting"))
    units = make(systemd)
    with pytest.raises(UnitError, match=r"it does not run.*activating"):
        units.bring_about(UnitWish("d1slow", enabled=None, timeout_seconds=30))
    assert systemd.asked < 40


def test_a_verb_that_fails_carries_systemds_words_and_the_journal(make: Make) -> None:
    refusal = Ran(
        1, stderr="Job for d1good.service failed because the control process exited with error code.\n"
    )
    systemd = Systemd(recorded("start_limit"), refused={"start": refusal})
    with pytest.raises(UnitError, match=r"`systemctl start d1limit\.service` failed: Job for") as failure:
        make(systemd).bring_about(UnitWish("d1limit", enabled=None))
    assert systemd.given == ["reset-failed d1limit.service"]
    assert "line 3" in str(failure.value)


def test_a_verb_that_hangs_is_ended(make: Make) -> None:
    systemd = Systemd(RUNNING, refused={"stop": Ran(TOOK_TOO_LONG, stderr="systemctl was ended after 180 s")})
    with pytest.raises(UnitError, match="was ended after 180 s"):
        make(systemd).bring_about(UnitWish("d1good", state="stopped"))


def test_a_machine_without_systemd_is_named(make: Make) -> None:
    refusal = Ran(
        1, stderr="System has not been booted with systemd as init system (PID 1). Can't operate.\n"
    )
    with pytest.raises(UnitError, match="has not been booted with systemd"):
        make(Systemd(RUNNING, refused={"show": refusal})).bring_about(UnitWish("d1good"), check_mode=True)


TIMER = recorded("running", ("UnitFileState=disabled", "UnitFileState=enabled"), ("d1good", "prune"))
TIMER = TIMER.replace("prune.service", "prune.timer").replace("Triggers=", "Triggers=prune.service")


def test_a_timer_has_systemd_read_again_what_it_starts(make: Make) -> None:
    """What a timer starts has no task of its own, so that nobody else would see that its file is newer."""
    changed = recorded("running", ("NeedDaemonReload=no", "NeedDaemonReload=yes"))
    systemd = Systemd(TIMER, changed, TIMER)
    assert make(systemd).bring_about(UnitWish("prune.timer")).actions == ["daemon-reload"]
    assert systemd.given == ["daemon-reload"]


def test_a_timer_whose_service_is_as_read_is_left_alone(make: Make) -> None:
    systemd = Systemd(TIMER, recorded("running"))
    assert make(systemd).bring_about(UnitWish("prune.timer")).actions == []
    assert (systemd.asked, systemd.given) == (2, [])
