# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Programs that end, hang, are missing, or speak no UTF-8."""

from __future__ import annotations

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import (
    NOT_THERE,
    TOOK_TOO_LONG,
    Ran,
    run_command,
)


def test_what_it_said_and_how_it_ended() -> None:
    assert run_command(["sh", "-c", "echo out; echo err >&2; exit 3"], 30) == Ran(3, "out\n", "err\n")
    assert run_command(["sh", "-c", "echo out; echo err >&2"], 30).said == "err"
    assert Ran(1, "out\n").said == "out"
    assert run_command(["printf", "\\377"], 30).stdout == "\ufffd"


def test_it_speaks_english_and_has_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert run_command(["sh", "-c", "echo $LC_ALL; cat"], 30).stdout == "C\n"


def test_one_that_is_missing_and_one_that_hangs() -> None:
    assert run_command(["/nowhere/program"], 30).rc == NOT_THERE
    ran = run_command(["sleep", "60"], 0.05)
    assert ran.rc == TOOK_TOO_LONG
    assert "sleep was ended" in ran.stderr
