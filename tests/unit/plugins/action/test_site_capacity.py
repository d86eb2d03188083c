# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The whole playbook on inventories whose machine is this one: what is written, when, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[4]
HEAD = "head: {hosts: {head1: {ansible_connection: local, ansible_python_interpreter: '{{ ansible_playbook_python }}'}}}"


def inventory(folder: Path, groups: str = HEAD, **values: object) -> Path:
    """An inventory of one machine without workers, so that it runs everything."""
    (folder / "group_vars/all").mkdir(parents=True)
    (folder / "hosts.yml").write_text(f"all: {{children: {{{groups}}}}}\n")
    (folder / "group_vars/all/site.yml").write_text(
        yaml.safe_dump({"site_session_memory_limit": "512M", **values})
    )
    return folder


def play(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the playbook as `make capacity` does. Nobody's privileges are raised."""
    program = Path(sys.executable).with_name("ansible-playbook")
    extra = json.dumps({"ansible_become": False})
    return subprocess.run(
        [program, "-i", folder, ROOT / "playbooks/capacity.yml", "--diff", "-e", extra, *arguments],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_LOCALHOST_WARNING": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_check_do_check_again_do_again(tmp_path: Path) -> None:
    """A check writes nothing, a second run changes nothing, and what site.yml says leaves the file."""
    folder = inventory(tmp_path / "one")
    file = folder / "group_vars/all/capacity.yml"
    for check, changed, there in ((True, 1, False), (False, 1, True), (True, 0, True), (False, 0, True)):
        run = play(folder, *(["--check"] if check else []))
        assert run.returncode == 0, run.stdout + run.stderr
        assert f"changed={changed}" in run.stdout
        assert file.is_file() is there
    assert file.stat().st_mode & 0o777 == 0o644
    values = yaml.safe_load(file.read_text())
    assert values["site_total_quota"] >= 1
    (folder / "group_vars/all/site.yml").write_text("site_session_memory_limit: 512M\nsite_total_quota: 3\n")
    run = play(folder)
    assert "not written: the inventory sets 3" in run.stdout
    assert "-site_total_quota" in run.stdout
    after = yaml.safe_load(file.read_text())
    assert after == {name: number for name, number in values.items() if name != "site_total_quota"}


@pytest.mark.parametrize(
    ("groups", "told"),
    [
        (f"{HEAD}, workers: {{hosts: {{worker1: {{ansible_host: ''}}}}}}", "worker1 (unaddressed)"),
        (
            f"{HEAD}, workers: {{hosts: {{worker1: {{ansible_host: 127.0.0.1, ansible_port: 1}}}}}}",
            "worker1 (unreachable)",
        ),
    ],
    ids=["no address yet", "down"],
)
def test_a_node_that_cannot_be_looked_at(tmp_path: Path, groups: str, told: str) -> None:
    """Nothing is written: without that node every sum would be too small."""
    folder = inventory(tmp_path / "one", groups)
    run = play(folder)
    assert run.returncode != 0
    assert told in run.stdout and "nothing written" in run.stdout
    assert not (folder / "group_vars/all/capacity.yml").exists()


def test_somebody_elses_file(tmp_path: Path) -> None:
    folder = inventory(tmp_path / "one")
    file = folder / "group_vars/all/capacity.yml"
    file.write_text("site_total_quota: 4\n")
    run = play(folder)
    assert run.returncode != 0
    assert "was not written by `make capacity`" in run.stdout
    assert file.read_text() == "site_total_quota: 4\n"


def test_only_told(tmp_path: Path) -> None:
    folder = inventory(tmp_path / "one")
    run = play(folder, "-e", "capacity_write=false")
    assert (run.returncode, "changed=0" in run.stdout) == (0, True)
    assert "site_total_quota" in run.stdout
    assert not (folder / "group_vars/all/capacity.yml").exists()
