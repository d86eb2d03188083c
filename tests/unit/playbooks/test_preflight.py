# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""preflight as a person runs it, without any machine but this one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from controller_runs import GOOD, ROOT, SECRET, ids, make_site, play, preflight


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
    assert "head-unreachable" in output
    assert SECRET not in output
    report, _, _ = preflight(site, "--limit", "proxy1")
    assert not [
        entry
        for entry in report["findings"]
        if entry["host"] == "head1" and entry["id"] == "head-unreachable"
    ]


SUDO = """#!/bin/sh
echo "sudo: a password is required" >&2
exit 1
"""


@pytest.mark.parametrize("become_facts", [False, True])
def test_sudo_that_refuses_on_every_host(tmp_path: Path, become_facts: bool) -> None:
    """The check still runs, and says of each host that Ansible cannot become root there; nobody lacks Python."""
    sudo = tmp_path / "sudo"
    sudo.write_text(SUDO)
    sudo.chmod(0o755)
    host = {
        "ansible_connection": "local",
        "ansible_become_user": "nobody",
        "ansible_become_exe": str(sudo),
        **({"ansible_become": True} if become_facts else {}),
    }
    site = make_site(tmp_path / "site", {"head": {"head1": host}, "proxy": {"proxy1": host}}, GOOD)
    report, output, code = preflight(site)
    assert code != 0
    told = {(rule, where) for rule, _, where in ids(report)}
    assert {("no-sudo", "head1"), ("no-sudo", "proxy1")} <= told
    assert not {rule for rule, _ in told} & {
        "host-facts-failed",
        "probe-failed",
        "head-unreachable",
        "host-unreachable",
        "rule-crashed",
    }
    assert "sudo: a password is required" in output


# SSH without a network: what the machine would be told to run runs here.
SSH = """#!/bin/sh
for last; do :; done
exec /bin/sh -c "$last"
"""
# As sudo asks and refuses: on the standard error, with the prompt that it was given.
SUDO_WITH_PASSWORD = """#!/bin/sh
while [ "$1" != -p ]; do shift; done
for _ in 1 2; do
  printf %s "$2" >&2
  IFS= read -r given || exit 1
  if [ "$given" = "$(cat '{password}')" ]; then shift 4; exec "$@"; fi
  echo "Sorry, try again." >&2
done
exit 1
"""
PASSWORD = """it's "so" ü # {{ x }} $HOME \\ c4n4ry"""


@pytest.mark.parametrize(
    ("given", "become_facts"),
    [(PASSWORD, True), ("wrong-c4n4ry", False), ("wrong-c4n4ry", True)],
    ids=["right", "wrong", "wrong already for the facts"],
)
def test_a_password_for_sudo(tmp_path: Path, given: str, become_facts: bool) -> None:
    """The right one works whatever is in it; a wrong one is one finding for each host, with its variable, and nothing else."""
    password, told = tmp_path / "password", tmp_path / "told"
    password.write_text(PASSWORD)
    told.write_text(given)
    for name, text in {"ssh": SSH, "sudo": SUDO_WITH_PASSWORD.replace("{password}", str(password))}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    host = {
        "ansible_host": "192.0.2.11",
        "ansible_user": "somebody",
        "ansible_ssh_executable": str(tmp_path / "ssh"),
        "ansible_become_exe": str(tmp_path / "sudo"),
        "ansible_become_password": f"{{{{ lookup('ansible.builtin.file', '{told}') }}}}",
        **({"ansible_become": True} if become_facts else {}),
    }
    site = make_site(tmp_path / "site", {"head": {"head1": host}, "proxy": {"proxy1": host}}, GOOD)
    report, output, _ = preflight(site, "-vvv")
    about_access = {
        (entry["id"], entry["variable"], entry["host"])
        for entry in report["findings"]
        if entry["id"].startswith(("no-sudo", "host-", "head-", "probe-", "python-", "rule-crashed"))
    }
    wrong = {("no-sudo", "ansible_become_password", name) for name in ("head1", "proxy1")}
    assert about_access == (set() if given == PASSWORD else wrong)
    assert "c4n4ry" not in output


def test_python_that_lacks_a_library(tmp_path: Path) -> None:
    """One sentence says what the controller lacks and how to get it."""
    site = make_site(tmp_path / "site", {"proxy": {"proxy1": {"ansible_connection": "local"}}}, GOOD)
    without = tmp_path / "without"
    without.mkdir()
    (without / "sitecustomize.py").write_text(
        "import sys\n"
        "class Without:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'netaddr':\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Without())\n"
    )
    done = play("-i", str(site), str(ROOT / "playbooks/preflight.yml"), PYTHONPATH=str(without))
    output = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0
    assert "missing on the controller" in output
    assert "netaddr" in output
    assert "pip install -r requirements.txt" in output
    assert "Traceback" not in output


def test_a_role_variable_of_old(tmp_path: Path) -> None:
    """In an inventory it is named with its new name; on the command line it still works, and is no finding."""
    hosts = {"proxy": {"proxy1": {"ansible_connection": "local", "reverse_proxy_hsts_seconds": 60}}}
    site = make_site(tmp_path / "site", hosts, {**GOOD, "docker_log_max_files": 5})
    report, output, _ = preflight(site, "-e", "metallb_ready_timeout_seconds=60")
    told = {(variable, where) for rule, variable, where in ids(report) if rule == "variable-renamed"}
    assert told == {("docker_log_max_files", ""), ("reverse_proxy_hsts_seconds", "proxy1")}
    assert "write site_docker_log_max_files with the same value" in output


def test_accepted_findings(tmp_path: Path) -> None:
    """As an inventory sets them: an error becomes a warning with its reason, and no other does."""
    hosts = {
        "head": {"head1": {"ansible_connection": "local"}},
        "proxy": {"proxy1": {"ansible_connection": "local"}},
    }
    accepted = {"duplicate-machine-id": "one computer plays both", "group-empty": "no"}
    site = make_site(tmp_path / "site", hosts, {**GOOD, "site_accepted_findings": accepted})
    report, output, _ = preflight(site)
    known = {entry["id"]: entry for entry in report["findings"]}
    assert known["duplicate-machine-id"]["severity"] == "warning"
    assert known["duplicate-machine-id"]["accepted"] == "one computer plays both"
    assert "accepted: one computer plays both" in output
    assert known["accepted-finding-final"]["severity"] == "error"


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
