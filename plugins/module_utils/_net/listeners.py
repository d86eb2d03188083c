# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ports of this machine that answer for a few seconds, so that others can try them. Runs on targets: Python 3.9, Linux.

One process holds them all, with nobody's rights, and writes no file. It answers a line that names the caller with one that
proves who it is, and ends when everybody who was expected has called, when another probe comes, or at its deadline.
"""

from __future__ import annotations

import ctypes
import errno
import os
import selectors
import signal
import socket
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Optional

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import SystemClock

__all__ = ["GREETING", "MOST_BYTES", "PROCESS_NAME", "end_listeners", "handle_of", "open_listeners"]

# A caller says "GREETING NAME\n", and is answered with "GREETING TOKEN\n".
GREETING = "ironbinder-ports"
MOST_BYTES = 200
# Of the process, as `ss -p` shows it; the kernel keeps 15 characters.
PROCESS_NAME = "ironbinder-port"
PR_SET_NAME = 15
# Where the next probe reaches it: an abstract name, which vanishes with the process.
HANDLE = "\0ironbinder-ports"
NOBODY = 65534
# The last caller may not have heard its answer yet; by UDP it asks again for so long, see `knock`.
LINGER_SECONDS = 2.0
# A process that was told to end is gone within milliseconds.
END_SECONDS = 2.0
# linux/in.h; module socket has no name for it before Python 3.14. What comes with it is an interface and two addresses.
IP_PKTINFO, PKTINFO = 8, "=I4s4s"
KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def handle_of(name: str) -> str:
    """Give the handle of a machine by the name that the inventory has for it. One machine may have two, with ports each."""
    return f"{HANDLE}-{name[:80]}"


def end_listeners(handle: str = HANDLE) -> bool:
    """End the listeners of an earlier probe, and wait until their ports are free. False where there were none."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(END_SECONDS)
        try:
            caller.connect(handle)
            caller.recv(1)  # nothing comes; it ends when the process does
        except OSError:  # nobody is there, or it hangs until its deadline
            return False
    return True


def _bound(protocol: str, port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET, KINDS[protocol] | socket.SOCK_NONBLOCK)
    try:
        if protocol == "tcp":
            # Connections that ended lately hold nothing back, neither ours nor those of who comes next.
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            found.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        found.bind(("", port))
        if protocol == "tcp":
            found.listen(64)
    except OSError:
        found.close()
        raise
    return found


def open_listeners(
    wanted: Sequence[Mapping[str, Any]], token: str, seconds: float, handle: str = HANDLE
) -> dict[str, Any]:
    """Open ports that nothing listens on, held by a process of their own.

    Args:
        wanted: [{protocol, port, expected: names of those who will call}].
        token: what proves to a caller that it reached these listeners.
        seconds: after these the process ends, whoever has called.
        handle: the abstract name that `end_listeners` calls.

    Returns:
        `opened`, `held` and `failed`, lists of "tcp 6443"; `token`, `` where nothing was opened.
    """
    opened: dict[str, socket.socket] = {}
    waiting: dict[str, set[str]] = {}
    told: dict[str, Any] = {"opened": [], "held": [], "failed": [], "token": ""}
    for entry in wanted:
        name = f"{entry['protocol']} {entry['port']}"
        try:
            opened[name] = _bound(str(entry["protocol"]), int(entry["port"]))
        except (OSError, OverflowError, KeyError) as error:
            told["held" if getattr(error, "errno", 0) == errno.EADDRINUSE else "failed"].append(name)
        else:
            waiting[name] = set(map(str, entry["expected"]))
    if not opened:
        return told
    # Before there is another process: the next probe, however soon it comes, finds it.
    handles = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    with suppress(OSError):  # somebody has the name: then nobody ends it early
        handles.bind(handle)
        handles.listen(4)
    if os.fork() == 0:
        _Listeners(opened, waiting, token).hold(seconds, handles)
    for listener in (*opened.values(), handles):
        listener.close()
    return {**told, "opened": list(opened), "token": token}


