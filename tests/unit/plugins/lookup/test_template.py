# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Our lookup gives what Ansible's gives, from a role, by a real run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
TEMPLATES = {
    "managed": "{{ ansible_managed | comment }}\nkey = {{ inner }}\n",
    "blocks": "{% for entry in entries %}\n  - {{ entry }}\n{% endfor %}\n\nend without a line break",
    "backslashes": 'pattern = "\\d+\\n" {{ "\\\\" }}\n',
    "included": "{% include 'other.j2' %}\nafter\n",
    "other": "included {{ inner }}\n",
    "empty": "",
    "number": "{{ 42 }}",
    "json": "{{ {'a': entries} | to_nice_json }}\n",
    "host": "{{ hostvars[inventory_hostname].inventory_hostname }} {{ groups.all | join(' ') }}\n",
}
TASKS = """
- name: Render
  ansible.builtin.copy:
    content: "{{ {'ours': ours, 'theirs': theirs} | to_json }}"
    dest: "{{ out }}/{{ item }}"
    mode: "0644"
  vars:
    ours: "{{ lookup('ironbinder.platform.template', item ~ '.j2') }}"
    theirs: "{{ lookup('ansible.builtin.template', item ~ '.j2') }}"
  loop: "{{ names }}"
"""
PLAY = """
- hosts: localhost
  gather_facts: false
  vars: {outer: "it's \\"so\\"", inner: "{{ outer }} {{ 1 + 1 }}", entries: [ä, "{{ outer }}", 3]}
  roles: [writer]
"""


def play(folder: Path, names: list[str]) -> subprocess.CompletedProcess[str]:
    for name, text in TEMPLATES.items():
        file = folder / "roles/writer/templates" / f"{name}.j2"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (folder / "roles/writer/tasks").mkdir(parents=True)
    (folder / "roles/writer/tasks/main.yml").write_text(TASKS)
    (folder / "play.yml").write_text(PLAY)
    return subprocess.run(
        [
            "ansible-playbook",
            "-i",
            "localhost,",
            "-c",
            "local",
            "-e",
            json.dumps({"names": names, "out": str(folder), "ansible_python_interpreter": sys.executable}),
            "play.yml",
        ],
        cwd=folder,
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_it_renders_as_ansible_does(tmp_path: Path) -> None:
    done = play(tmp_path, list(TEMPLATES))
    assert done.returncode == 0, done.stdout
    for name in TEMPLATES:
        told = json.loads((tmp_path / name).read_text())
        assert told["ours"] == told["theirs"], name


@pytest.mark.parametrize("missing", ["nobody"])
def test_a_missing_template_is_named(tmp_path: Path, missing: str) -> None:
    done = play(tmp_path, [missing])
    assert done.returncode != 0
    assert f"There is no template '{missing}.j2'" in done.stdout + done.stderr
