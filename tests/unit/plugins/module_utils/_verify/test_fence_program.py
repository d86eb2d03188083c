# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The program against real sockets: what answers, what only shakes hands, what refuses and what is silent."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._verify import fence_program as program
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_manifest import program_text
from certificate_files import make_certificate
from free_ports import free_port

# For what does not come; for what comes, however busy the machine is; and for what comes after a quarter of it.
SECONDS, PATIENT, MIDDLE = 0.6, 60.0, 8.0
NETWORKS = os.geteuid() == 0 and all(shutil.which(name) for name in ("ip", "nft"))


@pytest.fixture
def listen() -> Iterator[Callable[..., int]]:
    """Return a function that serves a connection by the given function, on a free port, and returns the port."""
    with ExitStack() as stack:

        def start(serve: Callable[[socket.socket], Any], address: str = "127.0.0.1") -> int:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            server = stack.enter_context(socket.create_server((address, 0), family=family))

            def loop() -> None:
                while True:
                    try:
                        connection, _ = server.accept()
                    except OSError:
                        return
                    threading.Thread(target=serve, args=[connection], daemon=True).start()

            threading.Thread(target=loop, daemon=True).start()
            return int(server.getsockname()[1])

        yield start


def tried(port: int, address: str = "127.0.0.1", seconds: float = PATIENT, **more: Any) -> str:
    """Try one target and return the outcome."""
    [found] = program.try_all([{"name": "x", "address": address, "port": port, **more}], seconds).values()
    return found[0]


def says(text: bytes) -> Callable[[socket.socket], None]:
    """Speak first, as SSH and mail do."""
    return lambda connection: connection.sendall(text)


def asked(text: bytes) -> Callable[[socket.socket], None]:
    """Speak when spoken to, as HTTP does."""

    def serve(connection: socket.socket) -> None:
        if connection.recv(100):
            connection.sendall(text)

    return serve


@pytest.mark.parametrize(
    ("serve", "more", "outcome"),
    [
        (says(b"SSH-2.0-x\r\n"), {}, "answered"),
        (says(b"SSH-2.0-x\r\n"), {"talk": "banner"}, "answered"),
        (asked(b"HTTP/1.0 404 x\r\n"), {}, "answered"),
        (asked(b"HTTP/1.0 404 x\r\n"), {"talk": "http"}, "answered"),
        (asked(b"HTTP/1.0 404 x\r\n"), {"talk": "banner"}, "connected"),
        (asked(b"ten 80 tcp from me"), {"says": "ten 80 tcp"}, "answered"),
        (asked(b"somebody else"), {"says": "ten 80 tcp"}, "connected"),
        # A gateway that shakes hands for others, and then has nothing to say.
        (lambda connection: connection.recv(100), {}, "connected"),
        (lambda connection: connection.close(), {}, "connected"),
        (lambda connection: connection.recv(100) and connection.recv(100), {"talk": "tls"}, "connected"),
    ],
)
def test_tcp(listen: Callable[..., int], serve: Any, more: dict[str, Any], outcome: str) -> None:
    patience = PATIENT if "talk" in more else MIDDLE
    seconds = patience if outcome == "answered" else SECONDS
    assert tried(listen(serve), seconds=seconds, **more) == outcome


@pytest.mark.parametrize("talk", ["tls", "any"])
def test_a_server_of_tls_answers(listen: Callable[..., int], tmp_path: Path, talk: str) -> None:
    bundle = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle.with_name("both.pem"))

    def serve(connection: socket.socket) -> None:
        try:
            context.wrap_socket(connection, server_side=True)
        except OSError:
            connection.close()

    assert tried(listen(serve), talk=talk, seconds=MIDDLE) == "answered"


def test_ipv6(listen: Callable[..., int]) -> None:
    assert tried(listen(says(b"x"), "::1"), "::1") == "answered"


@pytest.mark.parametrize("stays", [True, False])
def test_it_stays_where_that_is_wanted(stays: bool) -> None:
    """For whoever would delete what has ended."""
    argv = [sys.executable, "-c", program_text(), json.dumps({"targets": [], "stay": stays})]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as probe:
        try:
            assert probe.stdout
            assert probe.stdout.readline().startswith(program.MARK)
            if stays:
                with pytest.raises(subprocess.TimeoutExpired):
                    probe.wait(1)
            else:
                assert probe.wait(60) == 0
        finally:
            probe.kill()


def test_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert tried(port) == "refused"


