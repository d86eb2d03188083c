# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Notes about removed nodes, whole and not."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.ironbinder.platform.plugins.module_utils._machine.removed import removed_nodes


def test_notes_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "var/lib/ironbinder"
    assert removed_nodes(tmp_path) == []
    folder.mkdir(parents=True)
    (folder / "removed-worker2.json").write_text('{"node": "worker2", "at": "2026-11-20T09:00:00Z"}')
    (folder / "removed-gpu.lab.test.json").write_text("")
    (folder / "removed-odd.json").write_text("[]")
    (folder / "packages.json").write_text("[]")
    assert removed_nodes(tmp_path) == [
        {"node": "gpu.lab.test", "at": ""},
        {"node": "odd", "at": ""},
        {"node": "worker2", "at": "2026-11-20T09:00:00Z"},
    ]
