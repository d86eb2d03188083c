# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A sudo that asks for its password, for pytest-testinfra, which knows only one that does not.

The password goes to sudo's standard input, so it is in no list of processes and in no file of the machine.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from typing import Any, ClassVar

from testinfra import backend
from testinfra.backend.base import CommandResult
from testinfra.backend.ssh import SshBackend

__all__ = ["SudoBackend", "use_passwords"]


class SudoBackend(SshBackend):
    """SSH as pytest-testinfra has it; becomes root with a password where one is known."""

    # By what SSH is told to connect to.
    passwords: ClassVar[Mapping[str, str]] = {}

    def get_sudo_command(self, command: str, sudo_user: Any) -> str:
        """Have sudo read its password from the standard input."""
        # Not -n: where no password is asked for after all, the command gets a line that it did not expect, and is none the worse.
        sudo: str = super().get_sudo_command(command, sudo_user)
        if not self._password:
            return sudo
        return sudo.replace("sudo ", "sudo --stdin --prompt= ", 1)

    def run_local(self, command: str, *args: str) -> CommandResult:
        """Run ssh with the password on its standard input."""
        line = self.encode(self.quote(command, *args))
        told = f"{self._password}\n".encode() if self._password else b""
        run = subprocess.run(line, shell=True, input=told, capture_output=True, check=False)
        return self.result(run.returncode, line, run.stdout, run.stderr)

    @property
    def _password(self) -> str:
        return self.passwords.get(self.host.name, "") if self.sudo else ""


def use_passwords(passwords: Mapping[str, str]) -> None:
    """Have every host by SSH become root with its password, {address or name: password}, from here on."""
    SudoBackend.passwords = passwords
    backend.BACKENDS["ssh"] = f"{SudoBackend.__module__}.{SudoBackend.__name__}"
