# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The site's lock, by runs of Ansible that end in every way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.action import site_lock
from controller_runs import BIN, ROOT, play

PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Take the site's lock
      ironbinder.platform.site_lock: {directory: "{{ folder }}", renew_seconds: "{{ renew | default(1) }}"}
      delegate_to: "{{ groups.head | first }}"
      run_once: true
    - name: Be at work
      ansible.builtin.file: {path: "{{ folder }}/at-work", state: touch}
      run_once: true
    - name: Work on
      ansible.builtin.wait_for: {path: "{{ folder }}/go-on", timeout: 600}
      when: waits
    - name: Fail
      ansible.builtin.fail: {msg: as told}
      when: fails

- hosts: all
  gather_facts: false
  tasks:
    - name: Take the site's lock again
      ironbinder.platform.site_lock: {directory: "{{ folder }}", kept: "{{ kept | default(false) }}"}
      delegate_to: "{{ groups.head | first }}"
      run_once: true
"""


class Site:
    """A site whose head is this machine, with a lock in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "head"
        self.folder.mkdir()
        self.said = folder / "said"
        (folder / "hosts").write_text(
            f"[head]\nh1\n[workers]\nw1\n[all:vars]\nansible_connection=local\nansible_python_interpreter={sys.executable}\n"
        )
        self.playbook = folder / "change.yml"
        self.playbook.write_text(PLAYBOOK)
        self.arguments = ["-i", str(folder / "hosts"), str(self.playbook)]
        self.children: list[subprocess.Popen[bytes]] = []

    def words(self, waits: bool = False, fails: bool = False, **more: Any) -> list[str]:
        given = {"folder": str(self.folder), "waits": waits, "fails": fails, **more}
        return [*self.arguments, "-e", json.dumps(given)]

    def run(self, *arguments: str, **wishes: Any) -> subprocess.CompletedProcess[str]:
        return play(*self.words(**wishes), *arguments)

    def start(self, **wishes: Any) -> subprocess.Popen[bytes]:
        """Start a run and return when it has the lock."""
        around = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
        command = [str(BIN / "ansible-playbook"), *self.words(waits=True, **wishes)]
        with self.said.open("wb") as said:
            child = subprocess.Popen(command, env=around, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT)
        self.children.append(child)
        assert soon((self.folder / "at-work").exists)
        return child

    @property
    def lease(self) -> Path:
        return self.folder / "site-lock.json"

    def is_free(self) -> bool:
        return not self.lease.exists()


