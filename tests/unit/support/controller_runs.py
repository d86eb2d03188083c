# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Playbooks as a person runs them, without any machine but this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
# No run may show a trace of it.
SECRET = "c4n4ry-0f-4-unit-test"


def play(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ansible-playbook with this interpreter's Ansible."""
    around = {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
    }
    around = {
        key: value for key, value in around.items() if not key.startswith("ANSIBLE_VAULT")
    } | environment
    command = [str(BIN / "ansible-playbook"), *arguments]
    return subprocess.run(
        command,
        cwd=cwd,
        env=around,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=600,
        check=False,
    )


def preflight(site: Path, *arguments: str) -> tuple[dict[str, Any], str, int]:
    """Run preflight and give its report, its output and its exit code."""
    report = site / "findings.json"
    report.unlink(missing_ok=True)
    done = play(
        "-i",
        str(site),
        str(ROOT / "playbooks/preflight.yml"),
        "-e",
        f"preflight_report_file={report}",
        "-e",
        f"ansible_python_interpreter={sys.executable}",
        *arguments,
    )
    output = done.stdout + done.stderr
    return json.loads(report.read_text()) if report.is_file() else {}, output, done.returncode


def make_site(folder: Path, hosts: dict[str, Any], values: dict[str, Any]) -> Path:
    """Write a small inventory."""
    (folder / "group_vars" / "all").mkdir(parents=True)
    groups = {group: {"hosts": members} for group, members in hosts.items()}
    (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": groups}}))
    (folder / "group_vars" / "all" / "site.yml").write_text(yaml.safe_dump(values))
    return folder


def ids(report: dict[str, Any]) -> set[tuple[str, str, str]]:
    """Rule, variable and host of each finding."""
    return {(entry["id"], entry["variable"], entry["host"]) for entry in report["findings"]}


GOOD = {
    "site_name": "test",
    "site_public_url": "http://127.0.0.1",
    "site_floating_pool": "192.0.2.101",
    "site_registry_host": "127.0.0.1:1",
    "site_registry_prefix": "binder/test-",
    "artifact_source": "mirror",
    "artifact_mirror_url": "http://127.0.0.1:1",
    "site_hub_api_tokens": {"binder": SECRET},
    "site_hub_proxy_tokens": {"binder": SECRET},
}


def new_site(folder: Path, *answers: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Make a site below `folder`."""
    return play(
        str(ROOT / "playbooks/new_site.yml"),
        "-e",
        f"new_site_parent_dir={folder}",
        *answers,
        cwd=ROOT,
        **environment,
    )
