# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Hubs that stand twice in one file: YAML keeps the last of them, and Ansible only warns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

__all__ = ["hubs_named_twice"]

HUBS = "site_hubs"
FOLDERS = ("group_vars", "host_vars")
SUFFIXES = (".yml", ".yaml", ".json", "")


def hubs_named_twice(folder: Path) -> list[dict[str, Any]]:
    """Look for such hubs in the files of variables below a site's folder.

    Returns:
        `name`, `path` and `lines` of each. What cannot be read is Ansible's to report.
    """
    found = []
    for path in sorted(entry for name in FOLDERS for entry in (folder / name).rglob("*")):
        try:
            text = path.read_text(encoding="utf-8") if path.is_file() and path.suffix in SUFFIXES else ""
            lines = _lines(text) if HUBS in text else {}
        except (OSError, ValueError, RecursionError, yaml.YAMLError):
            continue
        found += [
            {"name": name, "path": str(path), "lines": places}
            for name, places in lines.items()
            if len(places) > 1
        ]
    return found


def _lines(text: str) -> dict[str, list[int]]:
    """Give the lines in which each hub's name stands, counted from 1."""
    found: dict[str, list[int]] = {}
    for name, hubs in _entries(yaml.compose(text, Loader=yaml.SafeLoader)):
        for key, _ in _entries(hubs) if name.value == HUBS else ():
            found.setdefault(str(key.value), []).append(key.start_mark.line + 1)
    return found


def _entries(node: Any) -> Iterator[tuple[Any, Any]]:
    """Give the entries of a mapping, and none of anything else."""
    yield from node.value if isinstance(node, yaml.MappingNode) else ()
