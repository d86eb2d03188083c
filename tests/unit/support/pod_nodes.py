# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Two nodes of provider `routed` in network namespaces, and what role pod_network writes on the first of them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jinja2

ROLE = Path(__file__).parents[3] / "roles/pod_network"
KEEPER = ROLE / "files/pod_network_keeper.py"
NODES = {
    "worker1": {"address": "192.0.2.21", "pod_cidr": "10.244.1.0/24"},
    "worker2": {"address": "192.0.2.22", "pod_cidr": "10.244.2.0/24"},
}
ROUTE = "10.244.2.0/24 via 192.0.2.22 dev eth0"


def why_not() -> str:
    """Say why no node can be made here, `` where it can."""
    name = f"ib-restart-try-{os.getpid()}"
    try:
        made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
        if made.returncode:
            return f"network namespaces cannot be made (CAP_NET_ADMIN, CAP_SYS_ADMIN): {made.stderr.strip()}"
        asked = subprocess.run(
            ["ip", "netns", "exec", name, "iptables", "-w", "-t", "nat", "-S"],
            capture_output=True,
            text=True,
            check=False,
        )
        subprocess.run(["ip", "netns", "del", name], check=False)
        return f"iptables cannot be used: {asked.stderr.strip()}" if asked.returncode else ""
    except OSError as error:
        return f"{error} (apt-get install iproute2 iptables)"


def script(folder: Path, nodes: dict[str, dict[str, str]] | None = None) -> Path:
    """Write the node's program, as the role does."""
    environment = jinja2.Environment(
        trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {
        "comment": lambda text: f"# {text}",
        "dictsort": lambda told: sorted(told.items()),
    }
    text = environment.from_string((ROLE / "templates/ironbinder-pod-network.sh.j2").read_text()).render(
        ansible_managed="Ansible managed",
        pod_network_pod_subnet="10.244.0.0/16",
        pod_network_node_name="worker1",
        __pod_network_known=nodes or NODES,
    )
    path = folder / "ironbinder-pod-network"
    (folder / "net.d").mkdir(exist_ok=True)
    for place, own in (("/etc/cni/net.d", "net.d"), ("/run/cni-ipam-state", "ipam")):
        text = text.replace(place, str(folder / own))
    path.write_text(text)
    path.chmod(0o755)
    return path


class PodNode:
    """The first node, with the second on its network."""

    def __init__(self, folder: Path, suffix: str) -> None:
        self.folder, self.name, self.other = folder, f"ib-restart-{suffix}", f"ib-restart-{suffix}-b"
        self.keeper: subprocess.Popen[str] | None = None

    def open(self) -> None:
        """Make both."""
        for name in (self.name, self.other):
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("link", "add", "eth0", "netns", self.name, "type", "veth", "peer", "eth0", "netns", self.other)
        for name, node in ((self.name, "worker1"), (self.other, "worker2")):
            _ip("-n", name, "address", "add", f"{NODES[node]['address']}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")

    def close(self) -> None:
        """Remove both."""
        self.stop()
        for name in (self.name, self.other):
            subprocess.run(["ip", "netns", "del", name], check=False)

    def run(self, *command: str) -> str:
        """Run a command in the node and give what it prints."""
        return subprocess.run(
            ["ip", "netns", "exec", self.name, *command], check=True, capture_output=True, text=True
        ).stdout

    def routes(self) -> str:
        """Give the routes that are the role's."""
        return self.run("ip", "-4", "route", "show", "proto", "99").strip()

    def keep(self, program: Path) -> None:
        """Start the keeper, and wait until it says that all is there."""
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        self.keeper = subprocess.Popen(
            ["ip", "netns", "exec", self.name, sys.executable, str(KEEPER), str(program)],
            stderr=(self.folder / "journal").open("w"),
            env=environment,
            text=True,
        )
        until(lambda: not self.run(str(program), "check"))

    def journal(self) -> list[str]:
        """Give what the keeper has said."""
        return (self.folder / "journal").read_text().splitlines()

    def stop(self) -> None:
        """End the keeper."""
        if self.keeper:
            self.keeper.kill()
            self.keeper.wait(60)
            self.keeper = None


def until(good: Callable[[], object], seconds: float = 60) -> float:
    """Wait until something is so, and give the seconds that this took."""
    started = time.monotonic()
    while not good():
        assert time.monotonic() - started < seconds, "not in time"
        time.sleep(0.05)
    return time.monotonic() - started


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
