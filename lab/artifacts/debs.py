"""Debian packages from the built binaries, and signed apt repositories."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from steps import run

__all__ = ["build_deb", "index_flat", "index_suite", "signing_key", "unpack"]

# Fields of a package that a recipe may give, by their names in small letters.
_RELATIONS = (
    "Pre-Depends",
    "Depends",
    "Recommends",
    "Suggests",
    "Enhances",
    "Provides",
    "Conflicts",
    "Breaks",
    "Replaces",
)
# Folders of programs; what lies elsewhere is not executable.
_PROGRAMS = ("bin", "sbin", "libexec", "init.d")


def build_deb(
    name: str, recipe: Mapping[str, Any], *, version: str, sources: Sequence[Path], out: Path, log: Path
) -> None:
    """Make one .deb in `out`.

    Args:
        name: of the package.
        recipe: its entry in packages.yml.
        version: upstream's version, without the Debian revision.
        sources: folders searched in turn for the files that the recipe names.
        out: folder that receives <name>_<version>-<revision>_amd64.deb.
        log: receives dpkg-deb's output.
    """
    full = f"{version}-{recipe['revision']}"
    root = out / f".{name}"
    shutil.rmtree(root, ignore_errors=True)
    for source, target in recipe["files"].items():
        found = next(folder / source for folder in sources if (folder / source).is_file())
        (root / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(found, root / target)
        (root / target).chmod(0o755 if set(Path(target).parts) & set(_PROGRAMS) else 0o644)
    for folder in recipe.get("folders", []):
        (root / folder).mkdir(parents=True, exist_ok=True)
    relations = {field: recipe.get(field.lower(), "") for field in _RELATIONS}
    control = {
        "Package": name,
        # An epoch is part of the version, and not of the file's name.
        "Version": f"{recipe['epoch']}:{full}" if "epoch" in recipe else full,
        "Architecture": "amd64",
        "Maintainer": "Ironbinder lab <lab@ironbinder.example>",
        "Section": "admin",
        "Priority": "optional",
        **relations,
        "Description": recipe["description"],
    }
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN" / "control").write_text(
        "".join(f"{key}: {value}\n" for key, value in control.items() if value)
    )
    if recipe.get("conffiles"):
        (root / "DEBIAN" / "conffiles").write_text("".join(f"{path}\n" for path in recipe["conffiles"]))
    if recipe.get("units"):
        _add_scripts(root / "DEBIAN", recipe["units"], recipe.get("group", ""))
    run(
        [
            "dpkg-deb",
            "--root-owner-group",
            "-Zgzip",
            "-z1",
            "--build",
            root,
            out / f"{name}_{full}_amd64.deb",
        ],
        log,
    )
    shutil.rmtree(root)


def _add_scripts(folder: Path, units: Sequence[str], group: str) -> None:
    """Start the units when the package is installed, as upstream's do: nobody is asked, and there is no configuration yet.

    Source: the scripts that dh_installsystemd(1) writes.
    """
    names = " ".join(units)
    make_group = f"getent group {group} > /dev/null || groupadd --system {group}\n" if group else ""
    scripts = {
        "postinst": f"""[ "$1" = configure ] || exit 0
{make_group}for unit in {names}; do
  deb-systemd-helper unmask "$unit" > /dev/null || true
  if deb-systemd-helper --quiet was-enabled "$unit"; then
    deb-systemd-helper enable "$unit" > /dev/null || true
  else
    deb-systemd-helper update-state "$unit" > /dev/null || true
  fi
done
if [ -d /run/systemd/system ]; then
  systemctl --system daemon-reload > /dev/null || true
  if [ -n "$2" ]; then action=restart; else action=start; fi
  deb-systemd-invoke $action {names} > /dev/null || true
fi
""",
        "prerm": f"""[ "$1" = remove ] && [ -d /run/systemd/system ] || exit 0
deb-systemd-invoke stop {names} > /dev/null || true
""",
        "postrm": f"""[ -x /usr/bin/deb-systemd-helper ] || exit 0
