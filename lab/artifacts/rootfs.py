"""Debian root file systems by mmdebstrap, with the machine's own apt configuration."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from steps import BuildError, run

__all__ = ["apt_sources", "make_rootfs"]

_INDEX = "$(ORIGIN)|$(CREATED_BY)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)"


def apt_sources(release: str) -> list[str]:
    """Return one-line apt sources of `release`, from wherever this machine gets its own Debian packages.

    Raises:
        BuildError: this machine has no Debian source, or apt-get update was never run.
    """
    listing = subprocess.run(
        ["apt-get", "indextargets", "--format", _INDEX], check=True, capture_output=True, text=True
    ).stdout
    lines = set()
    for row in listing.splitlines():
        origin, created_by, uri, suite, component = row.split("|")
        if origin == "Debian" and created_by == "Packages":
            suffix = re.sub(r"^[a-z]+", "", suite)
            lines.add(f"deb {uri} {release}{suffix} {component}")
    if not lines:
        raise BuildError("apt knows no Debian repository on this machine: run `apt-get update` and try again")
    return sorted(lines)


def _acquire_options() -> list[str]:
    """Hand the machine's proxies and certificates on to mmdebstrap's apt."""
    dump = subprocess.run(["apt-config", "dump"], check=True, capture_output=True, text=True).stdout
    wanted = re.compile(r'^Acquire::(https?|Check-Valid-Until|Check-Date)(::\S+)? "(?!")')
    return [f"--aptopt={line}" for line in dump.splitlines() if wanted.match(line)]


def make_rootfs(
    out: Path,
    log: Path,
    *,
    release: str,
    include: Sequence[str],
    download: Sequence[str] = (),
    variant: str = "minbase",
) -> None:
    """Make <out>/rootfs.tar with the packages of `include`, and <out>/debs with all that `download` needs more.

    The file system holds no caches, no documentation, no machine-id, no host keys and no apt sources.
    """
    debs = out / "debs"
    hooks = (
        [
            # apt on this side of the chroot: it has the machine's certificates, the chroot has none.
            f"--customize-hook=mkdir -p {debs}/partial && APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get --yes --download-only "
            f"-o Dir::Cache::archives={debs} install {' '.join(download)}"
        ]
        if download
        else []
    )
    clean = (
        'rm -f "$1"/etc/machine-id "$1"/var/lib/dbus/machine-id "$1"/etc/ssh/ssh_host_* "$1"/etc/hostname "$1"/etc/resolv.conf; '
        ': > "$1"/etc/apt/sources.list; rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/var/log/*.log'
    )
    argv = [
        "mmdebstrap",
        "--mode=root",
        f"--variant={variant}",
        # Merged from the start: the package that merges an unmerged system brings all of Perl.
        "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
        "--include=usr-is-merged",
        '--aptopt=Apt::Install-Recommends "false"',
        '--aptopt=Acquire::Retries "3"',
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        *_acquire_options(),
        *([f"--include={','.join(include)}"] if include else []),
        *hooks,
        f"--customize-hook={clean}",
        release,
        str(out / "rootfs.tar"),
    ]
    run(
        [*argv, "-"],
        log,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin="\n".join(apt_sources(release)) + "\n",
    )
    shutil.rmtree(debs / "partial", ignore_errors=True)
    (debs / "lock").unlink(missing_ok=True)
