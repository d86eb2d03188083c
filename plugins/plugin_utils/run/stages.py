# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Where a run is and how long each of its stages has taken."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Stages", "stage_names"]


def stage_names(plays: object) -> list[str]:
    """Return the stages of a playbook that only imports playbooks, in order.

    Args:
        plays: the parsed YAML of the playbook.

    Returns:
        The imported playbooks' names without folder, collection or suffix; empty if any play is not an import.
    """
    if not isinstance(plays, list):
        return []
    names = []
    for play in plays:
        if not isinstance(play, Mapping):
            return []
        imported = play.get("ansible.builtin.import_playbook") or play.get("import_playbook")
        if not isinstance(imported, str):
            return []
        names.append(re.sub(r"\.ya?ml$", "", Path(imported).name).split(".")[-1])
    return names


@dataclass
class Stages:
    """Follows plays through the stages. `clock` gives seconds; lines go to `say`."""

    names: list[str]
    clock: Callable[[], float]
    say: Callable[[str], Any]
    seconds: dict[str, float] = field(default_factory=dict)
    current: str = ""
    begun: float = 0.0

    def enter(self, name: str) -> None:
        """A play of the stage `name` begins; plays of one stage count as one."""
        if name not in self.names or name == self.current:
            return
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
