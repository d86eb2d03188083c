"""How the lab's machines are reached: by name, by an ordinary user, whom sudo asks for a password."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import bcrypt
import yaml

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from lab.login import HARD, make_password

INVENTORY = ROOT / "inventories/lab"


def files(state: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in state.iterdir()}


def test_a_password_is_made_once(tmp_path: Path) -> None:
    """A hash that changed would have the machines made anew."""
    assert make_password(tmp_path)
    made = files(tmp_path)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    password = made["sudo_password"].removesuffix("\n")
    assert password.startswith(HARD) and len(password) >= len(HARD) + 24
    assert bcrypt.checkpw(password.encode(), made["sudo_hash"].strip().encode())
    assert not make_password(tmp_path)
    assert files(tmp_path) == made


def test_a_run_that_was_stopped_between_both_files_is_made_good(tmp_path: Path) -> None:
    make_password(tmp_path)
    before = files(tmp_path)
    (tmp_path / "sudo_hash").unlink()
    assert make_password(tmp_path)
    after = files(tmp_path)
    assert before["sudo_password"] != after["sudo_password"]
    assert bcrypt.checkpw(after["sudo_password"].rstrip("\n").encode(), after["sudo_hash"].strip().encode())


def test_two_labs_have_two_passwords_and_none_is_printed(tmp_path: Path) -> None:
    told = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        run = subprocess.run(
            [sys.executable, ROOT / "lab/login.py", tmp_path / name],
            capture_output=True,
            text=True,
            check=True,
        )
        assert (run.stdout, run.stderr) == ("made\n", "")
        told.append((tmp_path / name / "sudo_password").read_text())
    assert told[0] != told[1]


def test_machines_are_reached_by_names_of_the_labs_domain() -> None:
    """The site's name server has the same, of the machines' own names and its domain."""
    hosts = yaml.safe_load((INVENTORY / "hosts.yml").read_text())["all"]["children"]["machines"]["children"]
    domain = re.search(r"^domain=(\S+)$", (ROOT / "lab/mirror/dnsmasq.conf").read_text(), re.M)
    assert domain
    machines = {name: given for group in hosts.values() for name, given in group["hosts"].items() if given}
    assert {given["ansible_host"] for given in machines.values()} == {
        f"{name}.{domain[1]}" for name in machines
    }
    assert len({given["lab_address"] for given in machines.values()}) == len(machines)


def test_nobody_logs_in_as_root() -> None:
    """Neither does the inventory ask for it, nor does a machine let root in by the key."""
    login = yaml.safe_load((INVENTORY / "group_vars/machines.yml").read_text())
    user = yaml.safe_load((INVENTORY / "group_vars/all/lab.yml").read_text())["lab_user"]
    assert (login["ansible_user"], user != "root") == ("{{ lab_user }}", True)
    assert "sudo_password" in login["ansible_become_password"]
    assert "/root/" not in (ROOT / "lab/node/entrypoint").read_text()
