# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What is expected of a session, and the cells that ask for it, run in this very Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.expected import (
    Expected,
    packages_cell,
    packages_said,
    sum_cell,
)
from kernel_server import run_cell


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, Expected()),
        ({"files": None, "packages": None, "code": None, "output": None, "kernel": None}, Expected()),
        ({"files": ["data/", "a.txt"], "packages": ["numpy"]}, Expected(("data", "a.txt"), ("numpy",))),
        ({"code": "1", "output": "", "kernel": "ir"}, Expected(code="1", output="", kernel="ir")),
    ],
)
def test_reading(told: dict[str, Any], expected: Expected) -> None:
    assert Expected.of(told) == expected


def test_the_sum_is_right_and_another_each_time() -> None:
    cells = [sum_cell() for _ in range(9)]
    assert all(run_cell(cell).strip() == right and right not in cell for cell, right in cells)
    assert len({right for _cell, right in cells}) == 9


def look(names: tuple[str, ...], folder: Path) -> dict[str, str]:
    """Run the cell in a Python of its own that has `folder`."""
    cell, mark = packages_cell(names)
    done = subprocess.run(
        [sys.executable, "-c", cell],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"},
    )
    return packages_said(done.stdout, mark)


def test_packages(tmp_path: Path) -> None:
    (tmp_path / "loud.py").write_text("print('ironbinder-1:', end='')")
    (tmp_path / "broken.py").write_text("import no_such_library_at_all")
    (tmp_path / "raising.py").write_text("raise OSError('libGL.so.1: cannot open shared object file')")
    (tmp_path / "leaving.py").write_text("import sys; sys.exit(3)")
    folder = tmp_path / "only_installed-1.2.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: only-installed\nVersion: 1.2\n")
    said = look(
        (
            "json",
            "loud",
            "xml.dom",
            "only-installed",
            "broken",
            "raising",
            "leaving",
            "gone",
            "xml.gone",
            "o'ne\"x",
        ),
        tmp_path,
    )
    neither = "neither a module nor a distribution has this name"
    assert said == {
        "json": "",
        "loud": "",
        "xml.dom": "",
        "only-installed": "",
        "broken": "is there and cannot be imported: No module named 'no_such_library_at_all'",
        "raising": "is there and cannot be imported: OSError: libGL.so.1: cannot open shared object file",
        "leaving": "is there and cannot be imported: SystemExit: 3",
        "gone": neither,
        "xml.gone": neither,
        "o'ne\"x": neither,
    }


@pytest.mark.parametrize(
    "output", ["", "ironbinder-2:{}", "x ironbinder-1:{}", "ironbinder-1:[]", "ironbinder-1:{"]
)
def test_no_answer(output: str) -> None:
    assert packages_said(output, "ironbinder-1:") == {}
