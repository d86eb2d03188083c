# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The stage `cluster` alone, without preflight: whom a worker that joins would leave without a route, by Ansible itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
[JOINING] = [
    play
    for play in yaml.safe_load((ROOT / "playbooks/cluster.yml").read_text())
    if play.get("hosts") == "workers"
]
[WIRED] = [
    role["vars"]["worker_nodes_left_out"]
    for role in JOINING["roles"]
    if "worker_nodes_left_out" in role.get("vars", {})
]
REFUSAL = yaml.safe_load((ROOT / "roles/worker/tasks/join.yml").read_text())[0]


def run(folder: Path, limit: str, provider: str = "routed") -> str:
    """Give what Ansible says of the role's first task when a worker has to join."""
    (folder / "hosts").write_text(
        "[head]\nhead1\n[workers]\nworker1\nworker2\n[proxy]\nproxy1\n[all:vars]\nansible_connection=local\n"
        f"ansible_python_interpreter={sys.executable}\n"
    )
    variables = {
        "site_pod_network_provider": provider,
        "worker_node_name": "{{ inventory_hostname }}",
        "worker_nodes_left_out": WIRED,
    }
    book = [{"hosts": "workers", "gather_facts": False, "vars": variables, "tasks": [REFUSAL]}]
    (folder / "book.yml").write_text(yaml.safe_dump(book))
    done = subprocess.run(
        [
            "ansible-playbook",
            "-i",
            str(folder / "hosts"),
            str(folder / "book.yml"),
            *(["--limit", limit] if limit else []),
        ],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "TASK [Refuse to join" in done.stdout, done.stdout + done.stderr
    return " ".join(done.stdout.split()) if done.returncode else ""


@pytest.mark.parametrize(
    ("limit", "left_out"),
    [
        ("worker2", "worker1, head1"),
        ("worker1,worker2", "head1"),
        ("head:worker2", "worker1"),
        ("worker2,proxy", "worker1, head1"),
        ("all:!worker1", "worker1"),
    ],
)
def test_a_part_of_the_nodes_is_refused(tmp_path: Path, limit: str, left_out: str) -> None:
    told = run(tmp_path, limit)
    assert f"leaves out {left_out} (worker_nodes_left_out)" in told
    assert "--limit head:workers" in told


@pytest.mark.parametrize("limit", ["", "head:workers", "head1,worker1,worker2", "all:!proxy", "*1,worker2"])
def test_all_nodes_are_not(tmp_path: Path, limit: str) -> None:
    assert run(tmp_path, limit) == ""


def test_other_providers_tell_their_nodes_themselves(tmp_path: Path) -> None:
    assert run(tmp_path, "worker2", "calico") == ""
