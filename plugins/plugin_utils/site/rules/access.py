# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about the way into each machine: whether it answers, lets Ansible become root, and has a Python to work with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.failures import (
    CRASH,
    PYTHON,
    SILENT,
    SUDO,
    reason,
    words_of,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Host,
    Site,
    as_int,
    as_text,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule

# Ansible's words where sudo did not take the password that it was given.
WRONG_PASSWORD = re.compile(r"incorrect \S+ password", re.IGNORECASE)
FACTS_REMEDIES = {
    PYTHON: "install python3 (3.9 or later) on it, or set ansible_python_interpreter to where it is",
    SILENT: "look at the line to it, and run again",
}
PROBE_FAILURES = {
    PYTHON: "there is no Python for root",
    SILENT: "the connection broke",
    CRASH: "the module site_probe crashed on it",
}
PROBE_REMEDIES = {
    PYTHON: (
        "install python3, or set ansible_python_interpreter to one that root can run",
        "ansible_python_interpreter",
    ),
    SILENT: ("look at the line to it, and run again", "ansible_host"),
    CRASH: ("report this with the message; ansible-playbook -vvv shows all of it", ""),
}


@rule("head-unreachable", ERROR, "The only head does not answer Ansible.", acceptable=False)
def head_unreachable(site: Site) -> Iterator[Problem]:
    heads = site.members("head")
    if len(heads) == 1:
        yield from _unreachable(heads)


@rule("host-unreachable", ERROR, "A machine of the site does not answer Ansible.")
def host_unreachable(site: Site) -> Iterator[Problem]:
    heads = site.members("head")
    yield from _unreachable(host for host in site.machines if len(heads) != 1 or host not in heads)


def _unreachable(hosts: Iterable[Host]) -> Iterator[Problem]:
    for host in hosts:
        # A sudo that asks for a password for ever is no machine that is down.
        if host.state == "unreachable" and reason(host.message) != SUDO:
            # Ansible's own words end in what ssh said.
            said = words_of(host.message).rpartition("via ssh: ")[2]
            yield Problem(
                f"cannot be reached at {host.address}: {said or 'no answer'}",
                "log in once by hand (ssh), and compare the machine's key with what its owner says"
                if "host key verification failed" in said.lower()
                else "start it, correct ansible_host, or check the SSH key and user",
                "ansible_host",
                host.name,
            )


@rule("host-facts-failed", ERROR, "A machine answers, but Ansible cannot look at it.")
def host_facts_failed(site: Site) -> Iterator[Problem]:
    for host in site.machines:
        why = reason(host.message)
        if host.state == "failed" and why != SUDO:
            yield Problem(
                f"facts could not be gathered: {words_of(host.message) or 'no facts'}",
                FACTS_REMEDIES.get(why, "see what ansible -m ansible.builtin.setup says of this host"),
                "ansible_python_interpreter" if why == PYTHON else "",
                host.name,
            )


def _probe_failure(host: Host) -> str:
    """What Ansible said of a probe, or already of the facts, that did not work."""
    return as_text(host.probe.get("failed")) or host.message


@rule("no-sudo", ERROR, "Ansible cannot become root on a machine.", acceptable=False)
def no_sudo(site: Site) -> Iterator[Problem]:
    for host in site.machines:
        said = _probe_failure(host)
        if (said and reason(said) == SUDO) or host.probe.get("root") is False:
            wrong = bool(WRONG_PASSWORD.search(said))
            yield Problem(
                f"cannot become root: {words_of(said) or 'the task ran as an ordinary user'}",
                "correct the password that sudo asks for there: in ansible_become_password, or after --ask-become-pass"
                if wrong
                else "give the login user sudo, and Ansible its password if it needs one: by --ask-become-pass, or as "
                "ansible_become_password in the site's vault",
                "ansible_become_password" if wrong else "ansible_become",
                host.name,
            )


@rule(
    "probe-failed",
    ERROR,
    "A machine's facts are known, but the look at what it runs failed.",
    acceptable=False,
)
def probe_failed(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers", "proxy", "registry"):
        said = as_text(host.probe.get("failed"))
        why = reason(said)
        if said and why != SUDO:
            remedy, variable = PROBE_REMEDIES[why]
            yield Problem(f"{PROBE_FAILURES[why]}: {words_of(said)}", remedy, variable, host.name)


@rule("python-too-old", ERROR, "A machine's Python is older than the modules need.", acceptable=False)
def python_too_old(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers", "proxy", "registry"):
        numbers = [as_int(part, -1) for part in as_text(host.facts.get("python_version")).split(".")[:2]]
        if len(numbers) == 2 and -1 not in numbers and tuple(numbers) < (3, 9):
            yield Problem(
                f"has Python {host.facts.get('python_version')}",
                "install python3 3.9 or later, and set ansible_python_interpreter if there are several",
                "ansible_python_interpreter",
                host.name,
            )


@rule("spare-host-unreachable", WARNING, "A host that no stage changes does not answer.")
def spare_host_unreachable(site: Site) -> Iterator[Problem]:
    ours = {host.name for host in site.machines}
    for host in site.hosts.values():
        if host.name not in ours and host.state in ("unreachable", "failed"):
            yield Problem("does not answer", "nothing to do if that is meant", "ansible_host", host.name)