class _Listeners:
    """The process that holds the ports."""

    def __init__(
        self, opened: Mapping[str, socket.socket], waiting: Mapping[str, set[str]], token: str
    ) -> None:
        self._opened, self._waiting, self._clock = opened, waiting, SystemClock()
        self._answer = f"{GREETING} {token}\n".encode()
        self._selector = selectors.DefaultSelector()
        # Who asked for the end. Held until the process is gone, when all ports and the handle are closed.
        self._ending: Optional[socket.socket] = None

    def hold(self, seconds: float, handles: socket.socket) -> None:
        """Answer callers, and end this process. Never returns: what called it is not this process's."""
        try:
            # The kernel ends it even where this program hangs.
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(int(seconds) + 1)
            os.setsid()
            ctypes.CDLL(None).prctl(PR_SET_NAME, PROCESS_NAME.encode())
            sockets = [*self._opened.values(), handles]
            # Who called the probe waits for the end of its output.
            _close_all_but({entry.fileno() for entry in sockets} | {self._selector.fileno()})  # type: ignore[attr-defined]
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            self._talk(handles, self._clock.now() + seconds)
        finally:
            # In this order: the kernel, at the end of a process, has one of its own, and who waits would find ports held.
            for entry in (*self._opened.values(), handles):
                entry.close()
            os._exit(0)

    def _talk(self, handles: socket.socket, deadline: float) -> None:
        for name, listener in self._opened.items():
            self._selector.register(listener, selectors.EVENT_READ, name)
        self._selector.register(handles, selectors.EVENT_READ, "")
        while self._clock.now() < deadline and self._ending is None:
            for key, _ in self._selector.select(max(0.0, min(deadline - self._clock.now(), 1.0))):
                entry: Any = key.fileobj
                if entry is handles:
                    self._ending = self._ending or _who_ends(handles)
                else:
                    self._serve(entry, str(key.data))
            if not any(self._waiting.values()):
                deadline = min(deadline, self._clock.now() + LINGER_SECONDS)

    def _serve(self, entry: socket.socket, name: str) -> None:
        """Answer one packet, or take one connection. What is no greeting gets no answer."""
        stream = entry.type == socket.SOCK_STREAM
        with suppress(OSError):  # a caller that went away
            if stream and entry.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                connection, _ = entry.accept()
                connection.setblocking(False)
                self._selector.register(connection, selectors.EVENT_READ, name)
                return
            heard, told, _, sender = entry.recvmsg(MOST_BYTES, 0 if stream else socket.CMSG_SPACE(12))
            greeting, _, caller = heard.decode(errors="replace").strip().partition(" ")
            if greeting == GREETING:
                self._waiting[name].discard(caller)
                if stream:
                    entry.send(self._answer)
                else:
                    entry.sendmsg([self._answer], _from_where_it_came(told), 0, sender)
        if stream and entry is not self._opened[name]:
            self._selector.unregister(entry)
            entry.close()


def _from_where_it_came(told: Sequence[tuple[int, int, bytes]]) -> list[tuple[int, int, bytes]]:
    """Say what a packet has to be sent with to come from the address that was asked, and by the way that the kernel chooses."""
    return [
        (level, kind, struct.pack(PKTINFO, 0, struct.unpack(PKTINFO, data)[1], b""))
        for level, kind, data in told
        if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO)
    ]


def _close_all_but(kept: set[int]) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for number in [int(path.name) for path in Path("/dev/fd").iterdir()]:
        if number < 3 and number not in kept:
            os.dup2(null, number)
        elif number not in kept and number != null:
            with suppress(OSError):  # the folder that was being read
                os.close(number)


def _who_ends(handles: socket.socket) -> Optional[socket.socket]:
    """Give the connection of root, or of who started this, that asks it to end; None where it is somebody else's."""
    with suppress(OSError):
        caller, _ = handles.accept()
        told = caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        if struct.unpack("3i", told)[1] in (0, os.geteuid()):
            return caller
    return None
