# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Where apt fetches from, held against the real apt; locks, held by real processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import apt_root
import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.past_packages import (
    foreign_sources,
    locks,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.proc import MachineFiles

DOCKER = "https://download.docker.com/linux/debian"
KUBERNETES = "https://pkgs.k8s.io/core:/stable:/v1.36/deb"
RELEASES = [f"{DOCKER}/dists/bookworm/InRelease", f"{KUBERNETES}/InRelease"]
OURS = (
    f"Types: deb\nURIs: {KUBERNETES}/\nSuites: /\nSigned-By: /etc/apt/keyrings/ironbinder-1.asc\n\n"
    f"Types: deb\nURIs: {DOCKER}\nSuites: bookworm\nComponents: stable\nSigned-By: /etc/apt/keyrings/ironbinder-2.asc\n"
)
KEY = "/etc/apt/keyrings/docker.asc"
# A file of somebody's, and what is told of it: (line, signed by); nothing where it is in nobody's way.
CASES: list[tuple[str, str, list[tuple[int, str]]]] = [
    ("docker.list", f"# Docker\ndeb [arch=amd64 signed-by={KEY}] {DOCKER} bookworm stable\n", [(2, KEY)]),
    ("docker.list", f"deb-src [signed-by={KEY}] {DOCKER}/ bookworm stable\n", [(1, KEY)]),
    # A key in trusted.gpg.d; apt refuses where it reads this entry after ours.
    ("kubernetes.list", f"deb {KUBERNETES} /\n", [(1, "")]),
    (
        "docker.sources",
        f"Types: deb\nURIs: {DOCKER}\nSuites: bullseye bookworm\nComponents: stable\nSigned-By: {KEY}\n",
        [(1, KEY)],
    ),
    (
        "docker.sources",
        f"# one\n\nTypes: deb\nURIs: {DOCKER}\nSuites: bookworm\nComponents: stable\nSigned-By:\n"
        " -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n AAAA\n -----END PGP PUBLIC KEY BLOCK-----\n",
        [(3, "a key in the entry itself")],
    ),
    ("docker.list", f"# deb {DOCKER} bookworm stable\n", []),
    ("docker.list.save", f"deb [signed-by={KEY}] {DOCKER} bookworm stable\n", []),
    (
        "docker.sources",
        f"Enabled: no\nTypes: deb\nURIs: {DOCKER}\nSuites: bookworm\nComponents: stable\nSigned-By: {KEY}\n",
        [],
    ),
    # Another release of the same host is another list.
    ("docker.list", f"deb [signed-by={KEY}] {DOCKER} bullseye stable\n", []),
    ("kubernetes.list", "deb [signed-by=/k.gpg] https://pkgs.k8s.io/core:/stable:/v1.30/deb/ /\n", []),
]


@pytest.mark.skipif(not apt_root.USABLE, reason="needs root, apt and dpkg")
@pytest.mark.parametrize(("name", "text", "told"), CASES)
def test_what_apt_refuses_is_found(tmp_path: Path, name: str, text: str, told: list[tuple[int, str]]) -> None:
    machine = apt_root.AptRoot(tmp_path)
    folder = machine.root / "etc/apt/sources.list.d"
    (folder / name).write_text(text)
    found = foreign_sources(MachineFiles(machine.root, strict=False), RELEASES)
    assert [(entry["line"], entry["signed_by"]) for entry in found] == told
    assert {entry["file"] for entry in found} <= {f"/etc/apt/sources.list.d/{name}"}
    (folder / "ironbinder.sources").write_text(OURS)
    rc, _out, err = machine.run(["apt-get", "indextargets"])
    assert (rc != 0, "Conflicting values set for option Signed-By" in err) == (bool(told), bool(told)), err


def test_our_own_entry_is_no_strangers(tmp_path: Path) -> None:
    folder = tmp_path / "etc/apt/sources.list.d"
    folder.mkdir(parents=True)
    (folder / "ironbinder.sources").write_text(OURS)
    (tmp_path / "etc/apt/sources.list").write_text("deb http://deb.debian.org/debian bookworm main\n")
    assert foreign_sources(MachineFiles(tmp_path, strict=False), RELEASES) == []


HOLD = """
import fcntl, sys
stream = open(sys.argv[1], "w")
fcntl.lockf(stream, fcntl.LOCK_EX)
print(flush=True)
sys.stdin.read()
"""


def test_who_holds_a_lock(tmp_path: Path) -> None:
    """As apt and dpkg hold theirs. Asking takes no lock, and an open file without one is free."""
    frontend = tmp_path / "var/lib/dpkg/lock-frontend"
    frontend.parent.mkdir(parents=True)
    frontend.touch()
    files = MachineFiles(tmp_path, strict=False)
    assert locks(files) == []
    argv = [sys.executable, "-c", HOLD, str(frontend)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        comm = tmp_path / f"proc/{holder.pid}/comm"
        comm.parent.mkdir(parents=True)
        comm.write_text("unattended-upgr\n")
        told: list[dict[str, Any]] = locks(files)
        holder.communicate()
    assert told == [{"path": "/var/lib/dpkg/lock-frontend", "pid": holder.pid, "process": "unattended-upgr"}]
    assert locks(files) == []
