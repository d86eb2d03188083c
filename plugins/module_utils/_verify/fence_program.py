# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The program that runs inside a fence and tries what is outside: one file, as pods and RUN steps get its text.

python3 -c "$text" '{"targets": [{"name": ..., "address": ..., "port": ..., "protocol": "tcp", "talk": "any"}], "seconds": 2}'
tries all targets at the same time and prints one line: MARK and {"results": {name: [outcome, detail]}, "ipv6": [addresses]}.
With "stay": true it then waits to be killed.

'{"listen": 8888}' prints such a line with its addresses, and answers at this port, TCP and UDP, until it is killed.

An address may be `gateway`, which is that of the default route, or `resolver`, the first name server in resolv.conf.

A handshake proves little: a gateway on the way may answer it for an address that nobody has. So bytes are exchanged.
  answered     bytes came back
  connected    a handshake and nothing more, or bytes without what the target `says`
  refused      a reset, from the target or from a fence
  unreachable  the kernel or a router says so
  silent       nothing came
  unresolved   the name has no address here
  no_ipv6      this place has no IPv6 address or route that leads there
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import struct
import sys
import threading
from pathlib import Path
from typing import Any

# In two parts, as a builder shows the program's text before its output.
MARK = "IRONBINDER-" + "FENCE"
WORKERS = 64
_HTTP = b"GET / HTTP/1.0\r\n\r\n"
# The smallest ClientHello (TLS 1.2, one cipher): any server of TLS answers it, with a handshake or an alert.
_HELLO = b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x02\xc0\x2f" + b"\x01\x00"
_TLS = (
    b"\x16\x03\x01"
    + struct.pack("!H", len(_HELLO) + 4)
    + b"\x01\x00"
    + struct.pack("!H", len(_HELLO))
    + _HELLO
)
_ID = b"\x1b\x1d"
# https://github.com/torvalds/linux/blob/master/include/uapi/linux/if_addr.h
_TENTATIVE = 0x40
_NO_IPV6 = {errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.ENODEV}


def dns_query(name: str) -> bytes:
    """Ask for the addresses of a name, as a packet."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.strip(".").split("."))
    return _ID + b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + labels + b"\x00\x00\x01\x00\x01"


def gateway() -> str:
    """Return the address of the default route's gateway."""
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1] == "00000000" and int(fields[3], 16) & 2:
            return socket.inet_ntoa(struct.pack("<I", int(fields[2], 16)))
    raise OSError(errno.ENETUNREACH, "no default route")


def resolver() -> str:
    """Return the first name server that this place was given."""
    for line in Path("/etc/resolv.conf").read_text().splitlines():
        if line.split()[:1] == ["nameserver"]:
            return line.split()[1]
    raise OSError(errno.EDESTADDRREQ, "no name server in resolv.conf")


def _if_inet6() -> list[list[str]]:
    try:
        rows = [line.split() for line in Path("/proc/net/if_inet6").read_text().splitlines()]
    except OSError:
        return []
    return [row for row in rows if row[5] != "lo"]


def ipv6_addresses(usable: bool) -> list[str]:
    """Return the IPv6 addresses of this network namespace but the loopback's.

    Args:
        usable: wait until they can be used. For a second or two the kernel sees whether anybody else has them; until then it
            would look as if there was no IPv6. Else wait a second until there are any.
    """
    for _ in range(40 if usable else 10):
        rows = _if_inet6()
        if not any(int(row[4], 16) & _TENTATIVE for row in rows) if usable else rows:
            break
        threading.Event().wait(0.1)
    return [socket.inet_ntop(socket.AF_INET6, bytes.fromhex(row[0])) for row in _if_inet6()]


def places(target: dict[str, Any]) -> list[tuple[int, Any]]:
    """Return the socket addresses of a target. A link-local one is looked for behind every interface that may lead there."""
    address = {"gateway": gateway, "resolver": resolver}.get(target["address"], lambda: target["address"])()
    kind = socket.SOCK_STREAM if target.get("protocol", "tcp") == "tcp" else socket.SOCK_DGRAM
    if address.lower().startswith("fe80:") and "%" not in address:
        names = [
            name
            for _, name in socket.if_nameindex()
            if not name.startswith(("lo", "veth", "cali", "tun", "sit"))
        ]
        given = [f"{address}%{name}" for name in names]
    else:
        given = [address]
    found = [socket.getaddrinfo(one, int(target["port"]), type=kind)[0] for one in given]
    return [(entry[0], entry[4]) for entry in found]


def hear(family: int, place: Any, sent: bytes, wait: float, seconds: float) -> bytes:
    """Connect, listen for `wait` seconds, then send and listen for the rest. b"" where nothing came."""
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(seconds)
        connection.connect(place)
        for message, patience in ((b"", wait), (sent, seconds if sent else 0)):
            try:
                if message:
                    connection.sendall(message)
                if patience:
                    connection.settimeout(patience)
                    heard = connection.recv(256)
                    if heard or message:
                        return heard
            except OSError:
                if message:
                    return b""
    return b""


