# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What role node leaves of its entry when a real apt cannot read the lists."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from apt_root import USABLE, AptRoot
from role_runs import ansible

TASKS = Path(__file__).parents[3] / "roles/node/tasks/lists_refused.yml"
ENTRY = "Types: deb\nURIs: https://192.0.2.9/{}/\nSuites: ./\nSigned-By: {}\n"
pytestmark = pytest.mark.skipif(not USABLE, reason="needs root, apt and dpkg")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AptRoot:
    """A root whose apt Ansible talks to."""
    made = AptRoot(tmp_path)
    assert made.run(["apt-get", "update"])[0] == 0
    monkeypatch.setenv("APT_CONFIG", str(made.config))
    return made


def refused(root: AptRoot, folder: Path) -> str:
    """Run what follows a refusal, and give what it says."""
    told = {
        "__node_sources_file": str(sources(root)),
        "__node_sources_read_file": f"{sources(root)}.save",
        "__node_lists": {"msg": "no answer"},
        "ansible_python_interpreter": sys.executable,
    }
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "tasks": [{"ansible.builtin.import_tasks": str(TASKS)}],
    }
    done = ansible(folder, [play], "-e", json.dumps(told))
    assert done.returncode != 0
    return " ".join((done.stdout + done.stderr).split())


def sources(root: AptRoot) -> Path:
    """Give the file of the role's own entry."""
    return root.root / "etc/apt/sources.list.d/ironbinder.sources"


def test_what_worked_is_put_back(root: AptRoot, tmp_path: Path) -> None:
    """The node has packages of it. The next run finds a difference, and tries again."""
    good = ENTRY.format("old", "/old.asc")
    sources(root).with_name("ironbinder.sources.save").write_text(good)
    sources(root).write_text(ENTRY.format("new", "/new.asc"))
    assert "was put back as it was" in refused(root, tmp_path)
    lines = sources(root).read_text().splitlines(keepends=True)
    assert lines[0].startswith("# ") and "".join(lines[1:]) == good
    assert root.run(["apt-get", "check"])[0] == 0
    _, listed, said = root.run(["apt-get", "update", "--print-uris"])
    assert "192.0.2.9/old" in listed and "Ignoring" not in said


@pytest.mark.parametrize("saved", [True, False])
def test_what_apt_cannot_read_is_taken_away(saved: bool, root: AptRoot, tmp_path: Path) -> None:
    """An admin's entry of the same repository has another key: apt works for nobody."""
    sources(root).with_name("admin.sources").write_text(ENTRY.format("same", "/admin.asc"))
    ours = ENTRY.format("same", "/ours.asc")
    sources(root).write_text(ours)
    if saved:
        sources(root).with_name("ironbinder.sources.save").write_text(ours)
    assert root.run(["apt-get", "check"])[0] != 0
    assert "was taken away again" in refused(root, tmp_path)
    assert not sources(root).exists()
    assert root.run(["apt-get", "check"])[0] == 0
