# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The tool that holds READMEs, argument specs and defaults together."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "role_readme.py"

README = "# x\n\n<!-- begin variables -->\n<!-- end variables -->\n\nmore\n"
SPECS = """
argument_specs:
  main:
    options:
      x_port: {type: int, description: "Port, C(80) | more.", default: 80}
      x_names: {type: list, elements: str, description: Names., required: true}
"""


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The tool, with one role of its own."""
    spec = importlib.util.spec_from_file_location("role_readme", TOOL)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROLES", tmp_path)
    for name, text in {
        "README.md": README,
        "meta/argument_specs.yml": SPECS,
        "defaults/main.yml": "x_port: 80\n",
    }.items():
        (tmp_path / "x" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "x" / name).write_text(text)
    return module


def test_write_then_check(tool: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Out of step fails the check; written passes it; what stands around the table stays."""
    assert tool.main(["--check"]) == 1
    assert "out of step" in capsys.readouterr().err
    assert (tmp_path / "x/README.md").read_text() == README
    assert tool.main([]) == 0
    text = (tmp_path / "x/README.md").read_text()
    assert "| `x_port` | int | `80` | Port, `80` \\| more. |" in text
    assert "| `x_names` | list of str | *required* | Names. |" in text
    assert text.startswith("# x\n") and text.endswith("\nmore\n")
    assert tool.main(["--check"]) == 0


@pytest.mark.parametrize(
    "change",
    [
        ("defaults/main.yml", "x_port: 81\n", "x_port is 81 by default, and 80"),
        ("defaults/main.yml", "x_port: 80\nx_new: 1\n", "x_new has a default, but no argument spec"),
        ("defaults/main.yml", "{}\n", "x_port has a default in its argument spec, but none"),
        ("defaults/main.yml", "x_port: 80\nx_names: [a]\n", "x_names is required, and has a default"),
        ("README.md", "# x\n", "needs one line"),
        ("meta/argument_specs.yml", "{}\n", "has no meta/argument_specs.yml"),
    ],
)
def test_faults(
    tool: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, str, str]
) -> None:
    """Each way of coming apart is said."""
    name, content, fault = change
    tool.main([])
    (tmp_path / "x" / name).write_text(content)
    assert tool.main(["--check"]) == 1
    assert fault in capsys.readouterr().err
