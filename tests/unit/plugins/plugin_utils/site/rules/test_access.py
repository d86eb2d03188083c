# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/access.py by a bad site of its own."""

from __future__ import annotations

import pytest
from site_cases import Case, case, fact, found, probe, rules_in

CASES = [
    case(
        "the head is down",
        {"hosts/head1/state": "unreachable", "hosts/head1/message": "timed out"},
        ("head-unreachable", "ansible_host", "head1"),
    ),
    case(
        "host is down",
        {"hosts/worker2/state": "unreachable", "hosts/worker2/message": "timed out"},
        ("host-unreachable", "ansible_host", "worker2"),
    ),
    case(
        "no python",
        {"hosts/worker2/state": "failed", "hosts/worker2/message": "python3: not found"},
        ("host-facts-failed", "ansible_python_interpreter", "worker2"),
    ),
    case(
        "somebody else's host is down",
        {
            "hosts/backup1": {"variables": {"ansible_host": "192.0.2.60"}, "state": "unreachable"},
            "groups/backup": ["backup1"],
        },
        ("spare-host-unreachable", "ansible_host", "backup1"),
    ),
    case(
        "sudo waits for a password for ever",
        {
            "hosts/worker2/state": "unreachable",
            "hosts/worker2/message": "Timeout (12s) waiting for privilege escalation prompt: ",
        },
        ("no-sudo", "ansible_become", "worker2"),
    ),
    case(
        "no sudo for the facts either",
        {
            "hosts/worker2/state": "failed",
            "hosts/worker2/facts": {},
            "hosts/worker2/probe": {},
            "hosts/worker2/message": "Premature end of stream waiting for become success.\nsudo: a password is required",
        },
        ("no-sudo", "ansible_become", "worker2"),
    ),
    case(
        "the line breaks",
        {"hosts/worker2/state": "failed", "hosts/worker2/message": "Connection reset by peer"},
        ("host-facts-failed", "", "worker2"),
    ),
    case(
        "facts crash",
        {
            "hosts/worker2/state": "failed",
            "hosts/worker2/message": "Traceback (most recent call last): KeyError: 'x'",
        },
        ("host-facts-failed", "", "worker2"),
    ),
    fact(
        "old python",
        "worker1",
        "python_version",
        "3.8.10",
        ("python-too-old", "ansible_python_interpreter", "worker1"),
    ),
    case(
        "no sudo",
        {"hosts/worker1/probe": {"failed": "sudo: a password is required"}},
        ("no-sudo", "ansible_become", "worker1"),
    ),
    probe("ordinary user", "worker1", "root", False, ("no-sudo", "ansible_become", "worker1")),
    case(
        "not among the sudoers",
        {
            "hosts/proxy1/probe": {
                "failed": "Task failed: Premature end of stream waiting for become success.\n"
                ">>> Standard Error\nansible is not in the sudoers file."
            }
        },
        ("no-sudo", "ansible_become", "proxy1"),
    ),
    case(
        "a wrong password for sudo",
        {"hosts/worker1/probe": {"failed": "Task failed: Incorrect sudo password"}},
        ("no-sudo", "ansible_become_password", "worker1"),
    ),
    case(
        "a wrong password for sudo, already for the facts",
        {
            "hosts/worker2/state": "failed",
            "hosts/worker2/facts": {},
            "hosts/worker2/probe": {},
            "hosts/worker2/message": "Task failed: Incorrect sudo password",
        },
        ("no-sudo", "ansible_become_password", "worker2"),
    ),
    case(
        "a machine whose key nobody has seen",
        {
            "hosts/worker2/state": "unreachable",
            "hosts/worker2/message": "Failed to connect to the host via ssh: Host key verification failed.",
        },
        ("host-unreachable", "ansible_host", "worker2"),
    ),
    case(
        "no sudo installed",
        {
            "hosts/worker1/probe": {
                "failed": "Premature end of stream waiting for become success. /bin/sh: 1: sudo: not found"
            }
        },
        ("no-sudo", "ansible_become", "worker1"),
    ),
    case(
        "no python for root",
        {
            "hosts/worker1/probe": {
                "failed": "The module interpreter '/opt/py/bin/python3' was not found.\n"
                "sudo: /opt/py/bin/python3: command not found"
            }
        },
        ("probe-failed", "ansible_python_interpreter", "worker1"),
    ),
    case(
        "the probe crashes",
        {
            "hosts/worker1/probe": {
                "failed": "Module result deserialization failed: No start of json char found\n"
                "Traceback (most recent call last):\nTimeoutError: timed out"
            }
        },
        ("probe-failed", "", "worker1"),
    ),
    case(
        "the line breaks under the probe",
        {"hosts/worker1/probe": {"failed": "Shared connection to 192.0.2.21 closed. Broken pipe"}},
        ("probe-failed", "ansible_host", "worker1"),
    ),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("access") <= {rule for entry in CASES for rule, _, _ in entry.expected}
