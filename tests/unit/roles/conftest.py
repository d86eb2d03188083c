# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The configuration of role reverse_proxy, rendered once and run by each test that asks for it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from nginx_machine import start_nginx
from proxy_machine import STAND_IN, Machine, render


def self_signed(folder: Path, name: str) -> Path:
    """Make a self-signed certificate with its key in one file, as the role does."""
    command = (
        f"openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN={name} -keyout key -out certificate"
    )
    names = ["-addext", f"subjectAltName=DNS:{name}"]
    subprocess.run([*command.split(), *names], cwd=folder, check=True, capture_output=True)
    bundle = folder / "bundle.pem"
    bundle.write_text((folder / "certificate").read_text() + (folder / "key").read_text())
    return bundle


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the site's certificate with its key."""
    return self_signed(tmp_path_factory.mktemp("tls"), "hub.example.org")


@pytest.fixture(scope="session")
def own_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return that of a hub with a name of its own."""
    return self_signed(tmp_path_factory.mktemp("own"), "private.example.org")


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory, certificate: Path) -> dict[str, str]:
    """Return the text of every case."""
    return render(tmp_path_factory.mktemp("rendered"), certificate)


@pytest.fixture
def start(
    tmp_path: Path, rendered: dict[str, str], certificate: Path, own_certificate: Path
) -> Iterator[Callable[..., Machine]]:
    """Return a function that runs a case: NGINX in the foreground and one stand-in for every upstream."""
    running: list[subprocess.Popen[str]] = []

    def run(name: str, edit: Callable[[str], str] = lambda text: text) -> Machine:
        machine = Machine(tmp_path, edit(rendered[name]), certificate, own_certificate)
        endpoints = [f"127.0.0.{last}:{port}" for last in (1, 2) for port in machine.upstreams.values()]
        stand_in = subprocess.Popen(
            [sys.executable, STAND_IN, *endpoints],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        running.append(stand_in)
        assert stand_in.stdout is not None
        assert stand_in.stdout.readline().startswith("serving")
        assert machine.test() == ""
        running.append(start_nginx(machine.main, next(iter(machine.ports.values())), tmp_path / "error.log"))
        return machine

    yield run
    for process in reversed(running):
        process.terminate()
        process.wait(60)
        if process.stdout:
            process.stdout.close()
