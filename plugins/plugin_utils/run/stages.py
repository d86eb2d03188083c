# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Where a run is and how long each of its stages has taken."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Stages", "imports", "stage_names", "stages_by_file"]


def stage_names(plays: object) -> list[str]:
    """Return the stages of a playbook that only imports playbooks, in order.

    Args:
        plays: the parsed YAML of the playbook.

    Returns:
        The imported playbooks' names without folder, collection or suffix; empty if any play is not an import.
    """
    found = imports(plays)
    if not found or len(found) != len(plays):  # type: ignore[arg-type]
        return []
    return [_name(imported) for imported in found]


def imports(plays: object) -> list[str]:
    """Return what a playbook imports, as it is written there: files, or names within collections."""
    if not isinstance(plays, list):
        return []
    entries = [play for play in plays if isinstance(play, Mapping)]
    found = [play.get("ansible.builtin.import_playbook") or play.get("import_playbook") for play in entries]
    return [imported for imported in found if isinstance(imported, str)]


def _name(imported: str) -> str:
    return re.sub(r"\.ya?ml$", "", Path(imported).name).split(".")[-1]


def stages_by_file(
    plays: object, folder: Path, read: Callable[[str, Path], tuple[object, Path]]
) -> dict[str, list[str]]:
    """Tell which stages a play belongs to, by the name of the file that it was written in.

    Args:
        plays: the parsed YAML of the playbook whose imports are the stages.
        folder: where that playbook is.
        read: gives the parsed YAML of what a playbook in a folder imports, None where there is none, and its folder.

    Returns:
        {name of a file without folder or suffix: [stages that import it, by however many levels]}.
    """
    found: dict[str, list[str]] = {}

    def follow(imported: str, folder: Path, stage: str) -> None:
        stages = found.setdefault(_name(imported), [])
        # Once is enough, also where playbooks import each other.
        if stage not in stages:
            stages.append(stage)
            inner, place = read(imported, folder)
            for deeper in imports(inner):
                follow(deeper, place, stage)

    if stage_names(plays):
        for imported in imports(plays):
            follow(imported, folder, _name(imported))
    return found


@dataclass
class Stages:
    """Follows plays through the stages. `clock` gives seconds; lines go to `say`."""

    names: list[str]
    clock: Callable[[], float]
    say: Callable[[str], Any]
    # What a stage imports in its turn is part of it, see `stages_by_file`.
    files: Mapping[str, Sequence[str]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    current: str = ""
    begun: float = 0.0

    def enter(self, file: str) -> None:
        """A play begins that was written in `file`, without folder or suffix; plays of one stage count as one."""
        stages = self.files.get(file) or ([file] if file in self.names else [])
        if not stages or self.current in stages:
            return
        # A file that several stages import belongs to the next of them.
        place = self.names.index(self.current) if self.current else -1
        name = next((stage for stage in stages if self.names.index(stage) > place), stages[0])
        self.leave()
        self.current, self.begun = name, self.clock()
        self.say(f"stage {self.names.index(name) + 1}/{len(self.names)} {name}")

    def leave(self) -> None:
        """The current stage is over; its time is added up."""
        if self.current:
            took = self.clock() - self.begun
            self.seconds[self.current] = self.seconds.get(self.current, 0.0) + took
            self.current = ""

    def finish(self) -> None:
        """Tell each stage's time and the sum, once the run is over."""
        self.leave()
        if not self.seconds:
            return
        width = max(map(len, self.seconds))
        for name, took in self.seconds.items():
            self.say(f"stage {self.names.index(name) + 1}/{len(self.names)} {name:<{width}} {took:7.1f} s")
        self.say(f"{len(self.seconds)} of {len(self.names)} stages in {sum(self.seconds.values()):.1f} s")
