"""Tests of a live site become root where sudo asks for a password: by its standard input, and only where one is known."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import testinfra
import testinfra.backend
from become import SudoBackend, use_passwords

PASSWORD = """it's "so" ü # {{ x }} $HOME \\ """
# What the machine would run, runs here.
SSH = """#!/bin/sh
for last; do :; done
exec /bin/sh -c "$last"
"""
# With --stdin it asks, as sudo does; without, it wants a terminal.
SUDO = """#!/bin/sh
[ "$1" = --stdin ] || { echo "sudo: a terminal is required to read the password" >&2; exit 1; }
IFS= read -r given
[ "$given" = "$(cat "$PASSWORD_FILE")" ] || { echo "Sorry, try again." >&2; exit 1; }
shift 2
"$@"
"""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A machine by SSH whose sudo asks for PASSWORD."""
    for name, text in {"ssh": SSH, "sudo": SUDO}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "password").write_text(PASSWORD)
    monkeypatch.setenv("PASSWORD_FILE", str(tmp_path / "password"))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(testinfra.backend, "BACKENDS", dict(testinfra.backend.BACKENDS))
    monkeypatch.setattr(SudoBackend, "passwords", {})
    return lambda: testinfra.get_host("ssh://admin@head1.example.org", sudo=True)


def test_the_password_reaches_sudo_and_nobody_else(host: Any) -> None:
    use_passwords({"head1.example.org": PASSWORD})
    # The command's own standard input is at its end, and quoting survives.
    told = host().run("echo %s; cat; exit 3", "it's 100 %")
    assert (told.rc, told.stdout, told.stderr) == (3, "it's 100 %\n", "")
    assert PASSWORD not in told.command.decode()


@pytest.mark.parametrize("passwords", [{}, {"other": PASSWORD}, {"head1.example.org": "wrong"}])
def test_without_it_nothing_runs(host: Any, passwords: dict[str, str]) -> None:
    use_passwords(passwords)
    told = host().run("echo ran")
    assert (told.rc, told.stdout) == (1, "")


def test_who_is_root_already_needs_none(host: Any) -> None:
    use_passwords({"head1.example.org": PASSWORD})
    told = testinfra.get_host("ssh://root@head1.example.org").run("echo ran; cat")
    assert (told.rc, told.stdout) == (0, "ran\n")
