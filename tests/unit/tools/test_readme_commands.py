# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""README's commands are run by `make readme`; that it knows all of them is found before a lab is made."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def tool() -> Any:
    """The tool as a module."""
    spec = importlib.util.spec_from_file_location("readme_commands", ROOT / "tests/tools/readme_commands.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_command_of_readme_is_known_and_every_known_one_is_in_readme(tool: Any) -> None:
    shown = tool.commands((ROOT / "README.md").read_text(encoding="utf-8"))
    assert sorted(shown) == sorted(tool.EXPECTED)


def test_commands_are_found_in_blocks_and_in_lines(tool: Any) -> None:
    text = "```\nmake lab\n```\nThen `make down`, `make verify` and `other`; `make lab` again.\n"
    assert tool.commands(text) == ["make lab", "make verify", "make down"]
