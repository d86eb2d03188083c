# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Services that run with the configuration they have, start with the machine, and come back by themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import Ran, Runner
from ansible_collections.ironbinder.platform.plugins.module_utils._base.files import write_atomically
from ansible_collections.ironbinder.platform.plugins.module_utils._base.waiting import wait_until
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.unit_states import (
    COMES_BACK,
    PROPERTIES,
    UnitState,
    UnitWish,
    decide,
    parse_show,
)

__all__ = ["DROP_IN", "Brought", "UnitError", "Units"]

DROP_IN = "50-ironbinder-restart.conf"
JOURNAL_LINES = 20
# A program that cannot read its configuration gives up at once; systemd calls it active until then.
SETTLE_SECONDS = 1.0
_STARTED_BY_HAND = ("simple", "exec", "idle", "")


class UnitError(RuntimeError):
    """A unit that is not what it shall be. The text says what was asked, what was seen, and what to do.

    `journal` are the last lines of the unit's journal.
    """

    def __init__(self, text: str, journal: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.journal = journal


@dataclass(frozen=True)
class Brought:
    """What was done, or would be, and the unit before and after."""

    actions: Sequence[str]
    before: UnitState
    after: UnitState


class Units:
    """The machine's systemd.

    Args:
        run: runs a command.
        clock: time.
        changed_at: when a file was changed last, in seconds since the epoch; None where there is none.
        now: seconds since the epoch.
        was_replaced: whether the program of a process is no longer the one on the disk.
        drop_in_dir: where units' drop-ins are.
    """

    def __init__(
        self,
        *,
        run: Runner,
        clock: Clock,
        changed_at: Callable[[str], float | None],
        now: Callable[[], float],
        was_replaced: Callable[[int], bool],
        drop_in_dir: Path = Path("/etc/systemd/system"),
    ) -> None:
        self._run = run
        self._clock = clock
        self._changed_at = changed_at
        self._now = now
        self._was_replaced = was_replaced
        self._drop_in_dir = drop_in_dir

    def bring_about(self, wish: UnitWish, *, check_mode: bool = False) -> Brought:
        """Make a unit what it shall be, and prove that it stays so for a moment.

        A second time this is one call of systemctl, and one more for each unit that this one triggers.

        Raises:
            UnitError: systemd refuses, or the unit does not run.
        """
        seen = self.show(wish.name)
        if wish.state == "stopped" and seen.load_state in ("not-found", "masked") and not seen.is_running:
            return Brought([], seen, seen)
        reread = _first(seen, wish)
        if reread and check_mode:
            # What it is like then does not show before.
            return Brought(_foreseen(seen, wish, reread), seen, seen)
        if reread:
            seen = self._made_known(wish, reread)
        if seen.load_state not in ("loaded", "masked" if wish.state == "stopped" else "loaded"):
            raise UnitError(_not_loaded(seen))
        # What a timer starts has no wish of its own, and systemd tells of each unit's own files only.
        if not seen.needs_reload and any(self.show(name).needs_reload for name in seen.triggers):
            seen = replace(seen, needs_reload=True)
        actions = decide(seen, wish, is_old=wish.config_changed or self._is_old(seen, wish))
        if check_mode:
            return Brought(actions, seen, seen)
        for action in actions:
            if action == "drop_in":
                self._write_drop_in(seen.name)
            else:
                self._systemctl([action] if action == "daemon-reload" else [action, seen.name], wish)
        after = seen
        started = bool({"start", "restart"} & set(actions))
        if started or (wish.state == "started" and not seen.is_running):
            after = self._settled(wish, started)
        elif actions:
            after = self.show(wish.name)
        if "drop_in" in actions and after.restart == "no":
            raise UnitError(
                f"{seen.name} still has no restart policy, though {self.drop_in(seen.name)} gives it one: "
                f"a later drop-in takes it back ({', '.join(after.drop_ins)}). Remove Restart=no there"
            )
        return Brought([*reread, *actions], seen, after)

    def _made_known(self, wish: UnitWish, first: Sequence[str]) -> UnitState:
        """Have systemd read a unit, and may have it start it; also where it is masked until the machine's next start only."""
        if "unmask" not in first:
            self._systemctl(first, wish)
            return self.show(wish.name)
        for words in (["unmask"], ["unmask", "--runtime"]):
            self._systemctl([*words, wish.name], wish)
            seen = self.show(wish.name)
            if seen.load_state != "masked":
                break
        return seen

    def show(self, name: str) -> UnitState:
        """Ask systemd about a unit; a name without a suffix is a service's.

        Raises:
            UnitError: systemd does not answer.
        """
        name = name if "." in name else f"{name}.service"
        ran = self._run(
            ["systemctl", "show", "--timestamp=us+utc", f"--property={','.join(PROPERTIES)}", "--", name], 30
        )
        if ran.rc != 0:
            raise UnitError(
                f"systemd was asked about {name} and did not answer: {ran.said}. See `systemctl status`"
            )
        return parse_show(ran.stdout)

    def _is_old(self, seen: UnitState, wish: UnitWish) -> bool:
        """Whether what runs was started before its files. Times to come are of a clock that was wrong."""
        if wish.on_change != "restart" or seen.started_at is None or not seen.main_pid:
            return False
        if self._was_replaced(seen.main_pid):
            return True
        times = [self._changed_at(path) for path in wish.config_files]
        # A drop-in that is gone and that systemd still has: what runs was started with it.
        if any(time is None and path in seen.drop_ins for path, time in zip(wish.config_files, times)):
            return True
        return any(time is not None and seen.started_at < time <= self._now() for time in times)

    def drop_in(self, name: str) -> Path:
        """Name the file that gives a unit its restart policy."""
        return self._drop_in_dir / f"{name}.d" / DROP_IN

    def _write_drop_in(self, name: str) -> None:
        path = self.drop_in(name)
        try:
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            write_atomically(path, COMES_BACK, mode=0o644)
        except OSError as error:
            raise UnitError(f"{path} cannot be written: {error}. Run as root (become: true)") from error

    def _systemctl(self, words: Sequence[str], wish: UnitWish) -> Ran:
        ran = self._run(["systemctl", *words], wish.timeout_seconds)
        if ran.rc != 0:
            raise self._failed(f"`systemctl {' '.join(words)}` failed: {ran.said}", wish)
        return ran

    def _settled(self, wish: UnitWish, started: bool) -> UnitState:
        """Wait until the unit is what it shall be, and a moment more where systemd does not know yet."""

        def is_decided(state: UnitState) -> bool:
            return not (state.is_on_its_way or state.active_state in ("deactivating", "reloading"))

        after = wait_until(
            lambda _seconds: self.show(wish.name),
            is_decided,
            clock=self._clock,
            timeout_seconds=wish.timeout_seconds,
        ).seen
        if started and after.is_running and after.kind in _STARTED_BY_HAND:
            self._clock.sleep(SETTLE_SECONDS)
            later = self.show(wish.name)
            if (later.main_pid, later.restarts) != (after.main_pid, after.restarts) or not later.is_running:
                raise self._failed(f"it ended within {SETTLE_SECONDS:.0f} s after it was started", wish)
            after = later
        if (started or wish.state == "started") and not (after.is_running or after.is_done):
            raise self._failed("it does not run", wish)
        return after

    def _failed(self, what: str, wish: UnitWish) -> UnitError:
        seen = self.show(wish.name)
        ran = self._run(
            ["journalctl", f"--unit={seen.name}", f"--lines={JOURNAL_LINES}", "--no-pager", "--output=cat"],
            30,
        )
        journal = [line for line in ran.stdout.splitlines() if line.strip()]
        told = " | ".join(journal[-5:]).rstrip(".") or "nothing"
        return UnitError(
            f"{seen.name}: {what}. systemd has it as {seen.active_state} ({seen.sub_state}, result {seen.result or 'none'}), "
            f"from {', '.join([seen.fragment, *seen.drop_ins])}. Its journal ends with: {told}. "
            f"See `systemctl status {seen.name}` and `journalctl -u {seen.name}`",
            journal,
        )


def _first(seen: UnitState, wish: UnitWish) -> list[str]:
    """What has to be done before it shows what a unit is like."""
    if seen.load_state == "masked":
        return [] if wish.state == "stopped" else ["unmask"]
    # A file that has just come, or come anew under a unit that ran.
    return [] if seen.load_state == "loaded" else ["daemon-reload"]


def _foreseen(seen: UnitState, wish: UnitWish, first: Sequence[str]) -> list[str]:
    """What becomes in a check of a unit that is masked, or not there: a package that was not installed brings it."""
    starts = ["start"] if wish.state == "started" and not seen.is_running else []
    if seen.load_state == "masked":
        return [*first, *starts]
    if seen.load_state != "not-found":
        return list(first)
    return (["enable"] if wish.enabled else []) + starts or list(first)


def _not_loaded(seen: UnitState) -> str:
    if seen.load_state == "not-found":
        return f"there is no unit {seen.name}: install the package that brings it, or correct its name"
    if seen.load_state == "masked":
        return f"{seen.name} is masked, and `systemctl unmask` does not take that off: look for it in /etc/systemd/system"
    return f"systemd cannot load {seen.name} ({seen.load_state}): {seen.load_error or 'see `systemd-analyze verify`'}"