def test_dropped_packets_are_silent() -> None:
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        place = server.getsockname()
        # Nobody accepts, and the queue is full with one.
        stack.enter_context(socket.create_connection(place))
        assert tried(place[1], seconds=SECONDS) == "silent"


def udp_server(answer: Callable[[bytes], bytes]) -> socket.socket:
    """Answer datagrams; b"" is no answer."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                data, peer = server.recvfrom(1500)
            except OSError:
                return
            if answer(data):
                with suppress(OSError):
                    server.sendto(answer(data), peer)

    threading.Thread(target=serve, daemon=True).start()
    return server


@pytest.mark.parametrize(
    ("answer", "more", "outcome"),
    [
        (lambda data: data, {"protocol": "udp"}, "answered"),
        (lambda data: data, {"protocol": "udp", "says": "iron"}, "answered"),
        (lambda data: data, {"protocol": "udp", "says": "gold"}, "connected"),
        (lambda data: b"", {"protocol": "udp"}, "silent"),
        (
            lambda data: data[:2] + b"\x81\x83" + data[4:],
            {"protocol": "dns", "query": "a.example"},
            "answered",
        ),
        # An answer to somebody else's question.
        (lambda data: b"zz" + data[2:], {"protocol": "dns"}, "silent"),
    ],
)
def test_udp(answer: Callable[[bytes], bytes], more: dict[str, Any], outcome: str) -> None:
    with udp_server(answer) as server:
        seconds = SECONDS if outcome == "silent" else PATIENT
        assert tried(server.getsockname()[1], seconds=seconds, **more) == outcome


def test_a_closed_udp_port_is_refused() -> None:
    assert tried(free_port(), protocol="udp") == "refused"


def test_dns_by_tcp(listen: Callable[..., int]) -> None:
    def serve(connection: socket.socket) -> None:
        data = connection.recv(500)
        if int.from_bytes(data[:2], "big") == len(data) - 2 and b"\x01a\x07example\x00" in data:
            connection.sendall(data)

    assert tried(listen(serve), talk="dns", query="a.example") == "answered"
    assert tried(listen(serve), talk="dns", query="b.example", seconds=SECONDS) == "connected"


def test_a_name_that_is_none() -> None:
    assert tried(80, "nowhere.invalid") == "unresolved"


def test_what_is_needed_is_tried_again(listen: Callable[..., int]) -> None:
    seen: list[int] = []

    def serve(connection: socket.socket) -> None:
        seen.append(1)
        if len(seen) > 1:
            connection.sendall(b"now")
        connection.close()

    port = listen(serve)
    assert tried(port, talk="banner") == "connected"
    seen.clear()
    assert tried(port, talk="banner", tries=2) == "answered"


def test_many_targets_take_as_long_as_one(listen: Callable[..., int]) -> None:
    """None is answered before as many are there as are tried at the same time."""
    there: list[socket.socket] = []
    together = threading.Event()

    def serve(connection: socket.socket) -> None:
        there.append(connection)
        if len(there) >= program.WORKERS:
            together.set()
        if together.wait(60):
            connection.sendall(b"x")

    port = listen(serve)
    targets = [{"name": str(number), "address": "127.0.0.1", "port": port} for number in range(200)]
    # Whoever is not spoken to first goes away after a quarter of the time, and comes once more.
    assert {found[0] for found in program.try_all(targets, PATIENT * 4).values()} == {"answered"}
    assert len(there) == 200


def run(argument: Any, *before: str) -> Any:
    """Run the program as a pod does, and return what it reports."""
    argv = [*before, sys.executable, "-c", program_text(), json.dumps(argument)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120)
    [line] = [line for line in done.stdout.splitlines() if line.startswith(program.MARK)]
    return json.loads(line.removeprefix(program.MARK))


def test_the_text_alone_is_the_program(listen: Callable[..., int]) -> None:
    port = listen(says(b"x"))
    told = run({"targets": [{"name": "one", "address": "127.0.0.1", "port": port}], "seconds": PATIENT})
    assert told["results"] == {"one": ["answered", "b'x'"]}


def test_no_builder_takes_the_text_for_something_else() -> None:
    # BuildKit reads `<<` in a RUN line as a here-document, and a mark in the text as its output.
    assert "<<" not in program_text()
    assert program.MARK not in program_text()
    assert len(json.dumps(program_text())) < 16000, "a line of a Dockerfile may have 64 KiB, with the targets"


def test_the_listener_answers_all_ways() -> None:
    port = free_port()
    argv = [sys.executable, "-c", program_text(), json.dumps({"listen": port})]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as listener:
        assert listener.stdout is not None
        assert listener.stdout.readline().startswith(program.MARK)
        found = [
            tried(port, seconds=MIDDLE),
            tried(port, protocol="udp"),
            tried(port, "::1", seconds=MIDDLE),
            tried(port, "::1", protocol="udp"),
        ]
        listener.kill()
    assert found == ["answered"] * 4


# Two network namespaces and a cable: one answers, and has a fence in front.
FENCE = """
add table inet fence
add chain inet fence in { type filter hook input priority 0; }
add rule inet fence in tcp dport 1 drop
add rule inet fence in tcp dport 2 reject with icmpx admin-prohibited
add rule inet fence in tcp dport 3 reject with tcp reset
add rule inet fence in udp dport 4 drop
add rule inet fence in udp dport 5 reject with icmpx admin-prohibited
"""


@pytest.fixture
def before_a_fence() -> Iterator[list[str]]:
    """Return the beginning of a command that runs outside of a fence; 10.255.77.1 behind it answers at ports 1 to 6."""
    if not NETWORKS:
        pytest.skip("needs root, ip and nft")
    names = [f"ib-matrix-{os.getpid()}-{side}" for side in ("a", "b")]
    inside = [["ip", "netns", "exec", name] for name in names]

    def call(*argv: str, text: str = "") -> None:
        subprocess.run(argv, check=True, input=text, text=True)

    listeners = []
    try:
        for name in names:
            call("ip", "netns", "add", name)
        call(
            "ip",
            "link",
            "add",
            "v0",
            "netns",
            names[0],
            "type",
            "veth",
            "peer",
            "name",
            "v1",
            "netns",
            names[1],
        )
        for number, command in enumerate(inside):
            call(*command, "ip", "address", "add", f"10.255.77.{number + 1}/24", "dev", f"v{number}")
            call(*command, "ip", "link", "set", f"v{number}", "up")
            call(*command, "ip", "link", "set", "lo", "up")
        call(*inside[1], "ip", "route", "add", "default", "via", "10.255.77.1")
        call(*inside[0], "nft", "-f", "-", text=FENCE)
        for port in range(1, 7):
            argv = [*inside[0], sys.executable, "-c", program_text(), json.dumps({"listen": port})]
            listeners.append(subprocess.Popen(argv, stdout=subprocess.PIPE, text=True))
        for listener in listeners:
            assert listener.stdout is not None
            assert listener.stdout.readline()
        # Its listener has seen an address of IPv6 by now; this side's comes a moment later.
        ends = time.monotonic() + 60
        while not run({"targets": []}, *inside[1])["ipv6"]:
            assert time.monotonic() < ends, "this side has no address of IPv6"
        yield inside[1]
    finally:
        for listener in listeners:
            listener.kill()
            listener.communicate()
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], check=False)


def test_what_a_fence_does_is_seen(before_a_fence: list[str]) -> None:
    place = {"address": "10.255.77.1"}
    targets = [
        {"name": "dropped", "port": 1, **place},
        {"name": "prohibited", "port": 2, **place},
        {"name": "reset", "port": 3, **place},
        {"name": "dropped datagram", "port": 4, "protocol": "udp", **place},
        {"name": "prohibited datagram", "port": 5, "protocol": "udp", **place},
        {"name": "let through", "port": 6, **place},
        {"name": "datagram let through", "port": 6, "protocol": "udp", **place},
        {"name": "gateway", "port": 6, "address": "gateway"},
        {"name": "no IPv6", "port": 6, "address": "2001:db8::1"},
    ]
    told = run({"targets": targets, "seconds": MIDDLE}, *before_a_fence)
    assert {name: found[0] for name, found in told["results"].items()} == {
        "dropped": "silent",
        "prohibited": "unreachable",
        "reset": "refused",
        "dropped datagram": "silent",
        "prohibited datagram": "unreachable",
        "let through": "answered",
        "datagram let through": "answered",
        "gateway": "answered",
        "no IPv6": "no_ipv6",
    }
    assert [address for address in told["ipv6"] if address.startswith("fe80:")]


def test_a_link_local_address_is_found_behind_its_interface(before_a_fence: list[str]) -> None:
    other = run({"targets": []}, *before_a_fence[:3], before_a_fence[3][:-1] + "a")
    [address] = other["ipv6"]
    told = run(
        {"targets": [{"name": "x", "address": address, "port": 6}], "seconds": MIDDLE}, *before_a_fence
    )
    assert told["results"]["x"][0] == "answered"
