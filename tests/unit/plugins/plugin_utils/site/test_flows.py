# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Who tries whom: every node is tried, nobody tries everybody, and both sides of an attempt agree."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site import port_plan
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.flow_places import places
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.flows import (
    CONTROLLER,
    Attempt,
    attempts,
    expected,
    flows_to,
    parse_pod_network_port,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.resolve import Answer
from site_cases import good_site


def site(heads: int = 1, workers: int = 2, **values: Any) -> Site:
    """A site with so many machines."""
    data = good_site()
    data["groups"] |= {
        "head": [f"head{number}" for number in range(1, heads + 1)],
        "workers": [f"worker{number}" for number in range(1, workers + 1)],
    }
    data["values"] |= values
    return Site.from_data(data)


@pytest.mark.parametrize(("heads", "workers"), [(1, 0), (1, 1), (1, 2), (3, 0), (3, 1), (3, 9)])
def test_both_sides_agree(heads: int, workers: int) -> None:
    """Ports are opened for those who come, and nobody comes to a port that is not opened."""
    model = site(heads, workers, site_pod_network_ports=["4789/udp", "ipip"])
    names = [name for group in ("head", "workers", "proxy", "registry") for name in model.groups[group]]
    made = {(name, attempt) for name in (*names, CONTROLLER) for attempt in attempts(model, name)}
    awaited = {
        (caller, Attempt(name, *port))
        for name in names
        for port, callers in expected(model, name).items()
        for caller in callers
    }
    assert made == awaited
    assert not any(name == attempt.target for name, attempt in made)
    nodes = [*model.groups["head"], *model.groups["workers"]]
    for protocol in ("tcp", "udp"):
        tried = {attempt.target for _, attempt in made if attempt[1:] == (protocol, 7946)}
        assert tried == (set(nodes) if len(nodes) > 1 else set())


def test_a_large_site_is_no_mesh() -> None:
    model = site(3, 200)
    assert len(attempts(model, "worker7")) < 25
    assert len(attempts(model, "head1")) < 230


def test_the_lab_in_full() -> None:
    """A site of one head and two workers, by the ports that each machine opens."""
    model = site()
    ports = {name: sorted(expected(model, name)) for name in ("head1", "worker1", "proxy1", "mirror1")}
    node = [("tcp", 7946), ("tcp", 10250), ("tcp", 30585), ("udp", 7946)]
    assert ports == {
        "head1": [("tcp", 6443), ("tcp", 7946), ("tcp", 30585), ("udp", 7946)],
        "worker1": node,
        "proxy1": [("tcp", 443)],
        "mirror1": [("tcp", 5000)],
    }
    assert expected(model, "head1")["tcp", 6443] == ["worker1", "worker2", CONTROLLER]


def test_several_heads_and_a_client_among_them() -> None:
    model = site(3, 1, site_kubernetes_client_host="head1", site_api_port="7443")
    assert expected(model, "head2")["tcp", 2379] == ["head1", "head3"]
    assert CONTROLLER not in expected(model, "head1")["tcp", 7443]
    assert attempts(model, CONTROLLER) == []


def test_nodes_use_the_public_url_as_it_is_written() -> None:
    """Port 80 sends browsers on: a site whose nodes have no way there has nothing amiss."""
    model = site()
    assert [entry.port for entry in attempts(model, "worker1") if entry.target == "proxy1"] == [443]
    for_people = [flow.ports for flow in flows_to(model, "proxy1") if "people" in flow.sources]
    assert for_people == [(80, 443)]
    plain = site(site_public_url="http://binder.example.org")
    assert [entry.port for entry in attempts(plain, "worker1") if entry.target == "proxy1"] == [80]


def test_a_head_alone_lets_pods_in() -> None:
    """Its name servers run there; nobody else of the cluster does."""
    told = [(flow.sources, flow.ports) for flow in flows_to(site(1, 0), "head1") if 6443 in flow.ports]
    assert (("pods",), (6443,)) in told


@pytest.mark.parametrize("odd", ["4789", "4789/sctp", "/udp", "tcp", "", 4789, None, "70000/tcp", "a b"])
def test_odd_ports_of_pod_networks(odd: object) -> None:
    with pytest.raises(ValueError):
        parse_pod_network_port(odd)


def test_what_is_tried_and_what_is_left() -> None:
    """A machine that could not be looked at, this very machine, UDP that nobody of ours answers, and a token that is too old."""
    model = site()
    probes: dict[str, Any] = {
        "head1": {
            "machine_id": "1",
            "asked_epoch": 100.0,
            "listeners": {"opened": ["tcp 6443", "udp 7946"], "token": "t", "seconds": 20.0},
        },
        "worker2": {"machine_id": "2", "asked_epoch": 100.0, "listeners": {}},
        "proxy1": {"machine_id": "3", "asked_epoch": 100.0},
        "worker1": {"machine_id": "2"},
    }
    addresses = {"head1": "192.0.2.11", "worker2": "192.0.2.22", "proxy1": "2001:db8::1"}

    def tried(now: float) -> dict[str, str]:
        told = port_plan.tried(
            model,
            "worker1",
            lambda name: probes.get(name, {}),
            lambda name, port: addresses.get(name, ""),
            now,
        )
        return {f"{entry['target']} {entry['protocol']} {entry['port']}": entry["token"] for entry in told}

    assert tried(101) == {"head1 tcp 6443": "t", "head1 tcp 7946": "", "head1 udp 7946": "t"}
    assert tried(115) == {"head1 tcp 6443": "", "head1 tcp 7946": ""}


def test_ports_are_tried_where_they_are_used() -> None:
    """A registry and a proxy with an address for their admins, which nodes have no way to."""
    model = site(
        site_registry_host="registry.example.org:5000",
        site_public_url="https://binder.example.org",
        site_extra_hosts={"192.0.2.31": ["binder.example.org"]},
    )
    names = {"registry.example.org": "192.0.2.41"}
    asked: list[str] = []

    def find(wanted: Iterable[str]) -> dict[str, Answer]:
        asked.extend(wanted)
        return {name: Answer(names.get(name, "")) for name in asked}

    def place(target: str, port: int, *owned: str) -> str:
        return places(model, lambda name: "192.168.1.5", lambda name: owned, find)(target, port)

    assert place("mirror1", 5000, "192.168.1.5", "192.0.2.41") == "192.0.2.41"
    assert place("proxy1", 443, "192.168.1.5", "192.0.2.31") == "192.0.2.31"
    assert asked == ["registry.example.org"], "what the site itself says is not asked for"
    # As a node, and where nobody looked at the machine, or nobody knows the name.
    assert place("head1", 6443, "192.0.2.41") == "192.168.1.5"
    assert place("mirror1", 5000) == "192.168.1.5"
    # It leads to something between, which nobody asks for this machine's own.
    assert place("proxy1", 443, "192.168.1.5") == ""
    names.clear()
    assert place("mirror1", 5000, "192.168.1.5") == "192.168.1.5"


def test_more_machines_have_more_time() -> None:
    assert [port_plan.listen_seconds(count, 5) for count in (1, 5, 6, 1000)] == [20, 20, 26, 120]


def test_packets_of_a_node() -> None:
    told = port_plan.packets(site(), "head1", {"worker1": "192.0.2.21"}.get)  # type: ignore[arg-type]
    assert told["tcp 6443"] == {"hook": "input", "protocol": "tcp", "dport": 6443, "saddr": "192.0.2.21"}
    assert told["tcp 6443 from pods of this machine"]["iifname"] == "cni0"
    assert told["what pods send to others"]["hook"] == "forward"
    # A source without an address is asked nothing about.
    assert "tcp 30585" not in told
    assert "what pods send to others" not in port_plan.packets(site(), "mirror1", lambda name: "192.0.2.21")
