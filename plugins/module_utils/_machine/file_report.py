# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Changes of files as a person wants to see them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from ansible_collections.ironbinder.platform.plugins.module_utils._machine.file_groups import Step

__all__ = ["differences", "result"]

_HIDDEN = "(not shown)"


def differences(steps: Sequence[Step]) -> list[dict[str, str]]:
    """Show each change in Ansible's form of a difference."""
    return [_difference(step) for step in steps]


def _text(step: Step, data: Optional[bytes]) -> str:
    if data is None:
        return ""
    if step.kind in ("mode", "owner"):
        return f"{step.kind}: {data.decode()}\n"
    return _HIDDEN + "\n" if step.group.sensitive else data.decode(errors="backslashreplace")


def _difference(step: Step) -> dict[str, str]:
    if step.kind == "folder":
        return {"before": "", "after": f"folder, {step.mode:04o}\n"} | _headers(step)
    before, after = _text(step, step.before), _text(step, step.after)
    if before == after == _HIDDEN + "\n":
        after = f"{_HIDDEN}, and different\n"
    return {"before": before, "after": after} | _headers(step)


def _headers(step: Step) -> dict[str, str]:
    kept = f" (not Ironbinder's, kept as {step.kept_as})" if step.kept_as else ""
    return {"before_header": f"{step.path}{kept}", "after_header": str(step.path)}


def result(steps: Sequence[Step], missing: Sequence[Path]) -> dict[str, Any]:
    """Tell what was done, or would be, as documented in the module managed_files."""

    def paths(*kinds: str) -> list[str]:
        return list(dict.fromkeys(str(step.path) for step in steps if step.kind in kinds))

    return {
        "changed": bool(steps),
        "written": paths("write"),
        "removed": paths("remove"),
        "corrected": paths("mode", "owner"),
        "replaced": [
            {"path": str(step.path), "kept_as": str(step.kept_as or "")} for step in steps if step.foreign
        ],
        "missing": [str(path) for path in missing],
    }
