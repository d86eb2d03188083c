# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a node's guard says of itself, by programs that really run."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.guard import PROGRAM, guard_faults

ROOT = Path(__file__).parents[5]


@pytest.mark.parametrize(
    ("script", "faults"),
    [
        ("", []),
        (
            "echo the table is missing; echo; echo set mirror does not hold 192.0.2.41; exit 1",
            ["the table is missing", "set mirror does not hold 192.0.2.41"],
        ),
        (
            "echo ironbinder-guard: guard.json cannot be used >&2; exit 2",
            ["ironbinder-guard: guard.json cannot be used"],
        ),
        # A part of the program is missing, so Python ends it with 1, too.
        ("printf 'Traceback:\\n  import\\nImportError: no table\\n' >&2; exit 1", ["ImportError: no table"]),
        ("exit 3", ["{program} check --table ended with 3"]),
        ("sleep 60", ["{program} was ended after 1 s"]),
    ],
)
def test_what_differs_is_told(tmp_path: Path, script: str, faults: list[str]) -> None:
    """Only what a restart of its service puts right is asked for."""
    program = tmp_path / "ironbinder-guard"
    program.write_text(f'#!/bin/sh\n[ "$*" = "check --table" ] || exit 9\n{script}\n')
    program.chmod(0o755)
    told = guard_faults(str(program), timeout_seconds=1)
    assert told == {
        "present": True,
        "faults": [line.format(program=program) for line in faults],
    }


def test_a_machine_without_a_guard(tmp_path: Path) -> None:
    assert guard_faults(str(tmp_path / "ironbinder-guard")) == {"present": False, "faults": []}


def test_the_program_is_the_roles() -> None:
    told = yaml.safe_load((ROOT / "roles/guard/vars/main.yml").read_text())
    assert told["__guard_program"] == PROGRAM
