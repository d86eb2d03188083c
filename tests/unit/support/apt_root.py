# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The real apt and dpkg over a root of their own, with a repository of packages that hold nothing, for unit tests."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

USABLE = os.geteuid() == 0 and all(shutil.which(name) for name in ("apt-get", "dpkg-deb", "dpkg-query"))

_FOLDERS = [
    *("etc/apt/sources.list.d", "etc/apt/preferences.d", "etc/apt/trusted.gpg.d", "etc/apt/apt.conf.d"),
    *("var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", "var/lib/apt/lists/partial"),
    *("var/cache/apt/archives/partial", "var/log/apt"),
]


class AptRoot:
    """A machine's packages. `calls` are the commands that were run."""

    def __init__(self, folder: Path) -> None:
        """Make an empty root and an empty repository, which apt has not been told to read yet."""
        self.root = folder / "root"
        self.repository = folder / "repository"
        self.calls: list[list[str]] = []
        for name in _FOLDERS:
            (self.root / name).mkdir(parents=True)
        self.repository.mkdir()
        (self.root / "var/lib/dpkg/status").touch()
        (self.root / "etc/apt/sources.list").write_text(f"deb [trusted=yes] copy:{self.repository} ./\n")
        self.config = folder / "apt.conf"
        self.config.write_text(
            f'Dir "{self.root}/";\n'
            f'Dir::State::status "{self.root}/var/lib/dpkg/status";\n'
            'APT::Sandbox::User "root";\n'
            f'DPkg::Options {{ "--root={self.root}"; "--log={self.root}/var/log/dpkg.log"; }};\n'
        )
        self.index()

    def run(self, argv: Sequence[str]) -> tuple[int, str, str]:
        """Run a command on this root."""
        self.calls.append(list(argv))
        environment = {
            **os.environ,
            "LC_ALL": "C",
            "DEBIAN_FRONTEND": "noninteractive",
            "APT_CONFIG": str(self.config),
            "DPKG_ADMINDIR": str(self.root / "var/lib/dpkg"),
            "DPKG_ROOT": str(self.root),
        }
        result = subprocess.run(list(argv), env=environment, capture_output=True, text=True, check=False)
        return result.returncode, result.stdout, result.stderr

    def tools(self) -> list[str]:
        """Name the programs that were run since the last time this was asked."""
        names = [" ".join(call[:2]) if call[0].startswith("apt") else call[0] for call in self.calls]
        self.calls.clear()
        return names

    def offer(self, name: str, version: str, **fields: str) -> None:
        """Put a package into the repository; apt learns of it by its next update."""
        tree = self.repository.parent / "tree"
        (tree / "DEBIAN").mkdir(parents=True)
        control = {
            "Package": name,
            "Version": version,
            "Architecture": "all",
            "Maintainer": "nobody",
            **fields,
        }
        control["Description"] = "nothing"
        (tree / "DEBIAN" / "control").write_text(
            "".join(f"{key}: {value}\n" for key, value in control.items())
        )
        target = self.repository / f"{name}_{version.replace(':', '%3a')}_all.deb"
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "--build", tree, target], check=True, capture_output=True
        )
        shutil.rmtree(tree)
        self.index()

    def index(self) -> None:
        """Write the repository's list of packages."""
        entries = []
        for deb in sorted(self.repository.glob("*.deb")):
            fields = subprocess.run(
                ["dpkg-deb", "--field", deb], check=True, capture_output=True, text=True
            ).stdout
            digest = hashlib.sha256(deb.read_bytes()).hexdigest()
            entries.append(f"{fields}Filename: ./{deb.name}\nSize: {deb.stat().st_size}\nSHA256: {digest}\n")
        (self.repository / "Packages").write_text("\n".join(entries))
