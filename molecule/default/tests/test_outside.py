# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What lies beyond the site, in the lab: each listener answers a node, and nothing is behind it.

So silence elsewhere means a fence, and what a fence lets out ends here.
"""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from live_site import ROOT, Site

testinfra_hosts = ["ansible://head", "ansible://workers", "ansible://proxy"]

LAB = yaml.safe_load((ROOT / "inventories/lab/group_vars/all/lab.yml").read_text())
HOSTS = yaml.safe_load((ROOT / "inventories/lab/hosts.yml").read_text())["all"]["children"]
# Tries every target at once, and prints the last line of what each says.
ASK = (Path(__file__).parent / "ask.py").read_text()


@pytest.fixture
def own(site: Site) -> str:
    """Return the address that this machine has in the lab's own network."""
    [name] = site.hosts("outside")
    return str(HOSTS["machines"]["children"]["outside"]["hosts"][name]["lab_address"])


@pytest.fixture
def outside(host: Any, site: Site, request: pytest.FixtureRequest) -> Any:
    """Return the machine itself."""
    [name] = site.hosts("outside")
    return host.get_host(f"ansible://{name}", ansible_inventory=request.config.option.ansible_inventory)


def ask(host: Any, targets: list[list[Any]]) -> dict[str, str]:
    """Return what each target says to a machine, by "ADDRESS PORT PROTOCOL"."""
    told: dict[str, str] = json.loads(host.check_output("python3 -c %s %s", ASK, json.dumps(targets)))
    return told


def test_every_listener_answers_by_every_address(host: Any, site: Site, own: str) -> None:
    """By the address and the port that were asked: a gateway that answers for everybody would not know them."""
    held = [own, LAB["lab_outside_address"], *LAB["lab_outside_addresses"]]
    if host.backend.get_hostname() not in site.hosts("proxy"):
        # The guard lets nothing for an address of the services' range leave a node.
        services = ip_network(site.contract["site_service_subnet"])
        held = [address for address in held if ip_address(address) not in services]
        if LAB["lab_ipv6_prefix"] and host.file("/proc/sys/net/ipv6").exists:
            held.append(LAB["lab_ipv6_prefix"] + own.rsplit(".", 1)[1])
    ports = {"tcp": LAB["lab_outside_tcp_ports"], "udp": LAB["lab_outside_udp_ports"]}
    targets = [
        [address, port, protocol]
        for address in held
        for protocol, numbers in ports.items()
        for port in numbers
    ]
    told = ask(host, targets)
    assert told.pop(f"{own} 22 tcp").startswith("SSH-2.0-")
    assert {target: line for target, line in told.items() if not line.startswith(f"{target} from ")} == {}
    assert len(told) == len(targets) - 1


def test_a_port_without_a_listener_says_nothing(host: Any) -> None:
    """Else an answer would prove nothing."""
    told = ask(host, [[LAB["lab_outside_address"], 81, "tcp"], [LAB["lab_outside_address"], 81, "udp"]])
    assert all("refused" in line for line in told.values()), told


def test_nothing_is_behind_it(host: Any, outside: Any, own: str) -> None:
    """It could reach a neighbour in that network itself, and passes nothing on to it."""
    neighbour = str(ip_network(LAB["lab_outside_network"])[1])
    assert f"via {own} " in host.check_output("ip route get %s", neighbour)
    assert outside.run("ping -c 1 -W 2 %s", neighbour).rc == 0
    assert host.run("ping -c 1 -W 2 %s", neighbour).rc == 1


def test_it_has_no_way_out(outside: Any) -> None:
    assert outside.check_output("ip route show default") == ""
    assert outside.check_output("ip -6 route show default") == ""
    assert outside.sysctl("net.ipv4.ip_forward") == 0
    assert outside.run("ping -c 1 -W 1 192.0.2.1").rc == 2
