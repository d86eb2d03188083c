# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Hubs that stand twice in a file."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.named_twice import hubs_named_twice


def test_names_that_stand_twice(tmp_path: Path) -> None:
    folder = tmp_path / "group_vars/all"
    folder.mkdir(parents=True)
    file = folder / "site.yml"
    file.write_text(
        "site_hubs:\n  a: {}\n  b: {values: {a: 1, b: 2}}\n  a:\n    node_port: 30600\nother: {c: 1, c: 2}\n"
    )
    (folder / "more.yml").write_text("site_hubs: {a: !vault x}\n")
    (folder / "odd.yml").write_text("site_hubs: {a: [\n")
    (folder / "list.yml").write_text("- site_hubs\n")
    (folder / "text.yml").write_text("site_hubs: none\n")
    (folder / "binary.yml").write_bytes(b"site_hubs\xff")
    assert hubs_named_twice(tmp_path) == [{"name": "a", "path": str(file), "lines": [2, 4]}]
    assert hubs_named_twice(tmp_path / "nowhere") == []
