# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What role firewall loads: by the filter's answer for a site, and by a real kernel, which lets in that and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ironbinder.platform.plugins.filter.firewall_openings import firewall_openings
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.check import check_site
from role_runs import ansible
from site_cases import good_site
from walled_site import MACHINES, WalledSite, look, why_not

ROOT = Path(__file__).parents[3]
ROLE = ROOT / "roles/firewall"
REASON = why_not()
GROUPS = {"head": ["head1"], "workers": ["worker1", "worker2"], "proxy": ["proxy1"], "registry": ["mirror1"]}
HOSTVARS: dict[str, dict[str, Any]] = {name: {"ansible_host": address} for name, address in MACHINES.items()}


def opened(host: str, *admins: str) -> list[dict[str, Any]]:
    """What a machine of the good site has to let in."""
    return firewall_openings(host, HOSTVARS, GROUPS, good_site()["values"], admins)


def rendered(
    folder: Path,
    host: str,
    *,
    rules: tuple[str, ...] = (),
    admins: tuple[str, ...] = (),
    sshd: str = "port 2222\naddressfamily any\n",
    session: str = "",
    port: int = 22,
) -> str:
    """The table of a machine, as Ansible writes it."""
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars_files": [str(ROLE / "defaults/main.yml"), str(ROLE / "vars/main.yml")],
        "tasks": [
            {
                "ansible.builtin.template": {
                    "src": str(ROLE / "templates/firewall.nft.j2"),
                    "dest": f"{folder}/{host}.nft",
                    "mode": "0600",
                }
            }
        ],
    }
    (folder / "play.yml").write_text(json.dumps([play]))
    told = {
        "firewall_openings": opened(host, *admins),
        "firewall_admin_networks": list(admins),
        "firewall_extra_rules": list(rules),
        "ansible_python_interpreter": sys.executable,
        "firewall_ssh_port": port,
        "__firewall_sshd": {"stdout": sshd},
        "__firewall_connection": {"stdout": session},
    }
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("ansible-playbook")),
            *("-i", "localhost,", "play.yml", "-e", json.dumps(told)),
        ],
        cwd=folder,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return (folder / f"{host}.nft").read_text()


def test_openings_of_a_head() -> None:
    """Of the controller nothing is known unless the site says who it is."""
    told = {(entry["protocol"], tuple(entry["ports"])): entry["sources"] for entry in opened("head1")}
    assert told["tcp", (7946,)] == told["udp", (7946,)] == ["192.0.2.21", "192.0.2.22"]
    assert told["tcp", (30585,)] == ["192.0.2.31"]
    assert [] in [entry["sources"] for entry in opened("head1") if 6443 in entry["ports"]]
    known = [entry["sources"] for entry in opened("head1", "198.51.100.0/24") if 6443 in entry["ports"]]
    assert ["192.0.2.21", "192.0.2.22", "198.51.100.0/24"] in known
    assert ["10.244.0.0/16"] in known


def test_openings_know_every_address_of_a_machine() -> None:
    facts = {"all_ipv4_addresses": ["192.0.2.21", "10.9.0.21"], "interfaces": []}
    told = firewall_openings(
        "head1",
        {**HOSTVARS, "worker1": {"ansible_facts": facts}},
        GROUPS,
        good_site()["values"],
        ["192.0.2.9"],
    )
    assert ["10.9.0.21", "192.0.2.21", "192.0.2.22"] in [entry["sources"] for entry in told]


@pytest.fixture(scope="module")
def machines() -> Iterator[WalledSite]:
    site = WalledSite()
    try:
        site.open()
        yield site
    finally:
        site.close()


