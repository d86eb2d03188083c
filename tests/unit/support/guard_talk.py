# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Listens, or tries to reach listeners, inside a network namespace. Run as a program: `listen` or `try`, JSON on its input."""

from __future__ import annotations

import json
import selectors
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
# The kernel itself shakes hands, and everything is on this computer: whoever has not by then is not let through.
HANDS_SECONDS = 0.6
# A program has to answer, and may wait for its turn. Most of what is not let through by UDP is refused at once.
ANSWER_SECONDS = {"tcp": 60.0, "udp": 5.0}


def _socket(kind: str, address: str) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, KINDS[kind])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return made


def listen(places: list[tuple[str, str, int]]) -> None:
    """Answer at every place (kind, address, port) until killed."""
    waiting = selectors.DefaultSelector()
    for kind, address, port in places:
        server = _socket(kind, address)
        server.bind((address, port))
        if kind == "tcp":
            server.listen(64)
        waiting.register(server, selectors.EVENT_READ, kind)
    print("listening", flush=True)
    while True:
        for key, _ in waiting.select():
            server = key.fileobj  # type: ignore[assignment]
            if key.data == "udp":
                told, whom = server.recvfrom(100)
                server.sendto(told, whom)
            else:
                connection, _ = server.accept()
                connection.sendall(b"here")
                connection.close()


def reach(target: tuple[str, str, int, str, int]) -> bool:
    """Whether (kind, address, port, own address, own port) answers. Empty and 0: whatever the kernel chooses."""
    kind, address, port, own, own_port = target
    with _socket(kind, address) as client:
        client.settimeout(HANDS_SECONDS)
        try:
            if own or own_port:
                client.bind((own, own_port))
            client.connect((address, port))
            client.settimeout(ANSWER_SECONDS[kind])
            if kind == "udp":
                client.send(b"here")
            return client.recv(100) == b"here"
        except OSError:
            return False


def main() -> None:
    """Listen, or try and print the answers."""
    given: Any = json.loads(sys.stdin.readline())
    if sys.argv[1] == "listen":
        listen(given)
    else:
        with ThreadPoolExecutor(32) as pool:
            print(json.dumps(list(pool.map(reach, given))))


if __name__ == "__main__":
    main()
