# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The site's own secrets as canaries: wherever Ansible writes while it runs, none of them may turn up.

The runs are second ones and change nothing. A password with quotes, blanks, umlauts, braces, hashes and
backslashes makes this test sharper; the lab has one.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from canary import Canaries, scan, scan_processes
from live_site import ROOT, Site

from playbooks import answers, play, start_script

testinfra_hosts = ["ansible://head"]

STOP = "/run/ironbinder-canary-stop"
WATCH_SECONDS = 1800
# On the machines: a secret at rest has a file of its owner's alone; logs and temporary files have none.
LOOSE = ["/etc", "/root", "/home", "/opt", "/srv", "/usr/local", "/var/lib", "/run"]
NEVER = ["/tmp", "/var/tmp", "/var/log", "/var/cache", "/root/.ansible"]

RUNS = {
    "run": ["-vvv", "--diff"],
    "check": ["-vvv", "--check", "--diff"],
}


class Secrets(dict[str, str]):
    """Secrets by name. pytest shows what a failing test was given, so this shows names only."""

    def __repr__(self) -> str:
        """Name them."""
        return f"<secrets {', '.join(self)}>"


@pytest.fixture(scope="module")
def secrets(site: Site) -> Secrets:
    """The site's secrets."""
    found = Secrets(site.secrets())
    assert found, "the site has no secrets, so nothing would be looked for"
    return found


@pytest.fixture(scope="module", params=RUNS)
def watched_run(
    request: pytest.FixtureRequest,
    site: Site,
    secrets: Secrets,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Any]]:
    """Run the whole site while every machine's process list is watched; then look through files everywhere."""
    folder = tmp_path_factory.mktemp(request.param)
    began = time.time()
    watching = {"secrets": secrets, "action": "watch", "stop": STOP, "seconds": WATCH_SECONDS}
    remove = "import pathlib; pathlib.Path('%s').unlink(missing_ok=True); print('{}')" % STOP  # noqa: UP031
    make = "import pathlib; pathlib.Path('%s').touch(); print('{}')" % STOP  # noqa: UP031
    (folder / "remove.py").write_text(remove)
    (folder / "make.py").write_text(make)
    answers(start_script(site.inventory, str(folder / "remove.py"), folder / "removed"), folder / "removed")
    watcher = start_script(site.inventory, "canary.py", folder / "watch", watching)
    log = folder / "site.log"
    controller: list[dict[str, str]] = []
    try:
        code = play(site.inventory, ROOT / "site.yml", *RUNS[request.param], log=log)
        controller += scan_processes(Canaries(secrets))
    finally:
        answers(start_script(site.inventory, str(folder / "make.py"), folder / "made"), folder / "made")
        watched = answers(watcher, folder / "watch")
        answers(
            start_script(site.inventory, str(folder / "remove.py"), folder / "removed"), folder / "removed"
        )
    scanning = {"secrets": secrets, "action": "scan", "loose": LOOSE, "never": NEVER}
    scanned = answers(start_script(site.inventory, "canary.py", folder / "scan", scanning), folder / "scan")
    yield {
        "code": code,
        "log": log,
        "watched": watched,
        "scanned": scanned,
        "controller": controller,
        "began": began,
    }


def found(told: dict[str, Any]) -> dict[str, Any]:
    """Hosts on which something was found."""
    return {host: entry["found"] for host, entry in told.items() if entry["found"]}


def test_the_run_succeeds(watched_run: dict[str, Any]) -> None:
    """A run that ends early would have had no chance to tell a secret."""
    assert watched_run["code"] == 0, watched_run["log"].read_text(errors="replace")[-3000:]


def test_the_run_changes_nothing(watched_run: dict[str, Any]) -> None:
    """Neither does a second run change anything, nor does a check announce that one would."""
    recap = watched_run["log"].read_text(errors="replace").rpartition("PLAY RECAP")[2]
    changes = re.findall(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)", recap, re.MULTILINE)
    assert changes
    assert [host for host, count in changes if count != "0"] == []


def test_no_secret_in_the_output(watched_run: dict[str, Any], secrets: Secrets) -> None:
    """Not with -vvv, not in a diff, not in check mode."""
    lines = watched_run["log"].read_bytes().splitlines()
    canaries = Canaries(secrets)
    told = {
        f"line {number}: {', '.join(names)}"
        for number, line in enumerate(lines, 1)
        if (names := canaries.in_bytes(line))
    }
    assert not told


def test_no_secret_among_arguments(watched_run: dict[str, Any]) -> None:
    """No process of any machine ever had a secret as an argument."""
    assert found(watched_run["watched"]) == {}
    assert watched_run["controller"] == []


def test_no_secret_in_loose_files_of_machines(watched_run: dict[str, Any]) -> None:
    """Logs, temporary files and the journal hold none; other files with one are for their owner only."""
    assert found(watched_run["scanned"]) == {}


def test_no_secret_in_loose_files_of_the_controller(
    site: Site, secrets: Secrets, watched_run: dict[str, Any]
) -> None:
    """Ansible's temporary files and caches on this computer, and the site's own folder."""
    home = Path.home() / ".ansible"
    folder = Path(site.inventory).resolve() if site.inventory else ROOT / "inventories" / "lab"
    folder = folder if folder.is_dir() else folder.parent
    assert scan(Canaries(secrets), loose=[str(folder), str(ROOT / "lab")], never=[str(home)]) == []
    assert scan(Canaries(secrets), loose=["/tmp"], never=[], since=watched_run["began"]) == []


def absent(kubectl: Callable[..., Any], secrets: dict[str, str]) -> list[str]:
    """Names of the secrets that the cluster does not have, character by character."""
    held = [
        base64.b64decode(value).decode(errors="replace")
        for item in kubectl("get", "secrets", "--all-namespaces")["items"]
        for value in (item.get("data") or {}).values()
    ]
    texts = list(held)
    for word in '"'.join(held).split('"'):
        # Docker's configuration has user and password in a field of its own.
        try:
            texts.append(base64.b64decode(word, validate=True).decode())
        except ValueError:
            continue
    everything = "\n".join(texts)
    return [
        name
        for name, secret in secrets.items()
        if secret not in everything and json.dumps(secret)[1:-1] not in everything
    ]


def test_secrets_arrive_unchanged(kubectl: Callable[..., Any], secrets: Secrets) -> None:
    """What the inventory says is what the cluster has. A failure tells names only."""
    assert absent(kubectl, secrets) == []
