# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Playbooks, and scripts on every machine, run against the site under test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
# A whole first run on slow machines.
LONGEST_SECONDS = 3600


def start(
    inventory: str,
    playbook: Path,
    *arguments: str,
    log: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a playbook, with more in its environment. Its output goes to `log`, readable by nobody else."""
    # A folder, or the names of hosts with commas between them; the playbook runs from the repository.
    chosen = (
        ["-i", str(Path(inventory).resolve()) if Path(inventory).exists() else inventory] if inventory else []
    )
    command = [str(Path(sys.executable).with_name("ansible-playbook")), *chosen, str(playbook), *arguments]
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600) if log else subprocess.DEVNULL
    try:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_NOCOLOR": "1", **(environment or {})},
        )
    finally:
        if log:
            os.close(output)


def play(inventory: str, playbook: Path, *arguments: str, log: Path | None = None) -> int:
    """Run a playbook to its end and give its exit code."""
    return start(inventory, playbook, *arguments, log=log).wait(LONGEST_SECONDS)


def start_script(
    inventory: str, script: str, folder: Path, given: Mapping[str, Any] | None = None
) -> subprocess.Popen[bytes]:
    """Start one of the scripts of this folder on every machine."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in folder.glob("*.json"):
        old.unlink()
    question = folder / "question"
    question.touch(mode=0o600)
    question.write_text(json.dumps(given or {}))
    told = {"script": str(HERE / script), "given": str(question) if given else "", "folder": str(folder)}
    return start(inventory, HERE / "run_script.yml", "-e", json.dumps(told), log=folder / "log")


def answers(process: subprocess.Popen[bytes], folder: Path) -> dict[str, Any]:
    """Wait for a script, and give what it said by host."""
    code = process.wait(LONGEST_SECONDS)
    (folder / "question").unlink(missing_ok=True)
    if code != 0:
        raise RuntimeError(
            f"the script did not run everywhere:\n{(folder / 'log').read_text(errors='replace')}"
        )
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
