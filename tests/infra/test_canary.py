# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The site's own secrets as canaries: wherever Ansible writes while it runs, none of them may turn up.

The runs are second ones, or checks. A password with quotes, blanks, umlauts, braces, hashes and
backslashes makes this test sharper; the lab has one.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from canary import Canaries, scan
from live_site import ROOT, Site
from watched import RUNS, Secrets

testinfra_hosts = ["ansible://head"]


@pytest.fixture(scope="module", params=RUNS)
def watched_run(request: pytest.FixtureRequest, watched: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """What happened in one run, and what was found on every machine meanwhile and afterwards."""
    if RUNS[request.param].long and not request.config.getoption("--long"):
        pytest.skip("--long runs the whole site for this")
    return {"expected": RUNS[request.param], **watched(request.param)}


def found(told: dict[str, Any]) -> dict[str, Any]:
    """Hosts on which something was found."""
    return {host: entry["found"] for host, entry in told.items() if entry["found"]}


def test_the_run_succeeds(watched_run: dict[str, Any]) -> None:
    """A run that ends early would have had no chance to tell a secret."""
    assert watched_run["code"] == 0, watched_run["log"].read_text(errors="replace")[-3000:]


def test_the_run_changes_nothing(watched_run: dict[str, Any]) -> None:
    """Neither does a second run change anything, nor does a check announce that one would."""
    if watched_run["expected"].wishes:
        pytest.skip("this run was told to announce changes")
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
    # Passwords of people who log in to machines are nothing that the cluster knows.
    of_the_site = {name: secret for name, secret in secrets.items() if name.startswith("site_")}
    assert len(of_the_site) >= 4
    assert absent(kubectl, of_the_site) == []
