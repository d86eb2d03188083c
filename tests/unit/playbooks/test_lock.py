# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every playbook that changes the site takes its lock before it changes anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

PLAYBOOKS = Path(__file__).parents[3] / "playbooks"
# They change no machine; or are parts of others, as the lock itself.
FREE = {
    *("artifacts", "capacity", "corpus", "lock", "new_site", "preflight", "require_head", "secrets", "site"),
    *("require_hosts", "verify", "status"),
}
CHANGING = sorted(path for path in PLAYBOOKS.glob("*.yml") if path.stem not in FREE)


def before(plays: list[Mapping[str, Any]]) -> Iterator[str]:
    """Name what comes before the lock: imports, and plays with hosts; "lock" ends it."""
    for play in plays:
        imported = play.get("ansible.builtin.import_playbook", "")
        tasks = play.get("pre_tasks") or play.get("tasks") or [{}]
        first = tasks[0]
        taken = first.get("ansible.builtin.import_tasks") or first.get("ansible.builtin.include_tasks") or ""
        if imported == "ironbinder.platform.lock" or taken == "tasks/lock.yml":
            yield "lock"
            return
        yield imported.rpartition(".")[2] or str(play.get("name"))


@pytest.mark.parametrize("playbook", CHANGING, ids=lambda path: path.stem)
def test_the_lock_is_taken_before_anything_changes(playbook: Path) -> None:
    *others, last = before(yaml.safe_load(playbook.read_text()))
    assert last == "lock"
    assert set(others) <= FREE


def test_a_playbook_without_the_lock_is_found() -> None:
    """Otherwise the test above says nothing."""
    assert len(CHANGING) >= 6
    assert list(before([{"name": "Change", "hosts": "all", "roles": []}])) == ["Change"]
