# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The guard goes, and a run that was ended on its way is made good by the next one."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from guard_node import NFT, ROLE, ROOT, Installed, render, why_not

REASON = why_not()
TASKS = yaml.safe_load((ROLE / "tasks/remove.yml").read_text())
NAMES = {
    **yaml.safe_load((ROLE / "defaults/main.yml").read_text()),
    **yaml.safe_load((ROLE / "vars/main.yml").read_text()),
}


def written(text: str) -> str:
    """A path with the role's variables filled in."""
    while "{{" in text:
        text = re.sub(r"\{\{ (\w+) \}\}", lambda name: str(NAMES[name.group(1)]), text)
    return text


def steps(module: str) -> list[dict[str, Any]]:
    """The tasks of one module, with what stands beside its arguments."""
    every = [*TASKS, *(task for entry in TASKS for task in entry.get("block", []))]
    return [task for task in every if f"ansible.builtin.{module}" in task]


(LOOKS,), (TAKES,), (DELETES,) = steps("stat"), steps("command"), steps("file")
FILES = [written(path) for path in DELETES["loop"]]


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the role writes."""
    return render(tmp_path_factory.mktemp("removal"))


@pytest.mark.skipif(bool(REASON), reason=REASON or "can be run")
@pytest.mark.parametrize("deleted", range(len(FILES)))
def test_a_removal_that_was_ended_is_made_good(
    tmp_path: Path, groups: list[dict[str, Any]], deleted: int
) -> None:
    """However many files were deleted before, the next run removes the table or finds that it is gone."""
    installed = Installed(tmp_path, groups)

    program, removes = " ".join(installed.program), written(TAKES["ansible.builtin.command"]["removes"])

    def take(before: str, after: str) -> subprocess.CompletedProcess[str]:
        """What the task does, in a network of its own."""
        wanted = (tmp_path / removes.lstrip("/")).exists()
        script = f"{before}; {f'{program} remove' if wanted else 'true'}; {after}"
        command = ["unshare", "--net", "sh", "-ec", script]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    first = take(f"{program} load >/dev/null", f"{NFT} list tables")
    assert (first.returncode, first.stdout) == (0, ""), first.stderr
    for path in FILES[:deleted]:
        subprocess.run(["rm", "-rf", str(tmp_path / path.lstrip("/"))], check=True)
    second = take("true", "true")
    assert second.returncode == 0, f"{FILES[:deleted]}: {second.stderr}"


def test_what_the_role_looks_for_goes_last() -> None:
    assert written(LOOKS["ansible.builtin.stat"]["path"]) == FILES[-1]


def test_every_file_goes(groups: list[dict[str, Any]]) -> None:
    for group in groups:
        for name in group["files"]:
            path = f"{group['folder']}/{name}"
            assert path in FILES or group["folder"] in FILES, path


def test_no_network_names_a_plugin_that_is_gone() -> None:
    """The plugin is there before a network's configuration names it, and as long as one does."""
    plays = yaml.safe_load((ROOT / "playbooks/cluster.yml").read_text())
    names = [[entry["role"].rpartition(".")[2] for entry in play.get("roles", [])] for play in plays]
    [(play, roles)] = [pair for pair in zip(plays, names, strict=True) if "pod_network" in pair[1]]
    order = [(role, "main", entry.get("when")) for role, entry in zip(roles, play["roles"], strict=True)]
    for task in play.get("tasks", []):
        told = task["ansible.builtin.include_role"]
        order.append((told["name"].rpartition(".")[2], told["tasks_from"], task.get("when")))
    assert order == [
        ("site", "main", None),
        ("guard", "main", "site_guard_enabled | bool"),
        ("pod_network", "main", None),
        ("guard", "remove", "not site_guard_enabled | bool"),
    ]
