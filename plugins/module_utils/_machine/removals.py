# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What apt would add and remove, and which packages of a machine Ironbinder brought along.

A package that is not in the ledger belongs to whoever installed it, and is not removed by the way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.ironbinder.platform.plugins.module_utils._base.files import write_atomically

__all__ = ["LEDGER_FILE", "Ledger", "Planned", "parse_plan"]

LEDGER_FILE = "var/lib/ironbinder/packages.json"
# apt-get --simulate: `Inst name [version before] (version after ...)`, `Remv name [version]`, and Purg for Remv.
_LINE = re.compile(r"^(Inst|Remv|Purg) (\S+?)(?::\w+)?(?: \[([^\]]*)\])?(?: |$)", re.MULTILINE)


@dataclass(frozen=True)
class Planned:
    """Packages that are new to the machine, and those that go, each with its version."""

    new: tuple[str, ...] = ()
    removed: Mapping[str, str] = field(default_factory=dict)


def parse_plan(text: str) -> Planned:
    """Read what `apt-get --simulate install` prints."""
    found = _LINE.findall(text)
    return Planned(
        tuple(name for verb, name, before in found if verb == "Inst" and not before),
        {name: before for verb, name, before in found if verb != "Inst"},
    )


class Ledger:
    """Names of the packages that Ironbinder installed, in a file on the machine.

    Written before apt begins, so that a run that is killed does not leave its own packages to nobody.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def names(self) -> frozenset[str]:
        """Give the names. None where there is no such file, or what is in it cannot be understood: nothing is ours then."""
        try:
            told = json.loads(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return frozenset()
        return (
            frozenset(name for name in told if isinstance(name, str))
            if isinstance(told, list)
            else frozenset()
        )

    def add(self, names: Iterable[str]) -> None:
        """Add names. Raises OSError."""
        known = self.names()
        if set(names) <= known:
            return
        self.file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        write_atomically(self.file, json.dumps(sorted(known.union(names)), indent=0) + "\n", mode=0o644)

    def forget(self, names: Iterable[str]) -> None:
        """Take names off the list. Raises OSError."""
        known = self.names()
        left = known.difference(names)
        if left != known:
            write_atomically(self.file, json.dumps(sorted(left), indent=0) + "\n", mode=0o644)
