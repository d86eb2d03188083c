#!/usr/bin/env python3
"""Run every command that README.md shows, in its order, and compare how each ends.

A command that is not listed here fails the check: what stands in README has to be run. The site that `make site`
makes is not filled in, so preflight, capacity and site.yml have to refuse it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "inventories" / "stfc"

# Exit code, and a word that the output has to hold.
EXPECTED = {
    "make lab": (0, "launch verified in"),
    "make verify": (0, "launch verified in"),
    "make status": (0, "FLOATING ADDRESS"),
    "make down": (0, ""),
    "make help": (0, "make lab"),
    "make site NAME=stfc": (0, ""),
    "make preflight SITE=stfc": (2, "site_registry_host"),
    "make capacity SITE=stfc": (2, "could not be looked at: head1"),
    "make artifacts SITE=stfc": (0, "registry.k8s.io/kube-apiserver"),
    "make run SITE=stfc": (2, "site_registry_host"),
    # Nobody types in it here, so it ends at once.
    "make shell": (0, ""),
    # The first is a file's header, the others run by their own part of `make test`.
    "pip install -r requirements.txt": None,
    "make run SITE=stfc PLAY=playbooks/proxy.yml": None,
    "make test": None,
}


def commands(text: str) -> list[str]:
    """Return the commands of code blocks and code spans, each once, `make down` last."""
    blocks = re.findall(r"^```\n(.*?)^```$", text, re.M | re.S)
    shown = [line.strip() for block in blocks for line in block.splitlines()]
    shown += re.findall(r"`([^`\n]+)`", text)
    found = [line for line in dict.fromkeys(shown) if re.match(r"(make|ansible-playbook|pip) ", line)]
    return sorted(found, key="make down".__eq__)


def main() -> int:
    """Run them all; 1 when one ends otherwise than expected."""
    wrong = []
    if SITE.exists():
        return print(f"{SITE} exists: move it away first") or 1
    try:
        for command in commands((ROOT / "README.md").read_text(encoding="utf-8")):
            if command not in EXPECTED:
                wrong.append(f"README shows `{command}`, which no test runs")
                continue
            if (wanted := EXPECTED[command]) is None:
                continue
            begun = time.monotonic()
            run = subprocess.run(
                command.split(),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            print(f"README: {command}: {run.returncode} after {time.monotonic() - begun:.0f} s", flush=True)
            if run.returncode != wanted[0] or wanted[1] not in run.stdout:
                print(run.stdout[-60000:])
                wrong.append(
                    f"`{command}` ended with {run.returncode}, expected {wanted[0]} and {wanted[1]!r}"
                )
    finally:
        shutil.rmtree(SITE, ignore_errors=True)
    print("\n".join(wrong) or "README: every command ran as it says")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
