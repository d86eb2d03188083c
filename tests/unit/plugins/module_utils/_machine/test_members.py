# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a machine is to a site, and who else a head knows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.members import MARKS, member_facts


def touch(root: Path, name: str, text: str = "") -> Path:
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def unasked(_argv: Sequence[str]) -> str:
    raise AssertionError("a machine without a cluster asks nobody")


@pytest.mark.parametrize("group", MARKS)
def test_a_machine_is_what_a_stage_made_of_it(tmp_path: Path, group: str) -> None:
    assert member_facts(tmp_path, unasked) == {"was": []}
    touch(tmp_path, MARKS[group])
    assert member_facts(tmp_path, unasked) == {"was": [group]}


def test_a_head_tells_of_nodes_that_are_there_and_that_were(tmp_path: Path) -> None:
    touch(tmp_path, "etc/kubernetes/admin.conf")
    folder = "var/lib/ironbinder"
    record = '{"at": "2026-11-20T09:00:00Z", "machine_id": "33"}\n'
    for name, text in (
        ("gpu-3.lab.test", record),
        ("worker4", "[]"),
        ("worker5", '{"machine_id": 5, "at": 6}'),
        ("worker6", "half a rec"),
    ):
        touch(tmp_path, f"{folder}/removed-{name}.json", text)
    touch(tmp_path, f"{folder}/packages.json", record)
    asked = []

    def kubectl(argv: Sequence[str]) -> str:
        asked.append(list(argv))
        return "head1 11\nworker1 21\nworker2 \n"

    told = member_facts(tmp_path, kubectl)
    assert told["nodes"] == {"head1": "11", "worker1": "21", "worker2": ""}
    assert told["removed"] == {
        "gpu-3.lab.test": {"machine_id": "33", "at": "2026-11-20T09:00:00Z"},
        # A name says enough.
        "worker4": {"machine_id": "", "at": ""},
        "worker5": {"machine_id": "", "at": ""},
        "worker6": {"machine_id": "", "at": ""},
    }
    assert len(asked) == 1 and "--request-timeout=2s" in asked[0]
    assert member_facts(tmp_path, lambda _argv: "")["nodes"] == {}
