# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The playbooks that take something away, by real Ansible against an API in memory.

What they do to machines is cut off: this computer is none of a site's.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from drain_cluster import DrainCluster
from role_runs import ROOT, ansible

__all__ = ["RemovalBook", "told"]

SITE = """
site_name: stfc
site_public_url: http://proxy.example.org
site_floating_pool: 192.0.2.101
site_registry_host: registry.example.org
site_registry_prefix: binder/stfc-
site_drain_timeout_seconds: 0
"""
MACHINE = {"name": "A machine is reached", "ansible.builtin.debug": {"msg": "reached-a-machine"}}
IMPORT, INCLUDE = "ansible.builtin.import_tasks", "ansible.builtin.include_tasks"
KUBEADM = "ironbinder.platform.kubeadm:"
# Playbooks that another imports have tests of their own, but for this one.
WHO_IS_LEFT = "ironbinder.platform.require_hosts"


def told(done: subprocess.CompletedProcess[str]) -> str:
    """What a run said, on one line."""
    return " ".join((done.stdout + done.stderr).split())


class RemovalBook:
    """A playbook whose files of tasks on machines say that they were reached, after what they refuse."""

    def __init__(self, folder: Path, cluster: DrainCluster, kubeconfig: str) -> None:
        self.folder, self.cluster, self.kubeconfig = folder, cluster, kubeconfig
        local = f"ansible_connection=local ansible_python_interpreter={sys.executable}"
        (folder / "hosts").write_text(
            f"[head]\nhead1 {local}\n[workers]\nworker1 {local}\nworker2 {local}\n[proxy]\nproxy1 {local}\n"
        )
        (folder / "group_vars").mkdir()
        (folder / "group_vars/all.yml").write_text(f"{SITE}site_kubeconfig_file: {kubeconfig}\n")

    def plays(self, name: str) -> list[dict[str, Any]]:
        """The plays, and their tasks where they stay on the controller."""
        found: list[dict[str, Any]] = []
        for play in yaml.safe_load((ROOT / f"playbooks/{name}.yml").read_text()):
            imported = play.get("ansible.builtin.import_playbook")
            if imported == WHO_IS_LEFT:
                [first] = yaml.safe_load((ROOT / "playbooks/require_hosts.yml").read_text())
                found.append({**first, "vars": play["vars"]})
            elif not imported:
                found.append(self._bare(play))
        return found

    def _bare(self, play: dict[str, Any]) -> dict[str, Any]:
        for task in play["tasks"]:
            for key in (IMPORT, INCLUDE):
                if key in task:
                    task[key] = str(self.tasks(task[key]))
        if play.pop("become", False):
            play["gather_facts"] = False
            play.pop("roles", None)
        return play

    def tasks(self, name: str) -> Path:
        """A copy of a file of tasks whose record is written here, and that asks nobody for root."""
        text = (ROOT / "playbooks" / name).read_text()
        path = self.folder / Path(name).name
        text = text.replace("/var/lib/ironbinder/", f"{self.folder}/").replace(
            "become: true", "become: false"
        )
        if Path(name).name.startswith("leave_"):
            refusal = yaml.safe_load(text)[0]
            text = json.dumps([*([refusal] if IMPORT in refusal else []), MACHINE])
        text = text.replace("/etc/machine-id", f"{self.folder}/machine-id").replace(
            KUBEADM, "ansible.builtin.set_fact:"
        )
        if f"{IMPORT}: same_machine.yml" in text:
            text = text.replace("same_machine.yml", str(self.tasks("tasks/same_machine.yml")))
        if "import_tasks: known_node.yml" in text:
            self.tasks("tasks/known_node.yml")
        for shared in ("confirm.yml", "confirmed.yml", "hub_data.yml"):
            for old in (f"import_tasks: {shared}", f'import_tasks": "{shared}'):
                text = text.replace(old, old.replace(shared, f"{ROOT}/playbooks/tasks/{shared}"))
        path.write_text(text)
        return path

    def run(self, name: str, *options: str, **extra: object) -> subprocess.CompletedProcess[str]:
        """Play it."""
        return self.play(self.plays(name), *options, **extra)

    def play(self, plays: list[Any], *options: str, **extra: object) -> subprocess.CompletedProcess[str]:
        """Play these."""
        return ansible(self.folder, plays, "-i", "hosts", "-e", json.dumps(extra), *options)