def soon(question: Callable[[], bool], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while not question():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    (made.folder / "go-on").touch()
    for child in made.children:
        child.wait(120)


@pytest.mark.parametrize("fails", [False, True])
def test_a_run_that_ends_gives_its_lock_back(site: Site, fails: bool) -> None:
    done = site.run(fails=fails)
    assert done.returncode == (2 if fails else 0), done.stdout
    assert (site.folder / "site-lock.judged").exists()
    assert soon(site.is_free)


def test_a_second_run_is_refused_until_the_first_has_ended(site: Site) -> None:
    first = site.start()
    told = json.loads(site.lease.read_text())
    (site.folder / "at-work").unlink()
    second = site.run()
    assert second.returncode == 2
    said = " ".join(second.stdout.split())
    for word in (
        told["who"],
        "change.yml",
        f"process {first.pid}",
        "Nothing was changed",
        f"site_lock_break={told['id']}",
    ):
        assert word in said
    assert not (site.folder / "at-work").exists()
    (site.folder / "go-on").touch()
    assert first.wait(120) == 0
    assert soon(site.is_free)
    assert site.run().returncode == 0


def test_a_killed_run_keeps_nobody_out(site: Site) -> None:
    first = site.start()
    first.kill()
    first.wait(60)
    # Whether its keeper was there first or not.
    assert site.run().returncode == 0
    assert soon(site.is_free)


def test_a_run_killed_with_its_keeper_keeps_nobody_of_this_controller_out(site: Site) -> None:
    first = site.start()
    lease = site.lease.read_text()
    first.kill()
    first.wait(60)
    assert soon(site.is_free)
    # As it lies there when nobody was left to give it back.
    site.lease.write_text(lease)
    assert site.run().returncode == 0


def test_the_lock_of_another_controller_is_kept_and_can_be_broken(site: Site) -> None:
    told = {
        "id": "aaaa1111",
        "who": "bob@elsewhere",
        "what": "upgrade.yml",
        "controller": "elsewhere",
        "pid": 1,
        "since": 1.8e9,
    }
    site.lease.write_text(json.dumps(told))
    refused = site.run()
    assert refused.returncode == 2 and "bob@elsewhere" in refused.stdout
    wrong = site.run(site_lock_break="bbbb2222")
    assert wrong.returncode == 2 and "which is not this lock" in " ".join(wrong.stdout.split())
    assert json.loads(site.lease.read_text())["id"] == "aaaa1111"
    assert site.run(site_lock_break="aaaa1111").returncode == 0
    assert soon(site.is_free)


def test_a_lock_of_which_nothing_was_heard_has_lapsed(site: Site) -> None:
    site.lease.write_text(json.dumps({"id": "aaaa1111", "controller": "elsewhere"}))
    long_ago = time.time() - 200
    os.utime(site.lease, (long_ago, long_ago))
    assert site.run().returncode == 0


def test_a_check_takes_no_lock_and_none_keeps_it_out(site: Site) -> None:
    site.lease.write_text(json.dumps({"id": "aaaa1111", "controller": "elsewhere"}))
    done = site.run("--check")
    assert done.returncode == 0, done.stdout
    assert json.loads(site.lease.read_text())["id"] == "aaaa1111"
    assert sorted(path.name for path in site.folder.iterdir()) == ["site-lock.json"]


def test_a_lock_that_was_broken_is_found_lost_by_the_next_play(site: Site) -> None:
    """The keeper of the first run finds another's id, and the run's second play asks anew."""
    first = site.start()
    site.lease.write_text(json.dumps({"id": "aaaa1111", "who": "bob@elsewhere", "controller": "elsewhere"}))
    # Two renewals.
    time.sleep(3.5)
    (site.folder / "go-on").touch()
    assert first.wait(120) == 2
    assert json.loads(site.lease.read_text())["id"] == "aaaa1111"


@pytest.mark.parametrize(
    ("lease", "code", "words"),
    [
        ("ours", 0, "h1 : ok=4"),
        ("theirs", 2, "bob@elsewhere is changing this site"),
        (
            "theirs",
            2,
            "This run had the lock and has lost it: what it has changed stays, and it goes no further",
        ),
        ("gone", 2, "Somebody else has had the site's lock since this run took it, and has given it back"),
    ],
)
def test_who_has_to_have_kept_it_asks_the_head(site: Site, lease: str, code: int, words: str) -> None:
    """A controller that slept takes its lock for its own until its keeper has asked; the next node is not emptied meanwhile."""
    first = site.start(renew=600, kept=True)
    if lease == "theirs":
        site.lease.write_text(
            json.dumps({"id": "aaaa1111", "who": "bob@elsewhere", "controller": "elsewhere"})
        )
    elif lease == "gone":
        site.lease.unlink()
    (site.folder / "go-on").touch()
    assert first.wait(120) == code, site.said.read_text()
    said = " ".join(site.said.read_text().split())
    assert words in said and "Nothing was changed" not in said
    if lease == "theirs":
        assert json.loads(site.lease.read_text())["id"] == "aaaa1111"
    else:
        assert soon(site.is_free)


def test_a_head_that_cannot_be_reached_is_a_warning(site: Site) -> None:
    hosts = site.folder.parent / "hosts"
    hosts.write_text(
        hosts.read_text().replace("h1\n", "h1 ansible_connection=ssh ansible_host=127.0.0.1 ansible_port=1\n")
    )
    done = site.run("--limit", "w1")
    assert done.returncode == 0, done.stdout
    assert "h1 cannot be asked for the site's lock" in " ".join((done.stdout + done.stderr).split())


def test_the_refusal_without_words() -> None:
    said = site_lock.refusal("h1", {"id": "x"}, "")
    assert "somebody is changing this site" in said and "-e site_lock_break=x" in said
