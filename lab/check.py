"""Say what on this computer would stop the lab: another checkout's lab, too little room, names and addresses that are taken."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lab import whose

MEMORY_GB = 6
DISK_GB = 12
LABEL = whose.LABEL
BRIDGES = ("ironbinder0", "ironbinder1")
# As Docker names the bridge of a network; any other br-* is this computer's own.
DOCKER_BRIDGE = re.compile(r"br-[0-9a-f]{12}")


def short_of_room(memory_bytes: int, disk_bytes: int, folder: str) -> list[str]:
    """Compare what there is with what the lab needs."""
    problems = []
    if memory_bytes < MEMORY_GB * 10**9:
        problems.append(
            f"this computer has {memory_bytes / 1e9:.1f} GB of memory, the lab needs {MEMORY_GB} GB"
        )
    if disk_bytes < DISK_GB * 10**9:
        problems.append(
            f"{folder} has {disk_bytes / 1e9:.1f} GB left, the lab needs {DISK_GB} GB: free some or move Docker's data"
        )
    return problems


def taken_network(
    wanted: str, networks: Iterable[Mapping[str, Any]], routes: Iterable[Mapping[str, Any]]
) -> list[str]:
    """Find Docker networks and routes of this computer that overlap a network of the lab."""
    lab = ip_network(wanted)
    users = [
        f"the Docker network {network['Name']}"
        for network in networks
        if LABEL not in (network.get("Labels") or {})
        for config in network["IPAM"]["Config"] or []
        if config.get("Subnet") and ":" not in config["Subnet"] and ip_network(config["Subnet"]).overlaps(lab)
    ]
    users += [
        # What leads nowhere has no device, and what goes several ways has more than one.
        f"a route by {route.get('dev') or route.get('type', 'several devices')}"
        for route in routes
        if route["dst"] != "default"
        and route.get("dev") not in BRIDGES
        and not DOCKER_BRIDGE.fullmatch(route.get("dev", ""))  # a Docker network, named above
        and ip_network(route["dst"]).overlaps(lab)
    ]
    remedy = (
        "set another lab_network and the machines' addresses, or lab_outside_network, in inventories/lab, "
        "or remove what takes it"
    )
    return [f"{wanted} is taken by {user}: {remedy}" for user in users]


def taken_names(wanted: Iterable[str], containers: Iterable[Mapping[str, Any]]) -> list[str]:
    """Find containers that bear a lab machine's name and were not made by the lab."""
    names = {f"/ironbinder-{name}" for name in wanted}
    return [
        f"the container {container['Name'][1:]} has the name of a lab machine and was not made by the lab: rename or remove it"
        for container in containers
        if container["Name"] in names and LABEL not in (container["Config"]["Labels"] or {})
    ]


def _output(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def _inspect(listing: list[str], inspect: list[str]) -> list[dict[str, Any]]:
    ids = _output(*listing).split()
    found: list[dict[str, Any]] = json.loads(_output(*inspect, *ids)) if ids else []
    return found


def main() -> int:
    """Print every problem; 1 when there is one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--network",
        required=True,
        action="append",
        help="a network of the lab, as a CIDR; there may be several",
    )
    parser.add_argument("--state-dir", type=Path, required=True, help="inventories/lab/.lab of this checkout")
    parser.add_argument(
        "--take-over", default="", help="`yes` allows to remove another checkout's running lab"
    )
    parser.add_argument("machines", nargs="+", help="names of the lab's machines")
    options = parser.parse_args()
    us = whose.read_us(options.state_dir, whose.ROOT)
    problems = whose.refusals(whose.look(whose.run_docker), us, whose.is_yes(options.take_over))
    folder = _output("docker", "info", "--format", "{{.DockerRootDir}}").strip()
    meminfo = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    # Containers of a lab that runs already hold memory and disk that they do not need twice.
    running = _output("docker", "ps", "--quiet", "--filter", f"label={LABEL}").split()
    if not running:
        memory = int(meminfo["MemTotal"].split()[0]) * 1024
        problems += short_of_room(memory, shutil.disk_usage(folder).free, folder)
    networks = _inspect(["docker", "network", "ls", "--quiet"], ["docker", "network", "inspect"])
    routes = json.loads(_output("ip", "-4", "-json", "route"))
    for network in options.network:
        problems += taken_network(network, networks, routes)
    problems += taken_names(
        options.machines, _inspect(["docker", "ps", "--all", "--quiet"], ["docker", "inspect"])
    )
    for problem in problems:
        print(f"lab: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
