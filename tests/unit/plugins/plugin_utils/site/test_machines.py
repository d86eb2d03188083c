# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""All addresses of machines, the same in each run."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.filter.interface_mtu import interface_mtu
from ansible_collections.ironbinder.platform.plugins.filter.machine_addresses import machine_addresses

BRIDGES: dict[str, str] = {
    "cni0": "10.244.1.1",
    "docker0": "172.17.0.1",
    "br-0123456789ab": "172.18.0.1",
    "docker_gwbridge": "172.19.0.1",
}


def facts(own: dict[str, str], second: str = "") -> dict[str, Any]:
    """Facts of a machine with these interfaces, as Ansible names them."""
    found: dict[str, Any] = {
        name.replace("-", "_").replace(".", "_"): {"device": name, "ipv4": {"address": address}}
        for name, address in own.items()
    }
    if second:
        found["eth0"]["ipv4_secondaries"] = [{"address": second}]
    addresses = [*own.values(), *([second] if second else [])]
    return {**found, "interfaces": ["lo", *own], "all_ipv4_addresses": addresses}


def test_a_machine_has_more_addresses_than_one() -> None:
    hosts = {
        "worker1": {
            "site_node_address": "192.0.2.21",
            "ansible_host": "198.51.100.21",
            "ansible_facts": facts({"eth0": "192.0.2.21", "br-lan": "192.0.2.130"}, "192.0.2.99"),
        },
        "192.0.2.3": {},
    }
    assert machine_addresses(list(hosts), hosts) == [
        "192.0.2.3",
        "192.0.2.21",
        "192.0.2.99",
        "192.0.2.130",
        "198.51.100.21",
    ]


def test_a_second_run_finds_the_same() -> None:
    """The first one brings bridges of pods and of Docker, and Ansible gives interfaces in any order."""
    first = {
        "h": {"ansible_host": "192.0.2.7", "ansible_facts": facts({"eth0": "192.0.2.7", "eth1": "10.0.0.7"})}
    }
    second = {
        "h": {
            "ansible_host": "192.0.2.7",
            "ansible_facts": facts({**BRIDGES, "eth1": "10.0.0.7", "eth0": "192.0.2.7"}),
        }
    }
    assert machine_addresses(["h"], first) == machine_addresses(["h"], second) == ["10.0.0.7", "192.0.2.7"]


def test_what_is_no_address_of_a_machine_elsewhere_is_left_out() -> None:
    hosts: dict[str, dict[str, Any]] = {
        "a": {"ansible_host": "127.0.0.1", "site_node_address": "192.0.2.7"},
        "b": {"ansible_host": "2001:db8::7", "site_node_address": "192.0.2.8", "ansible_facts": {}},
        "c": {"ansible_host": "name.invalid", "site_node_address": "192.0.2.9"},
        "d": {"ansible_host": "", "ansible_facts": {"interfaces": ["docker0"]}},
        "e.invalid": {},
    }
    assert machine_addresses(list(hosts), hosts) == ["192.0.2.7", "192.0.2.8", "192.0.2.9", "e.invalid"]


def with_mtu(**mtus: int) -> dict[str, Any]:
    """Facts of a machine with a network for each purpose."""
    told = facts({"eth0": "198.51.100.21", "bond0.7": "192.0.2.21", "ib-x": "203.0.113.5"}, "198.51.100.99")
    for name, mtu in mtus.items():
        told[name]["mtu"] = mtu
    return {**told, "default_ipv4": {"address": "198.51.100.21", "mtu": 1500}}


@pytest.mark.parametrize(
    ("address", "mtu"),
    [
        ("198.51.100.21", 1500),
        ("192.0.2.21", 9000),
        ("203.0.113.5", 1400),
        # A second address of the first interface, and one that is translated on the way.
        ("198.51.100.99", 1500),
        ("192.0.2.77", 1500),
        ("", 1500),
    ],
)
def test_packets_are_as_large_as_the_interface_of_the_address_takes(address: str, mtu: int) -> None:
    assert interface_mtu(with_mtu(eth0=1500, bond0_7=9000, ib_x=1400), address) == mtu


def test_without_facts_packets_are_those_of_ethernet() -> None:
    assert interface_mtu({}, "192.0.2.21") == 1500
    assert interface_mtu({"default_ipv4": {"mtu": 1450}}, "192.0.2.21") == 1450
