# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Why a look at a machine failed, from the words of ansible-core and sudo."""

from __future__ import annotations

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.failures import (
    failure_of,
    reason,
    words_of,
)

# As ansible-core 2.19 says them.
ENDED = "Task failed: Premature end of stream waiting for become success.\n>>> Standard Error\n"
SAID = [
    ("sudo", ENDED + "sudo: a password is required"),
    ("sudo", ENDED + "ansible is not in the sudoers file."),
    ("sudo", ENDED + "/bin/sh: 1: sudo: not found"),
    ("sudo", "Task failed: Missing sudo password"),
    ("sudo", "Task failed: Incorrect sudo password"),
    ("sudo", "Task failed: Timeout (12s) waiting for privilege escalation prompt: "),
    (
        "python",
        "The module interpreter '/usr/bin/python77' was not found.\n/bin/sh: 1: /usr/bin/python77: not found",
    ),
    ("python", "sudo: /usr/bin/python3: command not found"),
    ("python", "No python interpreters found for host worker1 (tried ['python3.13'])"),
    (
        "crash",
        "Module result deserialization failed: No start of json char found\nTraceback (most recent call last):\nMemoryError",
    ),
    ("crash", "Traceback (most recent call last):\n  File x\nTimeoutError: timed out"),
    ("crash", "no answer"),
    ("silent", "Data could not be sent to remote host: Connection timed out"),
    ("silent", "Shared connection to 192.0.2.21 closed. Broken pipe"),
]


@pytest.mark.parametrize(("kind", "said"), SAID)
def test_reason(kind: str, said: str) -> None:
    """Each remedy goes with its cause."""
    assert reason(said) == kind


def test_words() -> None:
    """What sudo said, and of a traceback the end."""
    assert words_of(ENDED + "sudo: a password is required") == "sudo: a password is required"
    assert words_of("Traceback " + "x " * 500 + "KeyError: 'urls'").endswith("KeyError: 'urls'")
    assert len(words_of("y" * 1000)) == 203


def test_failure_of_results() -> None:
    """A module's own words, those of a facts module that failed inside, and none."""
    assert failure_of({"msg": "a", "module_stderr": "b"}) == "a\nb"
    inner = {
        "ansible.legacy.setup": {"msg": "The module interpreter 'x' was not found.", "module_stderr": ""}
    }
    assert failure_of({"msg": "The following modules failed", "failed_modules": inner}).startswith(
        "The module interpreter"
    )
    assert failure_of({}) == ""
