# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The configuration of a kubelet that runs: a few settings changed, and every other line left as it is.

kubeadm writes the file once, when it makes the node, and merges a patch into it only then and at an upgrade. It writes
block style, one setting a line: https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._base.files import write_atomically

__all__ = ["ConfigChanged", "change_config", "with_settings"]


class ConfigChanged:
    """Whether a kubelet's file was not as it should be, and its text before and after; both empty where there is none."""

    def __init__(self, path: Path, before: str, after: str) -> None:
        self.path, self.before, self.after = path, before, after

    @property
    def changed(self) -> bool:
        """Whether the two differ."""
        return self.before != self.after


def _word(value: Any) -> str:
    """Give a scalar as both ways of writing have it, without quotes."""
    return value if isinstance(value, str) else json.dumps(value)


def _bare(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def _says(block: str, value: Any) -> bool:
    """Whether the lines of one setting say this already, in kubeadm's way of writing or in ours."""
    first, *rest = block.splitlines()
    told = first.partition(":")[2].strip()
    if not isinstance(value, Mapping):
        return not rest and _bare(told) == _word(value)
    if told:
        try:
            return bool(json.loads(told) == value)
        except ValueError:
            return False
    pairs = [line.partition(":") for line in rest]
    return {_bare(key): _bare(entry) for key, _, entry in pairs} == {
        str(key): _word(entry) for key, entry in value.items()
    }


def with_settings(text: str, settings: Mapping[str, Any]) -> str:
    """Give the text of a configuration with these settings, and every other line as it was.

    Args:
        text: YAML in block style, settings at the beginning of a line.
        settings: scalars, or flat mappings of scalars, by the name of the setting. A mapping replaces the one that is there.
    """
    for name, value in settings.items():
        line = f"{name}: {json.dumps(value)}\n"
        # What belongs to a setting is indented, or a list's.
        found = re.search(rf"(?m)^{re.escape(name)}:.*\n?(?:^[ \t-].*\n?)*", text)
        if not found:
            text = f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}{line}"
        elif not _says(found.group(0), value):
            text = text[: found.start()] + line + text[found.end() :]
    return text


def change_config(path: Path, settings: Mapping[str, Any], check_mode: bool) -> ConfigChanged:
    """Have the settings in a kubelet's file, or only say whether they are. A machine that is no node has no file.

    Raises:
        OSError: as the system has it.
    """
    try:
        before, mode = (
            path.read_text(encoding="utf-8", errors="surrogateescape"),
            path.stat().st_mode & 0o7777,
        )
    except FileNotFoundError:
        return ConfigChanged(path, "", "")
    # An empty file is what a kubeadm that was killed may leave; it writes it again.
    after = with_settings(before, settings) if before.strip() else before
    if after != before and not check_mode:
        write_atomically(path, after.encode(errors="surrogateescape"), mode=mode)
    return ConfigChanged(path, before, after)
