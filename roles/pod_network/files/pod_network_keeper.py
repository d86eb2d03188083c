#!/usr/bin/python3
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Keeps the routes and rules of a node's pods: puts them back whoever took them away.

An interface that goes down takes its routes along, systemd-networkd drops routes that it does not know whenever it
configures an interface, and people restart firewalls. Nobody tells a unit of that, but the kernel does: it announces every
change of a route. Of firewall rules nobody hears in time, so they are looked at now and then.

`pod-network-keeper PROGRAM` calls `PROGRAM apply`, tells systemd that all is there, and from then on calls `PROGRAM check`,
which prints what is missing, whenever routes have changed, and `PROGRAM apply` where something is.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable

# linux/rtnetlink.h: the group that hears of every IPv4 route. An interface that goes down takes its routes away in silence, but
# they could not be put back then; when it comes up again, the route to its own network does, and that is announced.
IPV4_ROUTE_GROUP = 7
# Without any word from the kernel, everything is looked at this often; and this soon where it could not be put right.
ROUND_SECONDS, RETRY_SECONDS = 30.0, 5.0
# Changes come in swarms.
CALM_SECONDS = 0.2
# A program that hangs, on the lock of the firewall for example, is given up.
PROGRAM_SECONDS = 45.0


def _run(argv: list[str]) -> tuple[int, str, str]:
    """Run a program; one that hangs ends together with what it waits for. Raises OSError and TimeoutExpired."""
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as ran:
        try:
            out, err = ran.communicate(timeout=PROGRAM_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(ran.pid, signal.SIGKILL)
            raise
    return ran.returncode, out, err


class Kept:
    """The routes and rules, by way of the program that knows them."""

    def __init__(self, program: str, log: Callable[[str], None]) -> None:
        self.program, self.log = program, log
        self.told = ""

    def run(self, verb: str) -> tuple[bool, str]:
        """Call the program: whether it went well, and what it printed, its errors where it did not."""
        try:
            code, out, err = _run([self.program, verb])
        except (OSError, subprocess.TimeoutExpired) as error:
            return False, f"{self.program} {verb}: {error}"
        if code:
            return False, " ".join(err.split()) or f"{self.program} {verb} ended with {code}"
        return True, out.strip()

    def look(self) -> bool:
        """Put right what is missing, and return whether all is there. What keeps it from being so is told once."""
        good, told = self.run("check")
        if good and told:
            missing = "; ".join(told.splitlines())
            good, told = self.run("apply")
            told = f"put back: {missing}" if good else f"missing: {missing}; cannot be put back: {told}"
        if told and told != self.told:
            self.log(told)
        # What was put back is news each time.
        self.told = "" if good else told
        return good


def hear(listener: socket.socket, seconds: float) -> None:
    """Wait for a word from the kernel, at most `seconds`, and then until it has been quiet for a moment."""
    if not select.select([listener], [], [], seconds)[0]:
        return
    deadline = time.monotonic() + RETRY_SECONDS
    while time.monotonic() < deadline and select.select([listener], [], [], CALM_SECONDS)[0]:
        try:
            listener.recv(1 << 16)
        except OSError:  # so many that some were lost: that is word enough
            continue


def listen() -> socket.socket:
    """Open what hears of every IPv4 route."""
    listener = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    listener.bind((0, 1 << (IPV4_ROUTE_GROUP - 1)))
    return listener


def tell_systemd(word: str) -> None:
    """Tell systemd how far this is, sd_notify(3); nothing where nobody asked."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as caller:
        caller.connect("\0" + address[1:] if address.startswith("@") else address)
        caller.send(word.encode())


def log(line: str) -> None:
    """Write a line into the journal."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def main(program: str) -> int:
    """Go on until killed; 1 where it cannot even begin."""
    # Before anything is put there: what is taken away in between is heard of.
    listener, kept = listen(), Kept(program, log)
    good, told = kept.run("apply")
    if not good:
        log(told)
        return 1
    tell_systemd("READY=1")
    while True:
        hear(listener, ROUND_SECONDS if good else RETRY_SECONDS)
        good = kept.look()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
