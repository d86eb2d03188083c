# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Who was taken out of the cluster of this head, as the playbook remove_node notes it. Reads only, never raises."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["removed_nodes"]

_FOLDER = "var/lib/ironbinder"
_PATTERN = "removed-*.json"
_BEGIN = len("removed-")


def removed_nodes(root: Path) -> list[dict[str, str]]:
    """Return {node, at} of each, `at` as ISO 8601 and empty where the note cannot be read: its name says enough.

    Args:
        root: where the file system of the machine starts.
    """
    found = []
    for path in sorted((root / _FOLDER).glob(_PATTERN)):
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            at = str(told["at"])
        except (OSError, ValueError, KeyError, TypeError):
            at = ""
        found.append({"node": path.stem[_BEGIN:], "at": at})
    return found
