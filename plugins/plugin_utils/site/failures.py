# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Why Ansible could not look at a machine, from its own words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import as_mapping, as_text

__all__ = ["CRASH", "PYTHON", "SILENT", "SUDO", "failure_of", "reason", "words_of"]

SUDO, PYTHON, CRASH, SILENT = "sudo", "python", "crash", "silent"

# The words are those of ansible-core (plugins/connection, executor/module_common) and of sudo itself. What comes
# first decides: a sudo that is refused also ends the stream early.
_SIGNS = (
    (
        SUDO,
        r"privilege escalation|become success|(missing|incorrect) \S+ password|sudoers|a password is required"
        r"|a terminal is required|sudo: (command )?not found",
    ),
    (
        PYTHON,
        r"module interpreter .* was not found|python\S*: (command )?not found|no python interpreters? found",
    ),
    (CRASH, r"traceback \(most recent|module failure|deserialization failed"),
    (SILENT, r"timed? ?out|connection (reset|closed|refused)|broken pipe|no route to host"),
)


def reason(said: str) -> str:
    """Say why a look failed, from what Ansible said of it.

    Returns:
        `sudo` (it may not become root), `python` (there is none), `silent` (the connection broke), or
        `crash`: anything else, which is a fault of the probe or of something nobody has thought of.
    """
    text = " ".join(said.split())
    return next((kind for kind, sign in _SIGNS if re.search(sign, text, re.IGNORECASE)), CRASH)


def words_of(said: str, most: int = 200) -> str:
    """Shorten what Ansible said to what a person needs: without its preamble, and its end rather than its beginning."""
    text = " ".join(said.split()).removeprefix("Task failed: ")
    text = text.rpartition(">>> Standard Error ")[2]
    return text if len(text) <= most else f"...{text[-most:]}"


def failure_of(result: Mapping[str, Any]) -> str:
    """Give what a failed result says: Ansible's message, and what the machine wrote to its standard error."""
    inner = [as_mapping(told) for told in as_mapping(result.get("failed_modules")).values()]
    for told in [*inner, result]:
        said = [as_text(told.get("msg")), as_text(told.get("module_stderr"))]
        if any(said):
            return "\n".join(part for part in said if part)
    return ""
