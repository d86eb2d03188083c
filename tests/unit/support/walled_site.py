# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The good site's machines in network namespaces, with a real kernel each: they open ports, try each other's, and have firewalls.

head1 and worker1 have a pod each behind a bridge, and routes to each other's pods, as role pod_network makes them. Run as a
program it is a machine's part: it reads a question and prints the answer, in the words of modules site_probe and port_probe.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
NFT = "/usr/sbin/nft"
MACHINES = {
    "head1": "192.0.2.11",
    "worker1": "192.0.2.21",
    "worker2": "192.0.2.22",
    "proxy1": "192.0.2.31",
    "mirror1": "192.0.2.41",
}
# Where each pod is, as kube-controller-manager gives subnets out.
PODS = {"head1": "10.244.0.5", "worker1": "10.244.1.5"}
POD_PORT = 8888
TRY = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=1.5).close()
    print("yes")
except OSError as error:
    print(error)
"""


class WalledSite:
    """The namespaces. `close` removes them and ends what runs in them."""

    def __init__(self) -> None:
        self.prefix = f"ib-firewall-{os.getpid()}"
        self.listeners: list[subprocess.Popen[bytes]] = []

    def open(self) -> None:
        """Make everything."""
        self._names = ["lan", *MACHINES, *(f"pod-{name}" for name in PODS)]
        for name in self._names:
            run("ip", "netns", "add", self.name(name))
            self.ip(name, "link set lo up")
        self.ip("lan", "link add lan type bridge", "link set lan up")
        for number, (name, address) in enumerate(MACHINES.items()):
            self._cable(name, "eth0", "lan", f"port{number}")
            self.ip("lan", f"link set port{number} master lan up")
            self.ip(name, f"address add {address}/24 dev eth0", "link set eth0 up")
        for name, address in PODS.items():
            gateway = f"{address.rpartition('.')[0]}.1"
            self._cable(f"pod-{name}", "eth0", name, "veth0")
            self.ip(
                name,
                "link add cni0 type bridge",
                f"address add {gateway}/24 dev cni0",
                "link set cni0 up",
                "link set veth0 master cni0 up",
                *(
                    f"route add {PODS[other].rpartition('.')[0]}.0/24 via {MACHINES[other]}"
                    for other in PODS
                    if other != name
                ),
            )
            self.ip(
                f"pod-{name}",
                f"address add {address}/24 dev eth0",
                "link set eth0 up",
                f"route add default via {gateway}",
            )
            self.execute(name, "sysctl", "-qw", "net.ipv4.ip_forward=1")
            self._serve(f"pod-{name}", POD_PORT)

    def close(self) -> None:
        """Remove everything."""
        for process in self.listeners:
            process.terminate()
            process.wait(60)
        for name in self._names:
            subprocess.run(["ip", "netns", "del", self.name(name)], check=False, capture_output=True)

    def name(self, name: str) -> str:
        """The namespace's own name."""
        return f"{self.prefix}-{name}"

    def ip(self, where: str, *lines: str) -> None:
        """Change a namespace's network."""
        run("ip", "-n", self.name(where), "-batch", "-", text="\n".join(lines) + "\n")

    def execute(self, where: str, *command: str, text: str = "", check: bool = True) -> str:
        """Run a command on a machine and give what it prints."""
        return run("ip", "netns", "exec", self.name(where), *command, text=text, check=check)

    def shell(self, where: str, line: str) -> None:
        """Run a line as an admin would paste it."""
        self.execute(where, "sh", "-ec", line)

    def reaches(self, where: str, address: str, port: int) -> bool:
        """Whether a connection from a machine, or from `pod-<machine>`, comes about."""
        return self.execute(where, sys.executable, "-c", TRY, address, str(port)).strip() == "yes"

    def forget(self) -> None:
        """Take all firewalls down."""
        for name in MACHINES:
            self.execute(name, NFT, "flush ruleset")

    def ask(self, where: str, **question: Any) -> Any:
        """Have a machine look, or try."""
        return json.loads(self.execute(where, sys.executable, __file__, text=json.dumps(question)))

    def _serve(self, where: str, port: int) -> None:
        command = ["ip", "netns", "exec", self.name(where), sys.executable, "-m", "http.server", str(port)]
        self.listeners.append(
            subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
        )
        deadline = time.monotonic() + 60
        while not self.reaches(where, "127.0.0.1", port):
            assert time.monotonic() < deadline, f"nothing listens in {where}"

    def _cable(self, here: str, interface: str, there: str, other: str) -> None:
        ends = ["netns", self.name(there), "type", "veth", "peer", "name", interface, "netns"]
        run("ip", "link", "add", other, *ends, self.name(here))


