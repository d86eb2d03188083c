# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ports that answer for a while, and those who try them: real processes and real sockets on this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._net import knock as _knock
from ansible_collections.ironbinder.platform.plugins.module_utils._net import listeners as _listeners
from ansible_collections.ironbinder.platform.plugins.module_utils._net.knock import knock
from ansible_collections.ironbinder.platform.plugins.module_utils._net.listeners import (
    GREETING,
    end_listeners,
    open_listeners,
)
from free_ports import free_port

ROOT = Path(__file__).parents[5]
HANDLE = f"\0ironbinder-ports-test-{os.getpid()}"
TOKEN = "4b1d"
# For listeners that have another reason to end.
LONG = 600
AS_IT_IS = {"linger": _listeners.LINGER_SECONDS, "again": _knock.UDP_SECONDS}


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave no listener behind, and no process that nobody has waited for. A busy machine may take its time."""
    monkeypatch.setattr(_knock, "ANSWER_SECONDS", 60.0)
    monkeypatch.setattr(_knock, "UDP_SECONDS", 20.0)
    monkeypatch.setattr(_listeners, "END_SECONDS", 60.0)
    yield
    end_listeners(HANDLE)
    with suppress(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def wanted(protocol: str, port: int, *expected: str) -> dict[str, Any]:
    return {"protocol": protocol, "port": port, "expected": list(expected)}


def attempt(protocol: str, port: int, token: str = TOKEN) -> dict[str, Any]:
    return {"target": "b", "address": "127.0.0.1", "protocol": protocol, "port": port, "token": token}


def states(name: str, *tried: dict[str, Any]) -> list[str]:
    return [told["state"] for told in knock(name, tried)]


def ended(port: int, seconds: float) -> bool:
    """Whether a port is free again within some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if states("nobody", attempt("tcp", port, "")) == ["refused"]:
            return True
        time.sleep(0.05)
    return False


def test_they_prove_themselves_and_end_when_all_have_called() -> None:
    tcp, udp = free_port(), free_port()
    told = open_listeners([wanted("tcp", tcp, "a", "c"), wanted("udp", udp, "a")], TOKEN, LONG, HANDLE)
    assert told == {"opened": [f"tcp {tcp}", f"udp {udp}"], "held": [], "failed": [], "token": TOKEN}
    [first, second] = knock("a", [attempt("tcp", tcp), attempt("udp", udp)])
    assert first == {
        "target": "b",
        "address": "127.0.0.1",
        "protocol": "tcp",
        "port": tcp,
        "proved": True,
        "source": "127.0.0.1",
        "state": "answered",
    }
    assert second["state"] == "answered"
    assert not ended(tcp, 1.2), "it waits for c"
    assert states("c", attempt("tcp", tcp)) == ["answered"]
    assert ended(tcp, 60)


def test_udp_answers_from_the_address_that_was_asked() -> None:
    """A machine with several would take the one it likes best, and the caller, or a firewall between, drops that."""
    port = free_port()
    open_listeners([wanted("udp", port, "a")], TOKEN, LONG, HANDLE)
    for address in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
        assert states("b", {**attempt("udp", port), "address": address}) == ["answered"]


