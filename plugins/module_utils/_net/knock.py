# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Try ports of other machines, all at once. Runs on targets and on the controller: Python 3.9."""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._net.listeners import GREETING, MOST_BYTES

__all__ = ["ANSWERED", "CONNECTED", "REFUSED", "TIMEOUT", "UNREACHABLE", "knock"]

# States of an attempt. `answered` is by the listeners that were meant; `connected` is by somebody.
ANSWERED, CONNECTED, REFUSED, TIMEOUT, UNREACHABLE = (
    "answered",
    "connected",
    "refused",
    "timeout",
    "unreachable",
)
# The kernel asks again after one second.
CONNECT_SECONDS = 2.0
# A listener on a busy machine.
ANSWER_SECONDS = 3.0
# A packet of UDP may be lost: it is sent so often, with this between.
UDP_TRIES, UDP_SECONDS = 3, 0.6
NO_WAY = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES, errno.EPERM)


def _state(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return REFUSED
    if isinstance(error, (socket.timeout, TimeoutError)):
        return TIMEOUT
    return f"{UNREACHABLE}: {error.strerror or error}" if error.errno in NO_WAY else f"other: {error}"


def _by_tcp(sock: socket.socket, greeting: bytes, token: str) -> str:
    if not token:
        return CONNECTED
    # Whoever answered; from here on it is only asked who that is.
    try:
        sock.settimeout(ANSWER_SECONDS)
        sock.sendall(greeting)
        heard = sock.recv(MOST_BYTES)
    except OSError:
        return CONNECTED
    return ANSWERED if _proves(heard, token) else CONNECTED


def _by_udp(sock: socket.socket, greeting: bytes, token: str) -> str:
    sock.settimeout(UDP_SECONDS)
    for _ in range(UDP_TRIES):
        sock.send(greeting)
        try:
            if _proves(sock.recv(MOST_BYTES), token):
                return ANSWERED
        except (socket.timeout, TimeoutError):
            continue
    return TIMEOUT


def _proves(heard: bytes, token: str) -> bool:
    return heard.decode(errors="replace").strip() == f"{GREETING} {token}"


def _source(address: str) -> str:
    """Give the address from which this machine would talk to another. No packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((address, 9))
        return str(sock.getsockname()[0])


def _try(name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    told = {key: entry[key] for key in ("target", "address", "protocol", "port")}
    told["proved"] = bool(entry["token"])
    greeting = f"{GREETING} {name}\n".encode()
    kind, ask = (socket.SOCK_DGRAM, _by_udp) if entry["protocol"] == "udp" else (socket.SOCK_STREAM, _by_tcp)
    try:
        told["source"] = _source(str(entry["address"]))
        with socket.socket(socket.AF_INET, kind) as sock:
            sock.settimeout(CONNECT_SECONDS)
            sock.connect((str(entry["address"]), int(entry["port"])))
            told["state"] = ask(sock, greeting, str(entry["token"]))
    except OSError as error:
        told["state"] = _state(error)
    except (ValueError, TypeError, OverflowError) as error:  # what cannot be an address or a port
        told["state"] = f"other: {error}"
    return told


def knock(name: str, tried: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Try ports of other machines.

    Args:
        name: who tries, as the inventory calls it.
        tried: [{target, address, protocol, port, token}]; without a token nothing is sent over a connection.

    Returns:
        Each in the same order without its token, and `proved`, whether there was one; `source`, the address that this machine
        has towards the target; `state`: `answered`, `connected`, `refused`, `timeout`, `unreachable: why` or `other: why`.
        Never raises.
    """
    if not tried:
        return []
    with ThreadPoolExecutor(max_workers=min(64, len(tried))) as pool:
        return list(pool.map(lambda entry: _try(name, entry), tried))
