# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The proofs of several hubs, a line a hub."""

from __future__ import annotations

from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.launch_table import launch_table

WELL = [{"item": name, "failed": False} for name in ("a", "bb", "ccc")]


def test_a_line_a_hub() -> None:
    health: list[dict[str, Any]] = [*WELL, {"item": "ill", "failed": True, "msg": "no registry\n  more"}]
    launches: list[dict[str, Any]] = [
        {
            "item": "a",
            "failed": False,
            "total_seconds": 6.94,
            "summary": "launch verified in 6.9 s: waiting 0.4 | launching 6.5",
        },
        {
            "item": "bb",
            "failed": True,
            "kind": "build",
            "total_seconds": 12.0,
            "msg": "the build failed\n  log",
        },
        {"item": "ccc", "failed": True, "kind": "unreachable", "msg": ""},
    ]
    assert launch_table(["a", "bb", "ccc", "ill"], health, launches).splitlines() == [
        "HUB  PROOF                SECONDS  PHASES",
        "a    verified             6.9      waiting 0.4 | launching 6.5",
        "bb   FAILED: build        12.0     the build failed",
        "ccc  FAILED: unreachable  -        it says nothing",
        "ill  NOT WELL             -        no registry",
    ]


def test_what_was_not_launched() -> None:
    table = launch_table(["a", "bb"], WELL[:2], [{"item": "a", "skipped": True}])
    assert table.splitlines()[1:] == ["a    not launched  -        -", "bb   not launched  -        -"]
