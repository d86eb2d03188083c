"""Says whom it was reached as: `listeners.py --ssh ADDRESS --tcp 22 80 --udp 53`, at every address of this machine.

TCP gets a line "ADDRESS PORT tcp from PEER" behind a head that HTTP clients understand, at once. UDP gets "ADDRESS PORT udp from
PEER"; a DNS query, at port 53, gets an answer to it with this text as a TXT record.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import struct
import subprocess
from typing import Any

__all__ = ["addresses", "dns_answer", "listen"]

DNS_PORT = 53
_HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"


def addresses(links: list[dict[str, Any]]) -> list[str]:
    """Pick from `ip -json address show` what others can reach: not loopback's own and not link-local IPv6."""
    found = [entry["local"] for link in links for entry in link.get("addr_info", []) if "local" in entry]
    return [address for address in found if not address.startswith(("127.", "fe80:")) and address != "::1"]


def said(sock: socket.socket, protocol: str, peer: str) -> str:
    """Give the one line that proves who answered."""
    address, port = sock.getsockname()[:2]
    return f"{address} {port} {protocol} from {peer}"


def dns_answer(query: bytes, text: str) -> bytes:
    """Answer a DNS query (RFC 1035, 4.1) with a TXT record, b"" where it is none."""
    place = 12
    if len(query) < place or query[2] & 0x80 or query[4:6] != b"\x00\x01":
        return b""
    while place < len(query) and query[place]:
        place += query[place] + 1
    question = query[12 : place + 5]
    if len(question) != place - 7:
        return b""
    data = bytes([len(text)]) + text.encode()
    head = query[:2] + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0)
    return head + question + struct.pack("!HHHIH", 0xC00C, 16, 1, 0, len(data)) + data


class Echo(asyncio.DatagramProtocol):
    """Answers each datagram."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what answers are sent by."""
        self.transport: Any = transport

    def datagram_received(self, data: bytes, peer: tuple[Any, ...]) -> None:
        """Answer a query in its own words, anything else with the line."""
        sock = self.transport.get_extra_info("socket")
        line = said(sock, "udp", peer[0])
        answer = dns_answer(data, line) if sock.getsockname()[1] == DNS_PORT else b""
        self.transport.sendto(answer or f"{line}\n".encode(), peer)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say the line, and close when the other side did: closing on what was not read would reset the connection."""
    peer = writer.get_extra_info("peername")
    try:
        writer.write(_HEAD + f"{said(writer.get_extra_info('socket'), 'tcp', peer[0])}\n".encode())
        writer.write_eof()
        await asyncio.wait_for(reader.read(), 5)
    except (OSError, TypeError, asyncio.TimeoutError):
        pass  # whoever asked is gone, or stays for no reason
    writer.close()


def bound(address: str, port: int, kind: socket.SocketKind) -> socket.socket:
    """Bind one address, so that the socket knows by which one it was reached."""
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if ":" in address:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind((address, port))
    return sock


async def listen(held: list[str], tcp: list[int], udp: list[int], ssh: str = "") -> list[Any]:
    """Listen everywhere, but at port 22 of the address that has SSH; return what has to be kept for that."""
    loop = asyncio.get_running_loop()
    kept: list[Any] = []
    for address in held:
        for port in tcp:
            if (address, port) != (ssh, 22):
                kept.append(await asyncio.start_server(answer, sock=bound(address, port, socket.SOCK_STREAM)))
        for port in udp:
            kept.append(
                await loop.create_datagram_endpoint(Echo, sock=bound(address, port, socket.SOCK_DGRAM))
            )
    return kept


async def serve(*what: Any) -> None:
    """Listen until killed."""
    _kept = await listen(*what)
    await asyncio.Event().wait()


def main() -> None:
    """Listen at every address that this machine has now."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ssh", default="", help="the address whose port 22 is SSH's")
    parser.add_argument("--tcp", type=int, nargs="*", default=[])
    parser.add_argument("--udp", type=int, nargs="*", default=[])
    options = parser.parse_args()
    links = json.loads(
        subprocess.run(["ip", "-json", "address", "show"], check=True, capture_output=True).stdout
    )
    asyncio.run(serve(addresses(links), options.tcp, options.udp, options.ssh))


if __name__ == "__main__":
    main()
