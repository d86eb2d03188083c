# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Debian packages that a machine's site no longer needs: their holds go and, where that is asked for, those that it brought."""

from __future__ import annotations

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.package_lists import State
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.packages import (
    HeldPackages,
    Outcome,
    PackagesError,
    Run,
    Wanted,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.removals import Ledger, parse_plan

__all__ = ["ReleasedPackages"]

_PURGE = ("purge", "--yes", "--quiet", "--allow-change-held-packages")


class ReleasedPackages(HeldPackages):
    """Lets go of packages on one machine. What somebody else installed stays in any case."""

    def __init__(self, run: Run, clock: Clock, wanted: Wanted, ledger: Ledger, *, purge: bool) -> None:
        """Take what `HeldPackages` takes, and whether what the ledger names is purged."""
        super().__init__(run, clock, wanted, ledger)
        self.purge = purge

    def bring_about(self, check_mode: bool = False) -> Outcome:
        """Take holds off and purge, or only say it.

        Raises:
            PackagesError: somebody else's package would go along; apt failed.
        """
        before = self._states()
        held = [name for name in self.wanted.names if before[name].held]
        ours = self.ledger.names()
        gone = [name for name in self.everything if self.purge and before[name].version and name in ours]
        # Tools that something else on this machine needs stay, whoever installed that.
        gone = [name for name in gone if name not in self.wanted.also or self._goes_alone(name, gone)]
        along = self._along(gone) if gone else []
        if not check_mode:
            if held:
                self._must(["apt-mark", "unhold", *held])
            if gone:
                self._must(["apt-get", *_PURGE, *gone, *along])
            self.ledger.forget([*gone, *along])
        after = {
            name: State(name, "" if name in gone else state.version, False if name in held else state.held)
            for name, state in before.items()
        }
        return Outcome(bool(held or gone), not gone, before, after if check_mode else self._states())

    def _goes_alone(self, name: str, gone: list[str]) -> bool:
        rc, out, _err = self.run(["apt-get", "--simulate", *_PURGE, name])
        # apt 3 refuses where what is held would have to go, too.
        return not rc and set(parse_plan(out).removed) <= set(gone)

    def _along(self, gone: list[str]) -> list[str]:
        """Name what apt would remove besides, all of which has to be ours, with what nothing needs then."""
        removed = self._removed([*_PURGE, *gone])
        unneeded = self._removed([*_PURGE, "--auto-remove", *gone])
        ours = self.ledger.names()
        strangers = [f"{name} {version}" for name, version in removed.items() if name not in ours]
        if strangers:
            raise PackagesError(
                f"apt would remove {', '.join(strangers)} with {', '.join(gone)}, and Ironbinder did not install that. Nothing "
                "was removed. Remove it yourself where it is not needed, or leave the packages (packages=false)."
            )
        return [name for name in {**removed, **unneeded} if name in ours and name not in gone]

    def _removed(self, words: list[str]) -> dict[str, str]:
        rc, out, err = self.run(["apt-get", "--simulate", *words])
        if rc:
            raise PackagesError(
                f"`apt-get --simulate {' '.join(words)}` ended with {rc}: {err.strip() or out.strip()}"
            )
        return dict(parse_plan(out).removed)