def run(*command: str, text: str = "", check: bool = True) -> str:
    """Run a command and give what it prints. What it says of a failure is in the assertion."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, f"{' '.join(command)}: {done.stderr}{done.stdout}"
    return done.stdout


def look(site: WalledSite, data: dict[str, Any], seconds: float = 60) -> dict[str, Any]:
    """Have the machines of a site look at themselves and try each other, and write what they saw into its data.

    Args:
        site: the namespaces.
        data: a site as plain data; probes are changed in place.
        seconds: how long ports answer.
    """
    from ansible_collections.ironbinder.platform.plugins.plugin_utils.site import port_plan  # noqa: PLC0415
    from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site  # noqa: PLC0415

    plan = Site.from_data(data)
    probes = {name: entry["probe"] for name, entry in data["hosts"].items()}

    def look_at(name: str) -> Any:
        return site.ask(
            name,
            listen=[] if plan.hosts[name].joined else port_plan.wanted_listeners(plan, name),
            token=f"token-of-{name}",
            seconds=seconds,
            packets=port_plan.packets(plan, name, lambda other: MACHINES.get(other, "")),
        )

    def try_from(name: str) -> Any:
        tried = port_plan.tried(
            plan, name, lambda other: probes.get(other, {}), lambda other, _: MACHINES[other], data["clock"]
        )
        return site.ask(name, name=name, tried=tried)

    with ThreadPoolExecutor(len(MACHINES)) as pool:
        for name, told in zip(MACHINES, pool.map(look_at, MACHINES)):
            probes[name] |= {**told, "asked_epoch": data["clock"]}
        for name, told in zip(MACHINES, pool.map(try_from, MACHINES)):
            probes[name]["tried"] = told
    return data


def why_not() -> str:
    """Say why no machines can be made here, `` where they can."""
    if not Path(NFT).exists():
        return "nftables is not installed (apt-get install nftables)"
    name = f"ib-firewall-try-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"network namespaces cannot be made (CAP_NET_ADMIN, CAP_SYS_ADMIN): {made.stderr.strip()}"
    asked = subprocess.run(
        ["ip", "netns", "exec", name, NFT, "add table inet x"], capture_output=True, text=True, check=False
    )
    subprocess.run(["ip", "netns", "del", name], check=False)
    return f"nftables cannot be changed: {asked.stderr.strip()}" if asked.returncode else ""


def main() -> None:
    """A machine's part."""
    sys.path.insert(0, str(ROOT / "collections"))
    from ansible_collections.ironbinder.platform.plugins.module_utils._machine.firewall import (  # noqa: PLC0415
        firewall_facts,
    )
    from ansible_collections.ironbinder.platform.plugins.module_utils._net import (  # noqa: PLC0415
        knock as _knock,
    )
    from ansible_collections.ironbinder.platform.plugins.module_utils._net import (  # noqa: PLC0415
        listeners as _listeners,
    )

    # However busy this computer is: who is let through is answered. By UDP others are dropped, and wait as long.
    _knock.ANSWER_SECONDS, _knock.UDP_SECONDS, _listeners.END_SECONDS = 60.0, 1.0, 60.0
    question = json.load(sys.stdin)
    if "tried" in question:
        print(json.dumps(_knock.knock(question["name"], question["tried"])))
        return
    _listeners.end_listeners()
    told = _listeners.open_listeners(question["listen"], question["token"], question["seconds"])
    listeners = {**told, "seconds": question["seconds"]}
    print(json.dumps({"listeners": listeners, "firewall": firewall_facts(question["packets"])}))


if __name__ == "__main__":
    main()
