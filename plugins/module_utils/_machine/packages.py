# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Debian packages in one version that nothing moves by the way.

One question to dpkg says whether there is anything to do. apt is asked only then, and its lists are fetched again only where
they do not know what is wanted, or lead to what is no longer there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.waiting import wait_until
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.package_lists import (
    ASK_STATES,
    INTERRUPTED,
    LOCKED,
    Offer,
    State,
    error_lines,
    is_version,
    parse_policy,
    parse_states,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.removals import (
    Ledger,
    Planned,
    parse_plan,
)

__all__ = ["HeldPackages", "Outcome", "PackagesError", "Run", "Wanted"]

# Takes an argv list; gives the exit code, standard output and standard error, untranslated.
Run = Callable[[Sequence[str]], tuple[int, str, str]]

# Configuration files that an admin changed stay as they are.
_INSTALL = [
    *("install", "--yes", "--quiet", "--no-install-recommends"),
    *("-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"),
]
_LOCK_STEP_SECONDS = 5


class PackagesError(Exception):
    """What could not be had. The text says what was asked for, what is there and what to do."""


@dataclass(frozen=True)
class Wanted:
    """Packages, see the module `held_packages` for each field."""

    names: Sequence[str]
    version: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    also: Sequence[str] = ()
    kept: Sequence[str] = ()
    hold: bool = True
    allow_change: bool = False
    movable: Sequence[str] = ()
    allow_removal: str = "none"
    update_cache: str = "when_unknown"
    refusal_hint: str = ""
    removal_hint: str = ""
    proof_argv: Sequence[str] = ()
    proof_stdout: str = ""
    lock_seconds: float = 300


@dataclass(frozen=True)
class Outcome:
    """What was there, what is there now, and whether a check only says so."""

    changed: bool
    present: bool
    before: Mapping[str, State]
    after: Mapping[str, State]


class HeldPackages:
    """Brings packages into the wanted state on one machine."""

    def __init__(self, run: Run, clock: Clock, wanted: Wanted, ledger: Ledger) -> None:
        """Take the machine's commands, time, what is wanted, and the list of packages that Ironbinder brought."""
        self.run = run
        self.ledger = ledger
        self.clock = clock
        self.wanted = wanted
        self.everything = [*wanted.names, *wanted.also]
        self.movable = wanted.names if wanted.allow_change else wanted.movable
        self.settled: dict[str, str] = {}
        self.is_fresh = False

    def bring_about(self, check_mode: bool = False) -> Outcome:
        """Install and hold what is missing, or only say it.

        Raises:
            PackagesError: another version is there and may not be moved; no repository has what is wanted; apt would
                remove what is not to go; apt failed; what was installed does not run.
        """
        before = self._states()
        self.settled = {name: before[name].version for name in self.wanted.kept if before[name].version}
        others = [name for name in self.wanted.names if before[name].version and not self._fits(before[name])]
        if fixed := [name for name in others if name not in self.movable]:
            raise PackagesError(self._refusal({name: before[name] for name in fixed}))
        missing = [name for name in self.everything if not self._is_right(before[name])]
        unheld = [name for name in self.wanted.names if self.wanted.hold and not before[name].held]
        after, present = before, True
        if missing:
            targets = self._targets(missing, before, check_mode)
            present = not check_mode
            after = {**before, **{name: State(name, targets[name], before[name].held) for name in missing}}
            if check_mode:
                # Also by a check is refused what a run would refuse. Where apt knows no such packages yet it plans nothing.
                self._planned(self._command(missing, targets, before))
            else:
                self._install(missing, targets, before)
                # apt takes the hold from what it was told to move.
                unheld = [name for name in self.everything if before[name].held or name in unheld]
        if unheld:
            after = {**after, **{name: State(name, after[name].version, True) for name in unheld}}
            if not check_mode:
                self._must(["apt-mark", "hold", *unheld])
        if not check_mode and (missing or unheld):
            after = self._states()
            wrong = [name for name in self.everything if not self._is_right(after[name])]
            if wrong:
                raise PackagesError(
                    f"apt ended well, but {', '.join(wrong)} is not there as asked for: see `dpkg -l {' '.join(wrong)}`"
                )
        if present:
            self._prove()
        return Outcome(bool(missing or unheld), present, before, after)

    def _is_right(self, state: State) -> bool:
        """Say whether a package is wholly there, in its version where one is asked for."""
        return state.whole and self._fits(state)

    def _fits(self, state: State) -> bool:
        """Say whether a package is there in the right version, be it configured or not."""
        wanted = self._version_of(state.name)
        return is_version(state.version, wanted) if wanted else bool(state.version)

    def _version_of(self, name: str) -> str:
        if name not in self.wanted.names:
            return ""
        return str(self.settled.get(name) or self.wanted.versions.get(name, self.wanted.version) or "")

    def _refusal(self, others: Mapping[str, State]) -> str:
        there = ", ".join(f"{name} {state.version}" for name, state in others.items())
        hint = self.wanted.refusal_hint or "Allow the change (allow_change), or ask for what is there."
        asked = ", ".join(dict.fromkeys(self._version_of(name) for name in others))
        return f"this machine has {there}, and {asked} was asked for. {hint}"

    def _states(self) -> dict[str, State]:
        """Ask dpkg about every package."""
        rc, out, err = self.run([*ASK_STATES, *self.everything])
        # 1: some were never heard of.
        if rc not in (0, 1):
            raise PackagesError(f"dpkg-query ended with {rc}: {error_lines(out, err)}")
        found = parse_states(out)
        return {name: found.get(name, State(name, "", False)) for name in self.everything}

    def _targets(
        self, missing: Sequence[str], before: Mapping[str, State], check_mode: bool
    ) -> dict[str, str]:
        """Choose the whole version of each package."""
        # What only has to be configured stays what it is, whether a repository still has it or not.
        kept = {name: before[name].version for name in missing if self._fits(before[name])}
        asked = [name for name in missing if name not in kept]
        return {**kept, **(self._found(asked, check_mode) if asked else {})}

    def _found(self, missing: Sequence[str], check_mode: bool) -> dict[str, str]:
        """Find the whole version of each package in apt's lists; fetch them where they do not know it."""
        if self.wanted.update_cache == "always" and not check_mode:
            self._update()
        targets, unknown, offers = self._offered(missing)
        if unknown and self._may_update() and not check_mode:
            self._update()
            targets, unknown, offers = self._offered(missing)
        if not unknown:
            return targets
        if check_mode and self._may_update():
            # A check cannot read the lists that a real run would fetch: it foretells what is asked for.
            return {**targets, **{name: self._version_of(name) or "latest" for name in unknown}}
        said = "; ".join(self._unknown(name, offers.get(name)) for name in unknown)
        raise PackagesError(
            f"{said}. Look at `apt-cache policy {' '.join(unknown)}` and at the repositories in /etc/apt/sources.list.d"
        )

    def _offered(self, missing: Sequence[str]) -> tuple[dict[str, str], list[str], dict[str, Offer]]:
        """Give {package: version}, the packages without one, and what apt said."""
        rc, out, err = self.run(["apt-cache", "policy", *missing])
        if rc != 0:
            raise PackagesError(f"apt-cache ended with {rc}: {error_lines(out, err)}")
        offers = parse_policy(out)
        targets = {}
        for name in missing:
            offer = offers.get(name, Offer("", ()))
            wanted = self._version_of(name)
            found = [version for version in offer.versions if is_version(version, wanted)]
            targets[name] = next(iter(found), "") if wanted else offer.candidate
        unknown = [name for name, version in targets.items() if not version]
        return {name: version for name, version in targets.items() if version}, unknown, offers

    def _unknown(self, name: str, offer: Offer | None) -> str:
        if offer is None or not offer.versions:
            return f"no apt repository of this machine has {name}"
        return f"no apt repository of this machine has {name} {self._version_of(name)}, but {', '.join(offer.versions[:5])}"

    def _may_update(self) -> bool:
        return self.wanted.update_cache != "never" and not self.is_fresh

    def _update(self) -> None:
        self._must(["apt-get", "update", "--quiet"])
        self.is_fresh = True

    def _install(
        self, missing: Sequence[str], targets: Mapping[str, str], before: Mapping[str, State]
    ) -> None:
        """Install; once more where an earlier apt was killed, and with lists of today where these lead nowhere."""
        rc, out, err = self._carry_out(self._command(missing, targets, before))
        if rc and INTERRUPTED in err:
            self._must(["dpkg", "--force-confdef", "--force-confold", "--configure", "--pending"])
            rc, out, err = self._carry_out(self._command(missing, targets, before))
        if rc and self._may_update():
            self._update()
            fresh = self._targets(missing, before, check_mode=False)
            rc, out, err = self._carry_out(self._command(missing, fresh, before))
        if rc:
            raise PackagesError(
                f"apt-get could not install {', '.join(missing)} and ended with {rc}: {error_lines(out, err)}"
            )

    def _command(
        self, missing: Sequence[str], targets: Mapping[str, str], before: Mapping[str, State]
    ) -> list[str]:
        """Give the words after `apt-get`."""
        options = {
            "--allow-downgrades": bool(self.movable),
            # What is held and has another version was refused above, or may be moved.
            "--allow-change-held-packages": any(before[name].held for name in missing),
            # To apt a package that was being unpacked when dpkg was killed may be "already the newest version".
            "--reinstall": any(before[name].torn for name in missing),
        }
        return [*_INSTALL, *filter(options.get, options), *map("=".join, targets.items())]

    def _carry_out(self, words: Sequence[str]) -> tuple[int, str, str]:
        """Install, once apt has said what else it would do."""
        planned = self._planned(words)
        self.ledger.add(planned.new)
        kept = [] if planned.removed else ["--no-remove"]
        return self._when_free(["apt-get", *words, *kept])

    def _planned(self, words: Sequence[str]) -> Planned:
        """Ask apt what it would do; refuse where a package would go that is not to. Where apt fails, it fails again."""
        rc, out, _err = self.run(["apt-get", "--simulate", *words])
        planned = parse_plan(out) if not rc else Planned()
        ours = self.ledger.names() if self.wanted.allow_removal == "own" else frozenset()
        lost = {} if self.wanted.allow_removal == "all" else planned.removed
        told = [f"{name} {version}".strip() for name, version in lost.items() if name not in ours]
        if told:
            hint = (
                self.wanted.removal_hint
                or "Remove it yourself where it is not needed, or keep this machine out."
            )
            raise PackagesError(
                f"apt would remove {', '.join(told)} to install {', '.join(self.everything)}, and nobody asked for that. "
                f"Nothing was changed. {hint}"
            )
        return planned

    def _when_free(self, argv: Sequence[str]) -> tuple[int, str, str]:
        """Run a command; again while another program (unattended-upgrades, after a start) has the lock."""
        return wait_until(
            lambda _seconds: self.run(argv),
            lambda ended: not ended[0] or not LOCKED.search(ended[2]),
            clock=self.clock,
            timeout_seconds=self.wanted.lock_seconds,
            step_seconds=_LOCK_STEP_SECONDS,
        ).seen

    def _must(self, argv: Sequence[str]) -> None:
        rc, out, err = self._when_free(argv)
        if rc:
            raise PackagesError(f"`{' '.join(argv[:2])}` ended with {rc}: {error_lines(out, err)}")

    def _prove(self) -> None:
        """Run what was installed: a file of another architecture, or half a one, is found here."""
        if not self.wanted.proof_argv:
            return
        rc, out, err = self.run(self.wanted.proof_argv)
        if rc or out.strip() != self.wanted.proof_stdout:
            raise PackagesError(
                f"`{' '.join(self.wanted.proof_argv)}` should say {self.wanted.proof_stdout!r}, but ended with {rc} and said "
                f"{(out.strip() or err.strip())[:200]!r}: another program of that name comes first, or the package is "
                f"broken: try `apt-get install --reinstall {' '.join(self.wanted.names)}`"
            )
