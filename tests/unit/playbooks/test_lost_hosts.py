# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What one dead machine means: a worker is left behind, a head ends the run of all with a sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
# The play before each stage, after one in which every host is asked for something.
BOOK = [
    {
        "name": "An earlier stage",
        "hosts": "all",
        "gather_facts": False,
        "tasks": [{"ansible.builtin.ping": {}}],
    },
    yaml.safe_load((ROOT / "playbooks/require_head.yml").read_text())[0],
    {
        "name": "A later stage",
        "hosts": "all",
        "gather_facts": False,
        "tasks": [{"ansible.builtin.debug": {"msg": "reached-the-later-stage"}}],
    },
]
DEAD = "ansible_host=127.0.0.1 ansible_port=9 ansible_ssh_common_args='-o ConnectTimeout=2'"
ALIVE = f"ansible_connection=local ansible_python_interpreter={sys.executable}"


def run(folder: Path, head: str, worker: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the plays on a head and two workers."""
    (folder / "hosts").write_text(
        f"[head]\nhead1 {head}\n[workers]\nworker1 {worker}\nworker2 {ALIVE}\n[proxy]\nproxy1 {ALIVE}\n"
    )
    (folder / "book.yml").write_text(yaml.safe_dump(BOOK))
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    return subprocess.run(
        ["ansible-playbook", "-i", str(folder / "hosts"), str(folder / "book.yml"), *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_worker_that_fails_is_left_behind(tmp_path: Path) -> None:
    done = run(tmp_path, ALIVE, DEAD)
    assert done.returncode == 4, done.stdout
    assert done.stdout.count("reached-the-later-stage") == 3


def test_a_head_that_fails_ends_the_run(tmp_path: Path) -> None:
    done = run(tmp_path, DEAD, ALIVE)
    assert done.returncode != 0
    assert "head1 failed in an earlier stage" in done.stdout
    assert "reached-the-later-stage" not in done.stdout


@pytest.mark.parametrize("limit", ["workers", "worker1"])
def test_a_limit_is_no_failure(tmp_path: Path, limit: str) -> None:
    done = run(tmp_path, DEAD, ALIVE, "--limit", limit)
    assert done.returncode == 0, done.stdout
    assert "reached-the-later-stage" in done.stdout


@pytest.mark.parametrize("stage", ["cluster", "load_balancer", "binderhub", "proxy", "verify"])
def test_every_later_stage_asks_first(stage: str) -> None:
    first = yaml.safe_load((ROOT / f"playbooks/{stage}.yml").read_text())[0]
    assert first["ansible.builtin.import_playbook"] == "ironbinder.platform.require_head"
