# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The order of the registry's tasks, where another one leaves a machine with two programs on one port."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

TASKS = Path(__file__).parents[3] / "roles/registry/tasks"
UNIT = "{{ __registry_gate_unit }}"


def test_a_gate_that_nobody_wants_is_stopped_before_its_file_goes() -> None:
    """Without its file systemd could neither disable it, nor stop it at the next start; and it holds the registry's port."""
    tasks: list[dict[str, Any]] = yaml.safe_load((TASKS / "configure.yml").read_text())
    [removed] = [
        place
        for place, task in enumerate(tasks)
        for group in task.get("ironbinder.platform.managed_files", {}).get("groups", [])
        if UNIT in group.get("names", [])
    ]
    stopping = [task for task in tasks[:removed] if "ironbinder.platform.service_unit" in task]
    [task] = stopping
    assert task["ironbinder.platform.service_unit"] == {"name": UNIT, "state": "stopped", "enabled": False}
    assert task["when"] == "not __registry_gate_enabled"
