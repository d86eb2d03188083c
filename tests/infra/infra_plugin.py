# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Tests of a live site: `pytest tests/infra --ansible-inventory=inventories/<site>`.

They ask running things and leave them as they are, but for an image pulled, a build that fails, and what is killed on request.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from become import use_passwords
from live_site import Site, read_site, write_inventory
from web import Client

SITE = pytest.StashKey[Site]()
FOLDER = pytest.StashKey["tempfile.TemporaryDirectory[str]"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what no inventory says."""
    parser.addoption(
        "--failing-spec",
        metavar="PROVIDER/SPEC",
        help="repository whose build fails, as in a Binder link: git/https%%3A%%2F%%2Fgit.example.org%%2Fbroken.git/main",
    )
    parser.addoption(
        "--capacity-image",
        metavar="IMAGE",
        help="image with sh, head and tail, to start as many sessions from as `make capacity` counts",
    )
    parser.addoption(
        "--change-log",
        metavar="FILE",
        type=Path,
        help="what the callback change_log wrote of a check and of the run after it, both of the whole site",
    )
    parser.addoption(
        "--long",
        action="store_true",
        help="run the whole site again where a part of it tells nearly as much",
    )
    parser.addoption(
        "--interrupt-services",
        action="store_true",
        help="kill services that have to come back, which interrupts people for some seconds",
    )
    parser.addoption(
        "--browser",
        metavar="PROGRAM",
        help="Chromium, to open the hubs as people do; certutil puts the site's CAs where it looks for them",
    )
    parser.addoption(
        "--screenshots",
        metavar="FOLDER",
        type=Path,
        help="where pictures of the browser go, for the documentation",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Read the site before testinfra looks for its hosts."""
    if config.option.help:
        return
    config.stash[FOLDER] = tempfile.TemporaryDirectory(prefix="ironbinder-infra-")
    folder = Path(config.stash[FOLDER].name)
    try:
        site = read_site(config.option.ansible_inventory, folder)
    except RuntimeError as error:
        raise pytest.UsageError(str(error)) from error
    config.stash[SITE] = site
    config.option.ansible_inventory = str(folder / "inventory.yml")
    # testinfra calls ansible-inventory by its name, wherever pytest was called from.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    write_inventory(site, Path(config.option.ansible_inventory))
    use_passwords(site.sudo_passwords())


def pytest_unconfigure(config: pytest.Config) -> None:
    """Forget the site, which includes its secrets."""
    if FOLDER in config.stash:
        config.stash[FOLDER].cleanup()


@pytest.fixture(scope="session")
def site(request: pytest.FixtureRequest) -> Site:
    """Return the site under test."""
    return request.config.stash[SITE]


@pytest.fixture(scope="session")
def client(site: Site) -> Client:
    """Return a client that trusts the site's CAs."""
    return Client(ca_files=tuple(site.contract["site_ca_files"]))


@pytest.fixture(scope="module")
def kubectl(host: Any) -> Callable[..., Any]:
    """Return a function that runs kubectl on the tested host, a head, and reads its JSON."""

    def run(*arguments: str, output: str = "json") -> Any:
        command = ["kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", *arguments]
        if output:
            command += ["--output", output]
        text = host.check_output(" ".join(["%s"] * len(command)), *command)
        return json.loads(text) if output == "json" else text

    return run


@pytest.fixture(scope="session")
def eventually() -> Callable[..., Any]:
    """Return a function that asks until the answer is empty, for what may be busy at first, and returns the last answer."""

    def ask(question: Callable[[], Any], seconds: float = 90, pause: float = 2) -> Any:
        deadline = time.monotonic() + seconds
        while True:
            answer = question()
            if not answer or time.monotonic() > deadline:
                return answer
            time.sleep(pause)

    return ask
