# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A real process, before and after somebody replaces its program."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from ansible_collections.ironbinder.platform.plugins.module_utils._machine.programs import was_replaced


def test_a_replaced_program_is_seen(tmp_path: Path) -> None:
    program = tmp_path / "sleep"
    shutil.copy2(shutil.which("sleep") or "/bin/sleep", program)
    process = subprocess.Popen([str(program), "60"])
    try:
        assert not was_replaced(process.pid)
        shutil.copy2(program, tmp_path / "new")
        (tmp_path / "new").replace(program)
        assert was_replaced(process.pid)
    finally:
        process.kill()
        process.wait()
    assert not was_replaced(process.pid)