@pytest.mark.skipif(bool(REASON), reason=REASON or "can be run")
def test_a_site_that_is_closed_works(machines: WalledSite, tmp_path: Path) -> None:
    """Every machine has it, preflight finds nothing, and what the site does not need is dropped."""
    rules = ("ip saddr 192.0.2.31 tcp dport 9100 accept",)
    for name in MACHINES:
        text = rendered(tmp_path, name, rules=rules, admins=("198.51.100.9", "2001:db8::/32"))
        for _ in range(2):  # loaded again, it is in place of itself
            machines.execute(name, "/usr/sbin/nft", "-f", "-", text=text)
    table = machines.execute("head1", "/usr/sbin/nft", "list", "table", "inet", "ironbinder_firewall")
    assert table.count("tcp dport 9100") == 1
    assert "ip saddr 198.51.100.9 tcp dport { 22, 2222 } accept" in table
    assert "ip6 saddr 2001:db8::/32 tcp dport { 22, 2222 } accept" in table
    data = good_site()
    data["values"]["site_firewall_enabled"] = True
    assert check_site(look(machines, data)).findings == ()
    assert all(entry["probe"]["firewall"]["own"] for entry in data["hosts"].values())
    # A listener is reached by whom it is for, and by nobody else.
    for port, who in ((9100, "proxy1"), (10255, "")):
        command = [
            "ip",
            "netns",
            "exec",
            machines.name("worker1"),
            sys.executable,
            "-m",
            "http.server",
            str(port),
        ]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
        try:
            deadline = time.monotonic() + 60
            while not machines.reaches("worker1", "127.0.0.1", port) and time.monotonic() < deadline:
                pass
            reached = [
                name for name in ("head1", "proxy1") if machines.reaches(name, MACHINES["worker1"], port)
            ]
            assert reached == [who] * bool(who)
        finally:
            server.terminate()
            server.wait(60)


def test_without_admins_ssh_is_everybodys(tmp_path: Path) -> None:
    lines = [line.strip() for line in rendered(tmp_path, "worker1").splitlines()]
    assert "tcp dport { 22, 2222 } accept" in lines


def came_from(
    folder: Path, monkeypatch: pytest.MonkeyPatch, session: str, *networks: str
) -> subprocess.CompletedProcess[str]:
    """Run what looks after admins, in a session of which sshd says this."""
    monkeypatch.setenv("SSH_CONNECTION", session)
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars_files": [str(ROLE / "defaults/main.yml"), str(ROLE / "vars/main.yml")],
        "tasks": [{"ansible.builtin.import_tasks": str(ROLE / "tasks/admins.yml")}],
    }
    told = {"firewall_admin_networks": networks, "ansible_python_interpreter": sys.executable}
    return ansible(folder, [play], "-e", json.dumps(told))


@pytest.mark.parametrize(
    ("session", "networks", "let_in"),
    [
        ("192.0.2.9 50022 192.0.2.11 22", ["198.51.100.0/24", "192.0.2.9"], True),
        ("fe80::1%eth0 50022 fe80::2%eth0 22", ["192.0.2.9", "fe80::/10"], True),
        ("203.0.113.7 50022 192.0.2.11 22", [], True),
        ("203.0.113.7 50022 192.0.2.11 22", ["198.51.100.0/24", "192.0.2.9"], False),
        ("2001:db8::1 50022 2001:db8::2 22", ["192.0.2.0/24"], False),
    ],
)
def test_nobody_locks_themselves_out(
    session: str, networks: list[str], let_in: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A jump host's address, or a typing error: kept connections would hide it until the run is over."""
    done = came_from(tmp_path, monkeypatch, session, *networks)
    assert (done.returncode == 0) is let_in, done.stdout + done.stderr
    told = " ".join((done.stdout + done.stderr).split())
    assert (f"from {session.split(maxsplit=1)[0]}, as that machine sees it" in told) is not let_in


def test_admins_are_asked_for_before_anything_is_loaded() -> None:
    """The refusal says that nothing was loaded."""
    files = [
        task["ansible.builtin.import_tasks"] for task in yaml.safe_load((ROLE / "tasks/main.yml").read_text())
    ]
    assert files.index("admins.yml") < files.index("table.yml")


@pytest.mark.parametrize(
    ("sshd", "session", "ports"),
    [
        ("", "192.0.2.9 50022 192.0.2.11 2200", "2200, 2222"),
        ("port 22\n", "192.0.2.9 50022 192.0.2.11 2200", "22, 2200, 2222"),
        ("port 2200\n", "", "2200, 2222"),
        ("", "", "22, 2222"),
    ],
)
def test_a_forwarded_port_is_not_the_machines(sshd: str, session: str, ports: str, tmp_path: Path) -> None:
    """The controller's 2222 leads to another port, which sshd and this very session name; 22 where neither says any."""
    lines = rendered(tmp_path, "worker1", sshd=sshd, session=session, port=2222).splitlines()
    assert f"tcp dport {{ {ports} }} accept" in [line.strip() for line in lines]
