# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ports of this machine for programs that are started later, each handed out once.

A port that the kernel chose and that was let go may be chosen for somebody else before its program binds it, or for the same test
once more. These lie below the range that the kernel chooses from, and each of pytest's workers has a part of its own.
"""

from __future__ import annotations

import itertools
import os
import random
import socket
from pathlib import Path

__all__ = ["free_port"]

LOWEST, PART = 10_000, 1_000
RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
KINDS = (socket.SOCK_STREAM, socket.SOCK_DGRAM)


def _mine() -> list[int]:
    """The ports of this process, from any place on: another session of pytest has the same parts."""
    highest = min(int(RANGE.read_text().split()[0]), 30_000)
    parts = max(1, (highest - LOWEST) // PART)
    worker = int("".join(filter(str.isdigit, os.environ.get("PYTEST_XDIST_WORKER", "0"))))
    first = LOWEST + worker % parts * PART
    start = random.SystemRandom().randrange(PART)
    return [first + (start + number) % PART for number in range(PART)]


def _is_free(port: int) -> bool:
    """Whether nobody holds it at any address, by TCP or UDP."""
    for kind in KINDS:
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                # As servers bind: connections that ended lately hold nothing back.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError:
                return False
    return True


_PORTS = itertools.cycle(_mine())


def free_port() -> int:
    """Give a port that nobody holds, by TCP and by UDP, and that this process has not given out for long."""
    return next(port for port in itertools.islice(_PORTS, PART) if _is_free(port))
