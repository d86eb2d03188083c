# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""preflight and new_site as a person runs them, without any machine but this one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
# Preflight must show no trace of these.
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
        timeout=120,
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


def test_everything_at_once(tmp_path: Path) -> None:
    """A host that is down, one without an address, no head, and bad values: all in one report, and no secret."""
    site = make_site(
        tmp_path / "bad",
        {
            "workers": {
                "down": {"ansible_host": "127.0.0.1", "ansible_port": 1, "site_node_address": "192.0.2.21"},
                "blank": {"ansible_host": ""},
                "here": {
                    "ansible_connection": "local",
                    "ansible_host": "192.0.2.22",
                    "site_api_port": "many",
                },
            },
            "proxy": {"proxy1": {"ansible_host": "127.0.0.1", "ansible_port": 1}},
        },
        {
            **GOOD,
            "site_floating_pool": "192.0.2.9-192.0.2.1",
            "site_registry_prefix": "binder",
            "site_binderhub_chart_version": "",
            "site_api_address": "{{ no_such_variable }}",
            "site_registry_password": "{{ no_such_secret }}" + SECRET,
            "site_flaoting_pool": "x",
        },
    )
    report, output, code = preflight(site)
    assert code != 0
    assert {
        ("group-missing", "groups.head", ""),
        ("host-unreachable", "ansible_host", "down"),
        ("address-missing", "ansible_host", "blank"),
        ("pool-malformed", "site_floating_pool", ""),
        ("registry-prefix-without-level", "site_registry_prefix", ""),
        ("value-missing", "site_binderhub_chart_version", ""),
        ("value-not-computable", "site_api_address", ""),
        ("value-not-computable", "site_registry_password", ""),
        ("unknown-variable", "site_flaoting_pool", ""),
        ("wrong-type", "site_api_port", "here"),
        ("token-malformed", "site_hub_api_tokens.binder", ""),
        ("secrets-equal", "site_hub_api_tokens.binder", ""),
        ("chart-not-found", "site_binderhub_chart_repository", ""),
        ("mirror-unreachable", "artifact_mirror_url", "here"),
        ("registry-unreachable", "site_registry_host", "here"),
    } <= ids(report)
    assert SECRET not in output + json.dumps(report)
    assert "Traceback" not in output
    assert output.count("did you mean site_floating_pool?") == 1


def test_check_mode_verbose_and_limit(tmp_path: Path) -> None:
    """With --check the same is found, no report is written, -vvv shows no secret; --limit asks only its hosts."""
    site = make_site(
        tmp_path / "site",
        {
            "head": {"head1": {"ansible_host": "127.0.0.1", "ansible_port": 1}},
            "proxy": {"proxy1": {"ansible_connection": "local"}},
        },
        GOOD,
    )
    report, output, code = preflight(site, "--check", "-vvv", "--diff")
    assert (report, code != 0) == ({}, True)
    assert "host-unreachable" in output
    assert SECRET not in output
    report, _, _ = preflight(site, "--limit", "proxy1")
    assert not [
        entry
        for entry in report["findings"]
        if entry["host"] == "head1" and entry["id"] == "host-unreachable"
    ]


def test_no_host_at_all(tmp_path: Path) -> None:
    """An inventory without a host is refused like any other."""
    site = make_site(tmp_path / "none", {}, {})
    report, _, code = preflight(site)
    assert code != 0
    assert ("group-missing", "groups.head", "") in ids(report)


def test_later_stages_do_not_run(tmp_path: Path) -> None:
    """What follows a refused preflight in the same run is not started."""
    site = make_site(tmp_path / "site", {"head": {"head1": {"ansible_connection": "local"}}}, {})
    after = tmp_path / "after.yml"
    after.write_text(
        f"- import_playbook: {ROOT}/playbooks/preflight.yml\n"
        "- hosts: head:localhost\n  gather_facts: false\n  tasks:\n    - ansible.builtin.debug: {msg: reached-the-next-stage}\n"
    )
    done = play("-i", str(site), str(after), "-e", f"ansible_python_interpreter={sys.executable}")
    assert done.returncode != 0
    assert "reached-the-next-stage" not in done.stdout


def new_site(folder: Path, *answers: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Make a site below `folder`."""
    return play(
        str(ROOT / "playbooks/new_site.yml"), "-e", f"new_site_parent_dir={folder}", *answers, **environment
    )


def test_new_site_says_what_to_fill_in(tmp_path: Path) -> None:
    """A new site without answers has exactly the findings that a person has to fill in, and nothing else of the contract."""
    done = new_site(tmp_path, "-e", "site_name=demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING: secrets.yml is not encrypted" in done.stdout
    secrets = tmp_path / "demo/group_vars/all/secrets.yml"
    assert secrets.stat().st_mode & 0o777 == 0o600
    tokens = re.findall(r'"([0-9a-f]{64})"', secrets.read_text())
    assert len(set(tokens)) == 3
    report, output, _ = preflight(tmp_path / "demo")
    found = ids(report) - {("chart-not-found", "site_binderhub_chart_repository", "")}
    assert found == {
        ("address-missing", "ansible_host", "head1"),
        ("address-missing", "ansible_host", "worker1"),
        ("address-missing", "ansible_host", "proxy1"),
        ("value-missing", "site_public_url", ""),
        ("value-missing", "site_floating_pool", ""),
        ("value-missing", "site_registry_host", ""),
    }
    assert not any(token in output + done.stdout for token in tokens)


def test_new_site_never_overwrites(tmp_path: Path) -> None:
    """A second run with other answers leaves every file as it is."""
    answers = (
        "-e",
        "site_name=demo",
        "-e",
        "site_floating_pool=192.0.2.7",
        "-e",
        "new_site_workers=192.0.2.21,192.0.2.22",
    )
    assert new_site(tmp_path, *answers).returncode == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    again = new_site(tmp_path, "-e", "site_name=demo", "-e", "site_floating_pool=192.0.2.99")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert re.search(r"localhost +: ok=\d+ +changed=0 ", again.stdout)
    hosts = yaml.safe_load((tmp_path / "demo/hosts.yml").read_text())
    assert list(hosts["all"]["children"]["workers"]["hosts"]) == ["worker1", "worker2"]


def test_new_site_with_a_vault(tmp_path: Path) -> None:
    """Where a vault password is configured, secrets are encrypted by it, and preflight reads them."""
    password = tmp_path / "vault-password"
    password.write_text("open sesame\n")
    done = new_site(tmp_path, "-e", "site_name=vaulted", ANSIBLE_VAULT_PASSWORD_FILE=str(password))
    secrets = tmp_path / "vaulted/group_vars/all/secrets.yml"
    assert done.returncode == 0, done.stdout + done.stderr
    assert secrets.read_text().startswith("$ANSIBLE_VAULT;")
    report, _, _ = preflight(tmp_path / "vaulted", "--vault-password-file", str(password))
    assert not {entry["id"] for entry in report["findings"]} & {
        "token-missing",
        "token-malformed",
        "secrets-file-readable",
    }


@pytest.mark.parametrize("name", ["", "My Site", "../up", "-x"])
def test_new_site_refuses_odd_names(tmp_path: Path, name: str) -> None:
    """A name that is none makes nothing."""
    done = new_site(tmp_path, "-e", json.dumps({"site_name": name}))
    assert done.returncode != 0
    assert list(tmp_path.iterdir()) == []
