# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Files of a site's folder that hold secrets: who can read them, and whether git has them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.secret_facts import (
    SECRETS,
    VAULT_HEADER,
    holds_secret,
)

__all__ = ["Load", "Run", "describe_files", "other_sites", "run_git", "secret_files"]

# Reads a YAML file, decrypted where that is possible. Raises ValueError where it is not.
Load = Callable[[Path], Any]
# Runs git with these arguments: its lines of output, or None where it fails.
Run = Callable[[Sequence[str]], "list[str] | None"]


def run_git(arguments: Sequence[str]) -> list[str] | None:
    """Run git. A repository that is none, or no git at all, gives None."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    # check-ignore says 1 for "none of them".
    return done.stdout.splitlines() if done.returncode in (0, 1) else None


def _variable_files(folder: Path) -> list[Path]:
    found: list[Path] = []
    for name in ("group_vars", "host_vars"):
        found += [
            path for path in (folder / name).rglob("*") if path.suffix in (".yml", ".yaml", ".json", "")
        ]
    return sorted(path for path in found if path.is_file() and not path.name.startswith("."))


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def secret_files(folder: Path, load: Load) -> dict[Path, Mapping[str, Any]]:
    """Find the files below a site's folder that set secrets of the contract, with what they set.

    An encrypted file that cannot be opened counts, with nothing in it.
    """
    found: dict[Path, Mapping[str, Any]] = {}
    for path in _variable_files(folder):
        text = _text(path)
        encrypted = text.startswith(VAULT_HEADER)
        if not encrypted and not any(name in text for name in SECRETS):
            continue
        try:
            content = load(path)
        except Exception:  # a file that only another password opens, or no YAML: Ansible reports these itself
            content = None
        values = content if isinstance(content, Mapping) else {}
        if any(holds_secret(name, values.get(name)) for name in SECRETS) or (encrypted and content is None):
            found[path] = {name: values[name] for name in SECRETS if name in values}
    return found


def describe_files(paths: Iterable[Path], run: Run = run_git) -> list[dict[str, Any]]:
    """Describe files: `path`, `mode`, `encrypted`, and `tracked` and `ignored` by git (None: no repository)."""
    files = list(paths)
    if not files:
        return []
    folder = files[0].parent
    names = [str(path) for path in files]
    tracked = run(["-C", str(folder), "ls-files", "--full-name", "--", *names])
    top = run(["-C", str(folder), "rev-parse", "--show-toplevel"])
    ignored = run(["-C", str(folder), "check-ignore", "--no-index", "--", *names])
    known = {str(Path(top[0]) / name) for name in tracked} if tracked is not None and top else None
    return [
        {
            "path": str(path),
            "mode": path.stat().st_mode & 0o777,
            "encrypted": _text(path).startswith(VAULT_HEADER),
            "tracked": None if known is None else str(path.resolve()) in known,
            "ignored": None if ignored is None else str(path) in ignored,
        }
        for path in files
    ]


def other_sites(folder: Path, load: Load) -> dict[str, Mapping[str, Any]]:
    """Read the secrets of the sites beside this one: {name of the folder: what it sets}.

    What this account may not look into is passed by.
    """
    found: dict[str, Mapping[str, Any]] = {}
    try:
        beside = sorted(folder.parent.iterdir())
    except OSError:
        return found
    for other in beside:
        try:
            if (
                not other.is_dir()
                or other.resolve() == folder.resolve()
                or not (other / "group_vars").is_dir()
            ):
                continue
            secrets = secret_files(other, load)
        except OSError:
            continue
        # A file that both sites link to counts as well: it makes their secrets one.
        for values in secrets.values():
            if values:
                found[other.name] = {**found.get(other.name, {}), **values}
    return found
