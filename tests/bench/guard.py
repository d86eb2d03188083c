"""Measure what the guard costs: through it against without it, in network namespaces with a real kernel. Needs root, no lab.

`make bench` runs it first; alone it is `tests/bench/guard.py --rounds 60`. A session asks a server outside of the node, in rounds
in which the two sides take turns to be first. The section "The guard" of docs/performance.md is its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "unit" / "support"), str(ROOT / "collections")]
import page
from guard_node import NFT, Installed, Node, render, why_not

SERVER = ("203.0.113.10", 8080)
# What the issue asks for: shares of what is there without the guard, and seconds.
LIMITS = {"throughput": 0.95, "requests": 0.95, "load": 1.0}

# A connection that begins with "d" is drained; any other gets an answer of a kilobyte. Each end has a processor of its own:
# where the scheduler moves them about, rounds differ by more than any firewall costs.
_SERVER = """
import os, socket, sys, threading
os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
server = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=512)
print("listening", flush=True)
def serve(connection):
    with connection:
        if connection.recv(1) == b"d":
            while connection.recv(1 << 20):
                pass
        else:
            connection.sendall(bytes(1024))
while True:
    threading.Thread(target=serve, args=[server.accept()[0]], daemon=True).start()
"""
# Sends for a while, then asks for a while; prints bytes a second and requests a second. What one connection reaches depends on
# how its packets happen to meet those of the other side, for as long as it lasts: so the median of many short ones is taken.
_CLIENT = """
import os, socket, statistics, struct, sys, time
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
place, seconds = (sys.argv[1], int(sys.argv[2])), float(sys.argv[3])
block, rates, connections = bytes(1 << 20), [], 16
for _ in range(connections):
    sent = 0
    with socket.create_connection(place) as connection:
        connection.sendall(b"d")
        begun = time.perf_counter()
        while time.perf_counter() - begun < seconds / connections:
            connection.sendall(block)
            sent += len(block)
        rates.append(sent / (time.perf_counter() - begun))
rate = statistics.median(rates)
asked, started = 0, time.perf_counter()
while time.perf_counter() - started < seconds:
    with socket.create_connection(place) as connection:
        connection.sendall(b"r")
        while connection.recv(4096):
            pass
        # Nobody waits for late packets: thousands of connections a second would run out of ports.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    asked += 1
print(rate, asked / (time.perf_counter() - started))
"""


def timed(work: object) -> float:
    """Call `work` and return its seconds."""
    started = time.perf_counter()
    assert callable(work)
    work()
    return time.perf_counter() - started


def one_side(node: Node, guarded: bool, seconds: float) -> tuple[float, float, float]:
    """Return bytes and requests a second, and how long the table took to load; 0 without it."""
    if guarded:
        loaded = timed(lambda: node.guard("load"))
        assert "chain session_binder" in node.table()
        assert node.plug("ADD", "session")[0] == 0
    else:
        loaded = 0.0
        for family in ("inet", "bridge"):
            node.execute("node", NFT, "delete", "table", family, "ironbinder_guard", check=False)
        assert not node.table()
    place = [SERVER[0], str(SERVER[1]), str(seconds)]
    rate, asked = node.execute("session", sys.executable, "-c", _CLIENT, *place).split()
    return float(rate), float(asked), loaded


def plugin_seconds(node: Node) -> float:
    """Return how long the network plugin takes for one pod, with the start of its process."""
    taken = timed(lambda: node.plug("ADD", "neighbour"))
    assert node.plug("DEL", "neighbour")[0] == 0
    return taken


def measure(rounds: int, seconds: float) -> dict[str, list[float]]:
    """Measure both sides in every round, in changing order."""
    found: dict[str, list[float]] = {
        name: [] for name in ("throughput", "requests", "bytes", "asked", "load", "plugin")
    }
    with tempfile.TemporaryDirectory(prefix="ironbinder-guard-bench-") as name:
        folder = Path(name)
        rendered = folder / "rendered"
        rendered.mkdir()
        node = Node(Installed(folder / "root", render(rendered)))
        try:
            node.open()
            command = ["ip", "netns", "exec", node.name("outside"), sys.executable, "-c", _SERVER]
            server = subprocess.Popen(
                [*command, SERVER[0], str(SERVER[1])], stdout=subprocess.PIPE, text=True
            )
            node.listeners.append(server)
            assert server.stdout
            assert server.stdout.readline().strip() == "listening"
            # Every node follows connections anyway, for kube-proxy and to masquerade; that is no cost of the guard's.
            rule = "table ip others { chain out { type nat hook postrouting priority srcnat; masquerade; }; }"
            node.execute("node", NFT, rule)
            one_side(node, True, seconds / 4)
            for number in range(rounds):
                sides = {}
                for guarded in (True, False) if number % 2 else (False, True):
                    sides[guarded] = one_side(node, guarded, seconds)
                    if guarded:
                        found["plugin"].append(plugin_seconds(node))
                found["throughput"].append(sides[True][0] / sides[False][0])
                found["requests"].append(sides[True][1] / sides[False][1])
                found["bytes"].append(sides[True][0])
                found["asked"].append(sides[True][1])
                found["load"].append(sides[True][2])
        finally:
            node.close()
    return found


def spread(values: list[float], form: str) -> str:
    """Median, and the quarter above and below it."""
    low, _, high = quantiles(values, n=4)
    return f"{median(values):{form}} ({low:{form}} to {high:{form}})"


def section(found: dict[str, list[float]]) -> str:
    """Write the section of the page."""

    def met(name: str) -> str:
        value = median(found[name])
        return "yes" if (value <= LIMITS[name] if name == "load" else value >= LIMITS[name]) else "no"

    gigabits = [value * 8 / 1e9 for value in found["bytes"]]
    milliseconds = [value * 1000 for value in found["plugin"]]
    return "\n".join(
        [
            "## The guard",
            "",
            f"Measured by `tests/bench/guard.py` in network namespaces: a session asks a server outside of its node. Medians of "
            f"{len(found['load'])} alternating rounds, with the middle half of them.",
            "",
            "| what | measured | asked for | met |",
            "|---|---|---|---|",
            f"| throughput, against without the guard | {spread(found['throughput'], '.3f')} x | >= {LIMITS['throughput']} x "
            f"| {met('throughput')} |",
            f"| requests a second, each a new connection, against without | {spread(found['requests'], '.3f')} x "
            f"| >= {LIMITS['requests']} x | {met('requests')} |",
            f"| loading the table, with the start of the program | {spread(found['load'], '.2f')} s | <= {LIMITS['load']:g} s "
            f"| {met('load')} |",
            f"| network plugin for one pod, with its process | {spread(milliseconds, '.0f')} ms | | |",
            "",
            f"Through the guard that is {spread(gigabits, '.1f')} Gbit/s and {spread(found['asked'], '.0f')} requests a second; "
            "both ends are Python programs, which take most of the second figure.",
            "",
        ]
    )


def main() -> None:
    """Measure, print, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=0.64, help="for which each side sends, and asks")
    parser.add_argument("--print-only", action="store_true", help="leave the page alone")
    options = parser.parse_args()
    if why_not():
        sys.exit(f"the guard cannot be measured here: {why_not()}")
    text = section(measure(max(options.rounds, 2), options.seconds))
    print(text)
    if not options.print_only:
        page.put("guard", text)


if __name__ == "__main__":
    main()