case "$1" in
  remove) deb-systemd-helper mask {names} > /dev/null || true ;;
  purge)
    deb-systemd-helper purge {names} > /dev/null || true
    deb-systemd-helper unmask {names} > /dev/null || true
    ;;
esac
[ ! -d /run/systemd/system ] || systemctl --system daemon-reload > /dev/null || true
""",
    }
    for script, text in scripts.items():
        (folder / script).write_text(f"#!/bin/sh\nset -e\n{text}")
        (folder / script).chmod(0o755)


def unpack(package: Path, folder: Path) -> None:
    """Lay the files of a package out in `folder`."""
    subprocess.run(["dpkg-deb", "--extract", str(package), str(folder)], check=True, capture_output=True)


def signing_key(folder: Path) -> str:
    """Return the fingerprint of the lab's signing key in the GnuPG folder; make the key if there is none."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    env = {**os.environ, "GNUPGHOME": str(folder)}
    listing = ["gpg", "--batch", "--with-colons", "--list-secret-keys"]
    text = subprocess.run(listing, env=env, check=True, capture_output=True, text=True).stdout
    if "fpr:" not in text:
        user = "Ironbinder lab <lab@ironbinder.example>"
        make = ["gpg", "--batch", "--passphrase", "", "--quick-gen-key", user, "rsa3072", "sign", "never"]
        subprocess.run(make, env=env, check=True, capture_output=True)
        text = subprocess.run(listing, env=env, check=True, capture_output=True, text=True).stdout
    return next(line.split(":")[9] for line in text.splitlines() if line.startswith("fpr:"))


def _sign(release: Path, keys: Path, public: Iterable[Path], log: Path) -> None:
    env = {**os.environ, "GNUPGHOME": str(keys)}
    signed = release.with_name("InRelease")
    run(["gpg", "--batch", "--yes", "--clearsign", "-o", signed, release], log, env=env)
    for path in public:
        run(["gpg", "--batch", "--yes", "--armor", "-o", path, "--export"], log, env=env)


def _packages(folder: Path, pool: str, target: Path) -> None:
    listing = subprocess.run(
        ["apt-ftparchive", "packages", pool], cwd=folder, check=True, capture_output=True
    ).stdout
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(listing)
    target.with_name("Packages.gz").write_bytes(gzip.compress(listing, 6))


def _release(folder: Path, options: Mapping[str, str]) -> Path:
    argv = ["apt-ftparchive"]
    for key, value in options.items():
        argv += ["-o", f"APT::FTPArchive::Release::{key}={value}"]
    text = subprocess.run([*argv, "release", "."], cwd=folder, check=True, capture_output=True).stdout
    (folder / "Release").write_bytes(text)
    return folder / "Release"


def index_flat(folder: Path, debs: Iterable[Path], keys: Path, log: Path) -> None:
    """Make a flat repository, as pkgs.k8s.io serves: suite "/", key in Release.key."""
    folder.mkdir(parents=True, exist_ok=True)
    for deb in debs:
        os.link(deb, folder / deb.name)
    _packages(folder, ".", folder / "Packages")
    _sign(_release(folder, {"Origin": "lab", "Label": "lab"}), keys, [folder / "Release.key"], log)


def index_suite(
    folder: Path, debs: Iterable[Path], *, suite: str, component: str, keys: Path, key_name: str, log: Path
) -> None:
    """Make a repository with a suite and one component, as a distribution serves. Several suites may share a folder."""
    pool = folder / "pool" / suite / component
    pool.mkdir(parents=True, exist_ok=True)
    for deb in debs:
        os.link(deb, pool / deb.name)
    dists = folder / "dists" / suite
    _packages(folder, f"pool/{suite}/{component}", dists / component / "binary-amd64" / "Packages")
    options = {
        "Origin": "lab",
        "Label": "lab",
        "Suite": suite,
        "Codename": suite,
        "Architectures": "amd64",
        "Components": component,
    }
    _sign(_release(dists, options), keys, [folder / key_name], log)