def test_who_lost_an_answer_by_udp_finds_them_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last one is counted when it asks, and may have to ask once more."""
    assert AS_IT_IS["linger"] > AS_IT_IS["again"] * (_knock.UDP_TRIES - 1)
    # The same with more room, for a machine that is busy.
    monkeypatch.setattr(_listeners, "LINGER_SECONDS", 60.0)
    port = free_port()
    open_listeners([wanted("udp", port, "a")], TOKEN, LONG, HANDLE)
    assert states("a", attempt("udp", port)) == ["answered"]
    time.sleep(AS_IT_IS["again"] * (_knock.UDP_TRIES - 1))
    assert states("a", attempt("udp", port)) == ["answered"]


def test_they_end_at_their_deadline() -> None:
    port = free_port()
    begun = time.monotonic()
    assert open_listeners([wanted("tcp", port, "a")], TOKEN, 1, HANDLE)["opened"] == [f"tcp {port}"]
    assert ended(port, 60)
    assert time.monotonic() - begun >= 1, "not before it"


def test_a_caller_that_says_nothing_keeps_nobody() -> None:
    port = free_port()
    open_listeners([wanted("tcp", port, "a")], TOKEN, LONG, HANDLE)
    with socket.create_connection(("127.0.0.1", port)):
        assert states("a", attempt("tcp", port)) == ["answered"]
        assert ended(port, 60)


def test_the_next_probe_ends_them_and_has_the_port_at_once() -> None:
    port = free_port()
    open_listeners([wanted("tcp", port, "a")], TOKEN, LONG, HANDLE)
    assert open_listeners([wanted("tcp", port, "a")], "next", LONG, HANDLE + "-2")["held"] == [f"tcp {port}"]
    for token in ("second", "third"):
        assert end_listeners(HANDLE)
        told = open_listeners([wanted("tcp", port, "a")], token, LONG, HANDLE)
        assert told["opened"] == [f"tcp {port}"]
    assert states("z", attempt("tcp", port, "third")) == ["answered"]
    assert end_listeners(HANDLE)
    assert not end_listeners(HANDLE)


def test_many_ports_and_the_handle_are_free_before_who_ends_them_goes_on() -> None:
    """In a program of its own, as a module is: how the kernel ends a process depends on what files it has."""
    entries = [wanted(name, free_port(), "a") for name in ("tcp", "udp") for _ in range(3)]
    program = (
        "from ansible_collections.ironbinder.platform.plugins.module_utils._net import listeners\n"
        "listeners.END_SECONDS = 60.0\n"
        "for turn in range(60):\n"
        f"    told = listeners.open_listeners({entries!r}, 't', {LONG}, {HANDLE!r})\n"
        f"    assert not told['held'] + told['failed'] and listeners.end_listeners({HANDLE!r}), (turn, told)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT / "collections")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_who_called_the_probe_does_not_wait_for_them() -> None:
    """SSH ends a session when nobody holds its pipes any more."""
    port = free_port()
    program = (
        "from ansible_collections.ironbinder.platform.plugins.module_utils._net.listeners import open_listeners\n"
        f"print(open_listeners([{wanted('tcp', port, 'a')!r}], 't', {LONG}, {HANDLE!r})['opened'])"
    )
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT / "collections")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert time.monotonic() - begun < LONG / 2
    assert done.stdout == f"['tcp {port}']\n"
    assert states("z", attempt("tcp", port, "t")) == ["answered"]
    nobody = "65534" if os.geteuid() == 0 else str(os.geteuid())
    [status] = [(path / "status").read_text() for path in holding(port)]
    assert "Name:\tironbinder-port\n" in status
    assert f"Uid:\t{nobody}\t{nobody}" in status


def holding(port: int) -> Iterator[Path]:
    """The processes that listen on a port: others of that name are of other tests, or of a lab on this computer."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    [inode] = [row[9] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "0A"]
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            if f"socket:[{inode}]" in {str(entry.readlink()) for entry in (path / "fd").iterdir()}:
                yield path


def test_what_cannot_be_opened() -> None:
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        own.listen()
        held = own.getsockname()[1]
        told = open_listeners([wanted("tcp", held, "a"), wanted("tcp", 70000, "a")], TOKEN, LONG, HANDLE)
    assert told == {"opened": [], "held": [f"tcp {held}"], "failed": ["tcp 70000"], "token": ""}


def test_who_answers_in_its_place_proves_nothing() -> None:
    """As a gateway that takes connections to whatever address; and whoever replays the greeting."""
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        own.listen()
        port = own.getsockname()[1]

        def replay() -> None:
            for _ in range(2):
                connection, _ = own.accept()
                with connection:
                    connection.settimeout(60)
                    connection.sendall(connection.recv(200) or b"")

        thread = threading.Thread(target=replay, daemon=True)
        thread.start()
        assert states("a", attempt("tcp", port)) == ["connected"]
        assert states("a", attempt("tcp", port, "")) == ["connected"]
        thread.join(60)


def test_odd_attempts_are_told() -> None:
    odd = [{**attempt("tcp", 80), "address": address} for address in ("no address", "a\0b")]
    assert all(state.startswith("other") for state in states("a", *odd))
    assert states("a", {**attempt("tcp", 1), "port": 70000})[0].startswith("other")
    assert states("a", attempt("udp", free_port())) == ["refused"]
    assert knock("a", []) == []


def test_a_stranger_gets_no_answer() -> None:
    port = free_port()
    open_listeners([wanted("tcp", port, "a")], TOKEN, LONG, HANDLE)
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert sock.recv(100) == b""
    assert states("a", attempt("tcp", port)) == ["answered"], GREETING
