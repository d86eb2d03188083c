# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a machine's packages tell of its past: what is installed, half done or locked, and where apt fetches from. Reads only."""

from __future__ import annotations

import fcntl
import os
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.ironbinder.platform.plugins.module_utils._machine.proc import MachineFiles

__all__ = ["DpkgStatus", "foreign_sources", "journal_is_left", "locks", "read_dpkg"]

STATUS = "var/lib/dpkg/status"
# dpkg's journal: files named by numbers, there only while dpkg runs, or after it was killed.
JOURNAL = "var/lib/dpkg/updates"
LOCKS = (
    "var/lib/dpkg/lock-frontend",
    "var/lib/dpkg/lock",
    "var/lib/apt/lists/lock",
    "var/cache/apt/archives/lock",
)
# struct flock of 64-bit Linux: type, whence, start, length, process; see fcntl_locking(2).
FLOCK = "hhqqi4x"
SOURCES = ("etc/apt/sources.list", "etc/apt/sources.list.d")
OURS = "ironbinder.sources"
_OPTIONS = re.compile(r"^(deb|deb-src)\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)")


@dataclass(frozen=True)
class DpkgStatus:
    """Versions of installed packages, states of those that are half done, and digests of configuration files."""

    versions: dict[str, str]
    half_done: dict[str, str]
    conffiles: dict[str, str]

    def of(self, *names: str) -> dict[str, str]:
        """Give the versions of those of `names` that are installed."""
        return {name: self.versions[name] for name in names if name in self.versions}


def read_dpkg(files: MachineFiles, conffiles_of: Sequence[str] = ()) -> DpkgStatus:
    """Read dpkg's own list. Of `conffiles_of` also {path: MD5 as the package has it}.

    https://man7.org/linux/man-pages/man5/deb-control.5.html, and dpkg's /var/lib/dpkg/status.
    """
    versions: dict[str, str] = {}
    half_done: dict[str, str] = {}
    conffiles: dict[str, str] = {}
    for entry in files.text(STATUS).split("\n\n"):
        fields = dict(re.findall(r"^(Package|Status|Version): (.*)$", entry, re.MULTILINE))
        name, words = fields.get("Package", ""), fields.get("Status", "").split()
        if not name or len(words) != 3 or words[2] in ("not-installed", "config-files"):
            continue
        versions[name] = fields.get("Version", "")
        if words[2] in ("half-installed", "half-configured", "unpacked") or words[1] != "ok":
            half_done[name] = words[2]
        if name in conffiles_of:
            conffiles.update(re.findall(r"^ (/\S+) ([0-9a-f]{32})$", entry, re.MULTILINE))
    return DpkgStatus(versions, half_done, conffiles)


def journal_is_left(files: MachineFiles) -> bool:
    """Tell whether dpkg has a journal. It has one also while it runs; then somebody holds its lock."""
    return any(name.isdigit() for name in _names(files, JOURNAL))


def _names(files: MachineFiles, folder: str) -> list[str]:
    try:
        return sorted(entry.name for entry in (files.root / folder).iterdir())
    except OSError:
        return []


def locks(files: MachineFiles) -> list[dict[str, Any]]:
    """Who holds a lock of dpkg or apt: {path, pid, process}. `pid` is 0 where the holder is not to be seen from here."""
    found = []
    for name in LOCKS:
        pid = _holder(files, name)
        if pid is not None:
            process = files.text(f"proc/{pid}/comm").strip() if pid > 0 else ""
            found.append({"path": f"/{name}", "pid": max(pid, 0), "process": process})
    return found


def _holder(files: MachineFiles, name: str) -> Optional[int]:
    """Ask who would keep us from writing; nothing is locked by that."""
    question = struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    try:
        with (files.root / name).open("rb") as stream:
            kind, _, _, _, pid = struct.unpack(FLOCK, fcntl.fcntl(stream, fcntl.F_GETLK, question))
    except OSError:
        return None
    return None if kind == fcntl.F_UNLCK else int(pid)


def foreign_sources(files: MachineFiles, releases: Sequence[str]) -> list[dict[str, Any]]:
    """Entries of apt, not Ironbinder's, for repositories that Ironbinder brings along.

    apt refuses to read any list where two entries for one release have different values of Signed-By.

    Args:
        files: the machine.
        releases: URLs of these repositories' InRelease.

    Returns:
        {file, line, uri, signed_by} each; `signed_by` is empty where any key of trusted.gpg.d is good.
    """
    wanted = set(releases)
    return [entry for entry in _entries(files) if _release(entry.pop("suite"), entry["uri"]) in wanted]


def _release(suite: str, uri: str) -> str:
    base = uri.rstrip("/")
    if suite.endswith("/"):
        return f"{base}/{suite.lstrip('/')}InRelease"
    return f"{base}/dists/{suite}/InRelease"


def _entries(files: MachineFiles) -> Iterator[dict[str, Any]]:
    single, folder = SOURCES
    for name in (single, *(f"{folder}/{name}" for name in _names(files, folder) if name != OURS)):
        if name.endswith(".list"):
            yield from _of_lines(name, files.text(name))
        elif name.endswith(".sources"):
            yield from _of_stanzas(name, files.text(name))


def _of_lines(name: str, text: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(text.splitlines(), 1):
        found = _OPTIONS.match(line.strip())
        if found:
            options = dict(option.partition("=")[::2] for option in (found[2] or "").split())
            signed = options.get("signed-by", "")
            yield {
                "file": f"/{name}",
                "line": number,
                "uri": found[3],
                "suite": found[4],
                "signed_by": signed,
            }


def _of_stanzas(name: str, text: str) -> Iterator[dict[str, Any]]:
    """Read deb822 as apt does, https://manpages.debian.org/sources.list."""
    stanza: dict[str, str] = {}
    key, first = "", 1
    for number, line in enumerate([*text.splitlines(), ""], 1):
        if line.startswith("#"):
            continue
        if not line.strip():
            yield from _of_stanza(name, first, stanza)
            stanza, key, first = {}, "", number + 1
        elif line[0] in " \t":
            stanza[key] = f"{stanza.get(key, '')} {line.strip()}"
        else:
            key = line.partition(":")[0].strip().lower()
            stanza[key] = line.partition(":")[2].strip()


def _of_stanza(name: str, first: int, stanza: dict[str, str]) -> Iterator[dict[str, Any]]:
    if stanza.get("enabled", "yes").lower() in ("no", "false", "0", "off", "without", "disable"):
        return
    signed = stanza.get("signed-by", "")
    for uri in stanza.get("uris", "").split():
        for suite in stanza.get("suites", "").split():
            # A key may stand in the entry itself.
            told = "a key in the entry itself" if "BEGIN PGP" in signed else signed
            yield {"file": f"/{name}", "line": first, "uri": uri, "suite": suite, "signed_by": told}