def tcp(family: int, place: Any, target: dict[str, Any], seconds: float) -> tuple[str, str]:
    """Try a TCP port, in the words of what is expected there."""
    talk = target.get("talk", "any")
    query = dns_query(target.get("query", "localhost"))
    says = target.get("says", "").encode()
    words = {
        "http": [(_HTTP, 0.0)],
        "tls": [(_TLS, 0.0)],
        "banner": [(b"", seconds)],
        "dns": [(struct.pack("!H", len(query)) + query, 0.0)],
        # Who does not speak first may speak HTTP, or TLS.
        "any": [(_HTTP, seconds / 4), (_TLS, 0.0)],
    }[talk]
    for sent, wait in words:
        heard = hear(family, place, sent, wait, seconds)
        if heard and says in heard:
            return "answered", repr(heard[:24])
        if heard:
            return "connected", f"to somebody else, who says {heard[:24]!r}"
    return "connected", "and then nothing"


def udp(family: int, place: Any, target: dict[str, Any], seconds: float) -> tuple[str, str]:
    """Send a datagram up to three times and wait for one."""
    message = dns_query(target.get("query", "localhost")) if target["protocol"] == "dns" else b"ironbinder"
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        # Connected, so that an ICMP error is heard of.
        sender.connect(place)
        sender.settimeout(seconds / 3)
        for _ in range(3):
            sender.send(message)
            try:
                heard = sender.recv(1500)
            except socket.timeout:
                continue
            if target["protocol"] == "dns" and heard[:2] != _ID:
                continue
            if target.get("says", "").encode() not in heard:
                return "connected", f"to somebody else, who says {heard[:24]!r}"
            return "answered", f"{len(heard)} bytes"
    return "silent", ""


def once(target: dict[str, Any], seconds: float) -> tuple[str, str]:
    """Try a target once, at each of its places until one answers."""
    found = ("unresolved", "no place to try")
    try:
        tried = places(target)
    except socket.gaierror as error:
        return "unresolved", str(error)
    except OSError as error:
        return "unreachable", str(error)
    for family, place in tried:
        try:
            found = (tcp if target.get("protocol", "tcp") == "tcp" else udp)(family, place, target, seconds)
        except socket.timeout:
            found = ("silent", "")
        except ConnectionRefusedError:
            found = ("refused", "")
        except OSError as error:
            here = family == socket.AF_INET6 and error.errno in _NO_IPV6
            found = ("no_ipv6" if here else "unreachable", error.strerror or str(error))
        if found[0] == "answered":
            break
    return found


def tried(target: dict[str, Any], seconds: float) -> tuple[str, str]:
    """Try a target as often as it asks for: what has to be reached is not given up at the first lost packet."""
    found = ("silent", "")
    for _ in range(int(target.get("tries", 1))):
        found = once(target, seconds)
        if found[0] == "answered":
            break
    return found


def try_all(
    targets: list[dict[str, Any]], seconds: float, attempt: Any = tried
) -> dict[str, tuple[str, str]]:
    """Try every target by `attempt`, WORKERS at the same time."""
    left = list(reversed(targets))
    results = {target["name"]: ("silent", "it did not come to an end") for target in targets}

    def work() -> None:
        while left:
            try:
                target = left.pop()
            except IndexError:
                return
            results[target["name"]] = attempt(target, seconds)

    workers = [threading.Thread(target=work, daemon=True) for _ in range(min(WORKERS, len(targets)))]
    for worker in workers:
        worker.start()
    ended = threading.Event()

    def watch() -> None:
        for worker in workers:
            worker.join()
        ended.set()

    threading.Thread(target=watch, daemon=True).start()
    # A resolver that is silent may keep a thread for long; what it has not found by then it will not.
    ended.wait(seconds * 8 * (1 + len(targets) // WORKERS))
    return dict(results)


def answer(port: int) -> None:
    """Answer at a port, TCP and UDP, IPv4 and IPv6 where there is any, until killed."""
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    server = socket.create_server(("", port), family=family, backlog=128, dualstack_ipv6=both)
    echo = socket.socket(family, socket.SOCK_DGRAM)
    if both:
        echo.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    echo.bind(("", port))

    def repeat() -> None:
        while True:
            data, sender = echo.recvfrom(1500)
            echo.sendto(data, sender)

    threading.Thread(target=repeat, daemon=True).start()
    say({"ipv6": ipv6_addresses(usable=False)})
    while True:
        connection, _ = server.accept()
        # Whoever asked may be gone.
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n")


def say(report: dict[str, Any]) -> None:
    """Print a report on a line of its own."""
    print(MARK, json.dumps(report, separators=(",", ":")), flush=True)


def end(wanted: dict[str, Any]) -> None:
    """Wait to be killed where that is wanted; else end."""
    while wanted.get("stay"):
        threading.Event().wait(60)
    # Not `sys.exit`: a thread that still asks a silent resolver would keep the process.
    os._exit(0)


def main() -> None:
    """Do what the first argument asks for."""
    wanted = json.loads(sys.argv[1])
    if "listen" in wanted:
        answer(int(wanted["listen"]))
    # Time for whoever wants to change something around a process that runs already.
    threading.Event().wait(float(wanted.get("delay", 0)))
    ipv6 = ipv6_addresses(usable=True)
    results = try_all(wanted["targets"], float(wanted.get("seconds", 2)))
    say({"results": results, "ipv6": ipv6})
    end(wanted)


if __name__ == "__main__":
    main()
